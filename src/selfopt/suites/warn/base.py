"""What all warnings share: their type, their codes, and how they quote names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from selfopt.records import ExpectedCall, Prompt, ToolCall, ToolDefinition
from selfopt.suites.check import printable

# Whether these calls pass the prompt, given the tools that it offers.
Passes = Callable[[Prompt, tuple[ToolDefinition, ...], tuple[ToolCall, ...]], bool]

SPLITS: tuple[Literal["search", "heldout", "canary"], ...] = ("search", "heldout", "canary")

CODES: dict[str, str] = {
    "to-review": 'a prompt whose reason begins with "review:": what is expected has not been looked at',
    "duplicate": "two prompts ask the same of the same tools",
    "near-duplicate": "prompts of one split hardly differ",
    "unbalanced": "a kind has far fewer or far more prompts than the others, or stands in one split only",
    "unreachable": "an accepted value or set that no reply reaches",
    "outside-schema": "an accepted value, or a call in the history, that the tool's JSON Schema does not allow",
    "leak-tool-set": "the same tools stand in two splits",
    "leak-tool-name": "a tool's name stands in two splits",
    "leak-prompt": "prompts of different splits hardly differ",
    "leak-name": "a distinctive name stands in two splits",
    "trivial-policy": "a policy that understands nothing scores well",
}


@dataclass(frozen=True, slots=True)
class SuiteWarning:
    """A warning.

    Attributes:
        code: a key of CODES.
        prompts: the ids of the prompts that it is about.
        message: one line that says what to do.
    """

    code: str
    prompts: tuple[str, ...]
    message: str


def accepted_sets(prompt: Prompt) -> tuple[tuple[ExpectedCall, ...], ...]:
    """The accepted sets of calls; empty if any call is right."""
    return () if prompt.expected == "any" else prompt.expected


def quoted(text: str) -> str:
    """Quote the first 60 characters of a text in one line."""
    shown = printable(text[:60])
    return f"'{shown}...'" if len(text) > 60 else f"'{shown}'"


def listed(parts: Iterable[str], limit: int = 6) -> str:
    """List the parts in one line, and count those beyond the limit."""
    items = list(parts)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
