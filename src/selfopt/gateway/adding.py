"""Adds up the tokens of the requests that one answer took."""

from __future__ import annotations

from selfopt.records import Usage

NO_USAGE = Usage()
"""Before any request."""


def added(one: Usage, other: Usage) -> Usage:
    """Return the tokens of two requests. What neither server tells stays unknown."""
    if one is NO_USAGE and other.input_tokens is not None and other.output_tokens is not None:
        return other
    return NO_USAGE.model_copy(
        update={
            "input_tokens": _told(one.input_tokens, other.input_tokens),
            "output_tokens": _told(one.output_tokens, other.output_tokens),
            "cached_tokens": _told(one.cached_tokens, other.cached_tokens),
            "thinking_tokens": _told(one.thinking_tokens, other.thinking_tokens),
        }
    )


def _told(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
