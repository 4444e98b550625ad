"""What is read of a request of OpenAI's Responses API, and of the reply to it, that is passed on unchanged."""

from __future__ import annotations

import re

import msgspec

from .clients import Counted
from .kinds import PASSED_PATHS
from .openai_edit import UNREADABLE
from .passed_chat import PassedChat

# The last event holds the whole response, which may be large. Token counts are only in that one, and near its end.
_USAGE = re.compile(rb'"usage"\s*:\s*(\{[^{}]{0,2000}(?:\{[^{}]{0,500}(?:\{[^{}]{0,500}\}[^{}]{0,500})?\}[^{}]{0,500}){0,4}\})')


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_usage = msgspec.json.Decoder(_Usage).decode


class PassedResponses(PassedChat):
    """See `PassedOn`."""

    watched = False
    _address = PASSED_PATHS["openai_responses"].encode(), b""

    def counted(self, body: bytes) -> Counted | None:
        """See `PassedOn`."""
        try:
            usage = _read_answer(body).usage
        except UNREADABLE:
            return None
        return None if usage is None else _counted(usage)

    def counted_in(self, first: bytes, last: bytes) -> Counted | None:
        """See `PassedOn`."""
        found = _USAGE.findall(last)
        try:
            return _counted(_read_usage(found[-1])) if found else None
        except UNREADABLE:
            return None

    def ended(self, last: bytes) -> bool:
        """See `PassedOn`."""
        return last.endswith((b"\n\n", b"\r\n\r\n")) and _USAGE.search(last) is not None


def _counted(usage: _Usage) -> Counted:
    details = usage.input_tokens_details
    return Counted(usage.input_tokens, usage.output_tokens, None if details is None else details.cached_tokens)
