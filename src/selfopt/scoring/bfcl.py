"""Replies to the prompts of the Berkeley Function Calling Leaderboard, judged as its own checker judges (version 4).

Each expected call takes the first call of the reply that fits it and that none before it took; the tool's required arguments
must be given, arguments that are not listed must not. Where any call is expected, any is right, offered or not. Which text is
a call, and what a timeout is, is told as for every other suite.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import ExpectedCall, Fault, Outcome, ParsedReply, Prompt, ToolCall, ToolDefinition, content_hash

from .bfcl_values import Matcher, compile_argument, is_optional
from .judge import Scored, judge_by, names_of, remembered
from .show import clip, show_name, show_value

_CHECKER = "bfcl-eval 2026.3.23"

# "rules" is raised by hand whenever the same reply could get another outcome than before.
BFCL_SCORER_HASH = content_hash("scorer", {"judging": "bfcl", "checker": _CHECKER, "rules": "1"})


def judge_as_bfcl(prompt: Prompt, tools: Sequence[ToolDefinition], parsed: ParsedReply, fault: Fault | None) -> Scored:
    """The outcome of a reply to this prompt, which offered these tools. Never raises, whatever the reply holds."""
    return judge_by(_plan_of(prompt, tools), parsed, fault)


class _CallPlan:
    """One expected call, ready to be compared."""

    __slots__ = ("accepted", "matchers", "name", "needed", "required")

    def __init__(self, expected: ExpectedCall, tool: ToolDefinition | None) -> None:
        parameters = tool.parameters if tool is not None else {}
        properties = parameters.get("properties")
        schemas = properties if isinstance(properties, dict) else {}
        required = parameters.get("required")
        self.name = expected.name
        self.accepted = expected.arguments
        self.required = tuple(required) if isinstance(required, list) else ()
        self.needed = tuple(name for name, values in expected.arguments.items() if not is_optional(values))
        self.matchers: dict[str, Matcher] = {
            name: compile_argument(schemas[name], values) for name, values in expected.arguments.items() if name in schemas
        }

    def accepts(self, call: ToolCall) -> bool:
        given = call.arguments
        if call.name != self.name or any(name not in given for name in self.required):
            return False
        for name, value in given.items():
            matcher = self.matchers.get(name)
            if matcher is None or not matcher(value):
                return False
        return all(name in given for name in self.needed)

    def difference(self, call: ToolCall) -> str:
        """The first thing in which the call differs, in words; empty when nothing does."""
        tool = show_name(self.name)
        for name in (*self.required, *self.needed):
            if name not in call.arguments:
                return f"{tool}: argument {show_name(name)} is missing, accepted: {self._listed(name)}"
        for name, value in call.arguments.items():
            matcher = self.matchers.get(name)
            if matcher is None:
                return f"{tool}: argument {show_name(name)} was not asked for, got {show_value(value)}"
            if not matcher(value):
                return f"{tool}: argument {show_name(name)} is {show_value(value)}, accepted: {self._listed(name)}"
        return ""

    def _listed(self, name: str) -> str:
        values = self.accepted.get(name, [])
        shown = ["left out" if value == "" else show_value(value) for value in values[:4]]
        return (" or ".join(shown) or "nothing") + (f" and {len(values) - 4} more" if len(values) > 4 else "")


class _Plan:
    """What is precomputed for one prompt and its tools."""

    __slots__ = ("any_call", "missed_why", "prompt", "sets", "silence_accepted", "tools", "wanted")

    def __init__(self, prompt: Prompt, tools: Sequence[ToolDefinition]) -> None:
        by_name = {tool.name: tool for tool in reversed(tools)}
        self.prompt = prompt
        self.tools = tools
        self.any_call = prompt.expected == "any"
        self.silence_accepted = not prompt.needs_call
        self.sets: tuple[tuple[_CallPlan, ...], ...] = ()
        if prompt.expected != "any":
            self.sets = tuple(tuple(_CallPlan(c, by_name.get(c.name)) for c in calls) for calls in prompt.expected if calls)
        shown = (" + ".join(show_name(call.name) for call in calls[:8]) for calls in self.sets[:4])
        self.wanted = "any call" if self.any_call else " or ".join(shown) or "none"
        self.missed_why = clip(f"no tool call; accepted: {self.wanted}")

    def judge_calls(self, calls: tuple[ToolCall, ...]) -> Scored:
        """The outcome of at least one call."""
        if self.any_call:
            return Scored(Outcome.PASS, "any call is accepted")
        if not self.sets:
            return Scored(Outcome.UNCALLED_FOR, clip(f"called {names_of(calls)} although nothing should be called"))
        reason = ""
        for expected in self.sets:
            unmet, left = _take(expected, calls)
            if unmet is None and not left:
                return Scored(Outcome.PASS, clip(f"{names_of(calls)} as accepted"))
            reason = reason or _difference(expected, calls, unmet, left)
        return Scored(Outcome.WRONG, clip(reason or f"called {names_of(calls)}; accepted: {self.wanted}"))


def _take(expected: Sequence[_CallPlan], calls: Sequence[ToolCall]) -> tuple[_CallPlan | None, list[ToolCall]]:
    """The first expected call that none of those that were left fits (None: each has its own), and the calls left."""
    left = list(calls)
    if len(expected) != len(calls):
        return expected[0], left
    for plan in expected:
        index = next((i for i, call in enumerate(left) if plan.accepts(call)), None)
        if index is None:
            return plan, left
        del left[index]
    return None, left


def _difference(
    expected: Sequence[_CallPlan], calls: Sequence[ToolCall], unmet: _CallPlan | None, left: Sequence[ToolCall]
) -> str:
    if unmet is None or len(expected) != len(calls):
        return ""
    return next((found for call in left if call.name == unmet.name and (found := unmet.difference(call))), "")


_plan_of = remembered(_Plan)
