"""Judges replies as the checker of the Berkeley Function Calling Leaderboard does (version 4).

Each expected call takes the first call of the reply that fits it and is not taken yet. A call has
to give the arguments that its tool requires, and none that are not listed. Where a prompt accepts
any call, any is right, whether its tool was offered or not. Only the comparison of calls differs
from other suites; faults and unread calls are judged as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import (
    ExpectedCall,
    Fault,
    Outcome,
    ParsedReply,
    Prompt,
    ToolCall,
    ToolDefinition,
    content_hash,
    remembered,
)

from .bfcl_values import compile_argument
from .judge import AnswerKey, CallKey, Scored, first_difference, judge_by, names_of, pair

# Raise "rules" whenever the same reply could get another outcome than before.
BFCL_SCORER_HASH = content_hash("scorer", {"judging": "bfcl", "checker": "bfcl-eval 2026.3.23", "rules": "1"})


def judge_as_bfcl(prompt: Prompt, tools: Sequence[ToolDefinition], parsed: ParsedReply, fault: Fault | None) -> Scored:
    """Judge one reply to a prompt that offered these tools.

    Never raises, whatever the reply holds.
    """
    return judge_by(_key_of(prompt, tools), parsed, fault)


class _CallKey(CallKey):
    """One expected call. Null and the default of an argument are values like any other."""

    __slots__ = ()

    def __init__(self, expected: ExpectedCall, tool: ToolDefinition | None) -> None:
        super().__init__(expected, tool)
        required = tool.parameters.get("required") if tool is not None else None
        self.needed = (*(required if isinstance(required, list) else ()), *self.needed)
        self.nullable, self.defaults = frozenset(), {}
        self.matchers = {
            name: (compile_argument(self.schemas[name], values),)
            for name, values in expected.arguments.items()
            if name in self.schemas
        }


class _AnswerKey(AnswerKey):
    """What one prompt accepts.

    Any call is right where any is expected, whether its tool was offered or not.
    """

    __slots__ = ()

    call_key = _CallKey

    def judge_any(self, calls: tuple[ToolCall, ...]) -> Scored:
        """Judge a reply to a prompt for which any call is right."""
        return Scored(Outcome.PASS, "any call is accepted")

    def accepts(self, expected: Sequence[CallKey], calls: Sequence[ToolCall]) -> bool:
        """Whether the calls fit, first come, first served."""
        return not pair(expected, calls)[0]

    def difference(self, calls: Sequence[ToolCall]) -> str:
        """Why calls that match no accepted set are wrong."""
        found = (first_difference(*pair(expected, calls)) for expected in self.sets if len(expected) == len(calls))
        return next(filter(None, found), f"called {names_of(calls)}; accepted: {self.wanted}")


_key_of = remembered(_AnswerKey)
