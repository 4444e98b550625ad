"""One figure for a model as an agent: does it call what is needed, keep still where nothing is, and touch nothing else?

What a reply adds is a vector of counts, so that a figure over prompts is a function of sums (`selfopt.stats.jackknife`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from selfopt.records import ExpectedCall, Outcome, ParsedReply, Prompt, ToolCall

# Call accuracy, restraint, and the share of replies that call no tool which no accepted set names.
AGENT_WEIGHTS = (0.4, 0.3, 0.3)
_CALLS, _CALLED, _SILENT, _STILL, _ALL, _FOREIGN, _RIGHT_TOOLS = range(7)


def agent_counts(prompt: Prompt, outcome: Outcome, parsed: ParsedReply) -> tuple[float, ...]:
    """What one judged reply adds: prompts that need a call, of those passed; prompts that need none, of those passed; replies,
    of those with a call of a tool that no accepted set names; replies with the right tools, whatever their arguments.

    A dot in a tool's name counts as an underscore: some APIs do not take dots.
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
    """Pass / prompts that need a call, in [0, 1]; None without any."""
    return _ratio(sums, _CALLED, _CALLS)


def restraint(sums: Sequence[float]) -> float | None:
    """Pass / prompts that need none, in [0, 1]; None without any."""
    return _ratio(sums, _STILL, _SILENT)


def foreign_share(sums: Sequence[float]) -> float | None:
    """Replies that call a tool which no accepted set names / replies, in [0, 1]; None without any."""
    return _ratio(sums, _FOREIGN, _ALL)


def argument_accuracy(sums: Sequence[float]) -> float | None:
    """Pass / replies with the right tools, in [0, 1]: how often the arguments are right too. None without any."""
    return _ratio(sums, _CALLED, _RIGHT_TOOLS)


def agent_score(sums: Sequence[float]) -> float | None:
    """0.4 call accuracy + 0.3 restraint + 0.3 (1 - foreign share), in [0, 1]; None for no reply at all.

    Where a suite has no prompt of one sort, the weight of that part is spread over the others in proportion.
    """
    foreign = foreign_share(sums)
    parts = (call_accuracy(sums), restraint(sums), None if foreign is None else 1 - foreign)
    known = [(weight, part) for weight, part in zip(AGENT_WEIGHTS, parts, strict=True) if part is not None]
    return sum(weight * part for weight, part in known) / sum(weight for weight, _ in known) if known else None
