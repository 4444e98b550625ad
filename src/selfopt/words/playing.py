"""Sentences of the playground."""

from __future__ import annotations

from selfopt.records import ParsedReply


def answer_sentence(parsed: ParsedReply | None) -> str:
    """What was read in a reply, in a sentence without its end."""
    if parsed is None:
        return "Nothing came that could be read"
    n = len(parsed.tool_calls)
    if n:
        return f"It calls {parsed.tool_calls[0].name[:80]}" if n == 1 else f"It makes {n} calls"
    if parsed.unread is not None:
        return "It seems to hold a call that this variant does not read"
    return "It calls no tool" if not parsed.dropped else "All its calls were dropped"
