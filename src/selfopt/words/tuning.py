"""Sentences about prompts that were made for a user's own tools."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.home import counted
from selfopt.records import DropReason

DROPPED: Mapping[DropReason, str] = {
    "unreadable": "not the JSON that was asked for",
    "unanswered": "no answer",
    "bad_text": "no usable text",
    "markup": "code or marks of calls in the text",
    "names_the_tool": "names a tool as programs do",
    "unknown_tool": "calls a tool that there is not",
    "bad_arguments": "arguments that the schema does not allow",
    "unsaid_argument": "arguments that the request does not say",
    "says_everything": "says all that a tool requires, though no call is wanted",
    "duplicate": "asked before",
    "near_duplicate": "nearly asked before",
    "solvers_disagree": "the solvers do not agree with what is expected",
}
"""Why something that was written is no prompt."""


def dropped_text(dropped: Mapping[DropReason, int]) -> str:
    """How many were dropped and why, the most frequent reason first."""
    ordered = sorted(dropped.items(), key=lambda pair: -pair[1])
    return "; ".join(f"{count}: {DROPPED[reason]}" for reason, count in ordered if count) or "nothing was written"


def no_prompts_text(dropped: Mapping[DropReason, int]) -> str:
    """That nothing is left of what was written."""
    return f"no prompt can be made for these tools: of what was written nothing is left ({dropped_text(dropped)}); try another --writer"


def too_few_text(kept: int, missing: int, dropped: Mapping[DropReason, int]) -> str:
    """That too few prompts are left to decide anything."""
    return (
        f"{counted(kept, 'prompt')} {'is' if kept == 1 else 'are'} left, and {missing} more are needed to decide anything ({dropped_text(dropped)}); "
        "raise --prompts, or try another --writer"
    )


def missing_text(missing: int) -> str:
    """That held-out prompts are missing."""
    return (
        f"{missing} more held-out prompts are needed to decide about other requests for these tools; "
        "so decisions hold for these prompts only (raise --prompts)"
    )
