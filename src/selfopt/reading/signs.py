"""Tells whether a text that was not read looks like a call."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import ToolDefinition


def sign_of_call(text: str, tools: Sequence[ToolDefinition]) -> str:
    """The family whose call a text seems to hold; `UNKNOWN_FORMAT` if no family can be told; "" if none."""
    return ""
