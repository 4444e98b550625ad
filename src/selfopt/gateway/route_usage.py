"""Finds the token counts in an answer beside chats, which may be many megabytes of vectors."""

from __future__ import annotations

import json

import msgspec

from .ticket import Ticket

NEAR_BYTES = 4096
"""So close to an end of a long answer, its counts are looked for."""
_NAME = b'"usage"'
_raw_decode = json.JSONDecoder().raw_decode


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


def note_route_usage(body: bytes, ticket: Ticket) -> None:
    """Note what an answer says of its tokens. Servers that write no text may tell the sum alone."""
    counts = _counts_in(body[-NEAR_BYTES:]) or _counts_in(body[:NEAR_BYTES])
    if counts is None:
        return
    asked = counts.prompt_tokens if counts.prompt_tokens is not None else counts.total_tokens
    said = counts.completion_tokens if ticket.route == "completions" else counts.completion_tokens or 0
    ticket.input_tokens, ticket.output_tokens = asked, said
    ticket.bill.told(asked, said, None)


def _counts_in(part: bytes) -> _Counts | None:
    at = part.rfind(_NAME)
    if at < 0:
        return None
    after = part[at + len(_NAME) :].decode("utf-8", "replace").lstrip()
    try:
        value, _ = _raw_decode(after.removeprefix(":").lstrip())
        return msgspec.convert(value, _Counts)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None
