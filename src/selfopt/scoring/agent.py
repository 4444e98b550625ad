"""The agent score: does a model call what is needed, and nothing else?

Each reply adds a vector of counts, so every figure is a function of sums (see
`selfopt.stats.jackknife`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from selfopt.records import ExpectedCall, Outcome, ParsedReply, Prompt, ToolCall

# The weights of call accuracy, restraint, and the share of replies that call accepted tools only.
AGENT_WEIGHTS = (0.4, 0.3, 0.3)
_CALLS, _CALLED, _SILENT, _STILL, _ALL, _FOREIGN, _RIGHT_TOOLS = range(7)


def agent_counts(prompt: Prompt, outcome: Outcome, parsed: ParsedReply) -> tuple[float, ...]:
    """The counts that one judged reply adds.

    A dot in a tool's name counts as an underscore, because some APIs refuse dots.

    Returns:
        Seven counts: prompts that need a call, and those of them that passed; prompts that need
        none, and those of them that passed; replies; replies that call a foreign tool, which no
        accepted set names; replies with the right tools, whatever their arguments.
    """
    passed = float(outcome is Outcome.PASS)
    needs = float(prompt.needs_call)
    called = _tools_of(parsed.tool_calls)
    accepted = [] if prompt.expected == "any" else [_tools_of(calls) for calls in prompt.expected]
    foreign = bool(called) and not passed if prompt.expected == "any" else bool(called.keys() - set().union(*accepted))
    right = needs * float(bool(passed) or (bool(called) and called in accepted))
    return (needs, needs * passed, 1 - needs, (1 - needs) * passed, 1.0, float(foreign), right)


def _tools_of(calls: Sequence[ToolCall | ExpectedCall]) -> Counter[str]:
    return Counter(call.name.replace(".", "_") for call in calls)


def _ratio(sums: Sequence[float], passed: int, of: int) -> float | None:
    return sums[passed] / sums[of] if sums[of] > 0 else None


def call_accuracy(sums: Sequence[float]) -> float | None:
    """Passed / prompts that need a call, in [0, 1]; None if there are none."""
    return _ratio(sums, _CALLED, _CALLS)


def restraint(sums: Sequence[float]) -> float | None:
    """Passed / prompts that need no call, in [0, 1]; None if there are none."""
    return _ratio(sums, _STILL, _SILENT)


def foreign_share(sums: Sequence[float]) -> float | None:
    """Replies that call a foreign tool / replies, in [0, 1]; None if there are none."""
    return _ratio(sums, _FOREIGN, _ALL)


def argument_accuracy(sums: Sequence[float]) -> float | None:
    """Passed / replies with the right tools, in [0, 1]: how often the arguments are right too.

    None if there are none.
    """
    return _ratio(sums, _CALLED, _RIGHT_TOOLS)


def agent_score(sums: Sequence[float]) -> float | None:
    """0.4 call accuracy + 0.3 restraint + 0.3 (1 - foreign share), in [0, 1]; None without replies.

    If a suite has no prompts for one of these, the others share its weight in proportion.
    """
    foreign = foreign_share(sums)
    parts = (call_accuracy(sums), restraint(sums), None if foreign is None else 1 - foreign)
    known = [(weight, part) for weight, part in zip(AGENT_WEIGHTS, parts, strict=True) if part is not None]
    return sum(weight * part for weight, part in known) / sum(weight for weight, _ in known) if known else None
