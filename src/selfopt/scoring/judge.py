"""One reply -> one outcome, with the reason in one plain line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from selfopt.records import ExpectedCall, Fault, Outcome, ParsedReply, Prompt, ToolCall, ToolDefinition, content_hash

from .show import clip, show_name, show_value
from .values import (
    ENCLOSING_QUOTES,
    MAX_DEPTH,
    MAX_LIST,
    TEXT_FACTOR,
    TEXT_SLACK,
    TRAILING_PUNCTUATION,
    Matcher,
    can_pair,
    compile_value,
)

P = TypeVar("P")

MAX_CALLS = 64
_MAX_CACHED = 4096

# "rules" is raised by hand whenever the same reply could get another outcome than before.
SCORER_HASH = content_hash(
    "scorer",
    {
        "rules": "1",
        "trailing_punctuation": TRAILING_PUNCTUATION,
        "enclosing_quotes": list(ENCLOSING_QUOTES),
        "max_text": [TEXT_FACTOR, TEXT_SLACK],
        "max_list": MAX_LIST,
        "max_depth": MAX_DEPTH,
        "max_calls": MAX_CALLS,
    },
)

_FAULTS: dict[Fault, tuple[Outcome, str]] = {
    "truncated": (Outcome.TRUNCATED, "the reply was cut at the token limit before it held a complete tool call"),
    "timeout": (Outcome.TIMEOUT, "no complete reply within the timeout"),
    "loading": (Outcome.LOADING, "timed out or refused while the model was being loaded"),
    "error": (Outcome.ERROR, "the request failed (transport or HTTP)"),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """An outcome and why, in one line of at most 400 characters that a terminal can show."""

    outcome: Outcome
    why: str


class AnswerKey(Protocol):
    """What one prompt and its tools accept, precomputed. missed_why: the reason when nothing was called but should have."""

    @property
    def silence_accepted(self) -> bool:
        """Whether calling nothing is right."""
        ...

    @property
    def missed_why(self) -> str:
        """What was accepted instead of silence."""
        ...

    def judge_calls(self, calls: tuple[ToolCall, ...]) -> Scored:
        """The outcome of at least one call."""
        ...


def remembered(make: Callable[[Prompt, Sequence[ToolDefinition]], P]) -> Callable[[Prompt, Sequence[ToolDefinition]], P]:
    """Make what one prompt and its tools accept once, as long as the tools are a suite's."""
    # Suites are immutable and their prompts live as long as they do; what is made keeps both objects alive, so an id stays theirs.
    made: dict[tuple[int, int], P] = {}

    def of(prompt: Prompt, tools: Sequence[ToolDefinition]) -> P:
        if not isinstance(tools, tuple):
            return make(prompt, tools)
        key = (id(prompt), id(tools))
        found = made.get(key)
        if found is None:
            if len(made) >= _MAX_CACHED:
                made.clear()
            found = made[key] = make(prompt, tools)
        return found

    return of


def judge(prompt: Prompt, tools: Sequence[ToolDefinition], parsed: ParsedReply, fault: Fault | None) -> Scored:
    """The outcome of a reply to this prompt, which offered these tools. Never raises, whatever the reply holds.

    A timeout, loading or error is that outcome. A reply cut at the token limit is judged by the complete calls in it, read
    or not; only without any it is `truncated`. Calls are compared with the accepted sets, in any order within a set; where
    they do not match and another call stands there unread, the outcome is `unparsed`, as it is when nothing was read.
    """
    return judge_by(_plan_of(prompt, tools), parsed, fault)


def judge_by(plan: AnswerKey, parsed: ParsedReply, fault: Fault | None) -> Scored:
    """`judge`, however the plan compares calls."""
    if fault is not None and fault != "truncated":
        return Scored(*_FAULTS[fault])
    calls = parsed.tool_calls
    if calls:
        judgment = plan.judge_calls(calls)
        if judgment.outcome is not Outcome.WRONG or parsed.unread is None:
            return judgment
    elif fault == "truncated" and parsed.unread in (None, "native"):
        # Native calls go unread only when broken, and what broke them is then the cut.
        return Scored(*_FAULTS["truncated"])
    if parsed.unread is not None:
        seen = show_name(parsed.unread)
        return Scored(
            Outcome.UNPARSED, clip(f"a tool call seems to stand in the format '{seen}', which no parser of the variant reads")
        )
    if plan.silence_accepted:
        return Scored(Outcome.PASS, "no tool call, and none was needed")
    return Scored(Outcome.MISSED, plan.missed_why)


class _CallPlan:
    """One expected call, ready to be compared."""

    __slots__ = ("accepted", "defaults", "expected", "known", "listed", "matchers", "needed")

    def __init__(self, expected: ExpectedCall, tool: ToolDefinition | None) -> None:
        properties = tool.parameters.get("properties") if tool is not None else None
        schemas: dict[str, Any] = properties if isinstance(properties, dict) else {}
        self.expected = expected
        self.listed: dict[str, str] = {}
        self.known = frozenset(schemas)
        self.accepted = expected.arguments
        self.needed = tuple(name for name, values in expected.arguments.items() if "" not in values)
        self.matchers: dict[str, tuple[Matcher, ...]] = {
            name: tuple(compile_value(value, schemas.get(name)) for value in values)
            for name, values in expected.arguments.items()
        }
        self.defaults: dict[str, Matcher] = {
            name: compile_value(schema["default"], schema)
            for name, schema in schemas.items()
            if name not in expected.arguments and isinstance(schema, dict) and "default" in schema
        }

    def accepts(self, call: ToolCall) -> bool:
        if call.name != self.expected.name:
            return False
        if self.expected.any_arguments:
            return True
        given = call.arguments
        if any(name not in given for name in self.needed):
            return False
        return all(self._accepts_value(name, value) for name, value in given.items())

    def _accepts_value(self, name: str, value: Any) -> bool:
        matchers = self.matchers.get(name)
        # A null given where leaving the argument out is right is how some models leave it out.
        if value is None and name not in self.needed and (matchers is not None or name in self.known):
            return True
        if matchers is None:
            default = self.defaults.get(name)
            return default is not None and default(value)
        return any(match(value) for match in matchers)

    def difference(self, call: ToolCall) -> str:
        """The first thing in which the call differs, in words; empty when nothing does."""
        tool = show_name(self.expected.name)
        for name in self.needed:
            if name not in call.arguments:
                return f"{tool}: argument {show_name(name)} is missing, accepted: {self._listed(name)}"
        for name, value in call.arguments.items():
            if self._accepts_value(name, value):
                continue
            if name in self.matchers:
                return f"{tool}: argument {show_name(name)} is {show_value(value)}, accepted: {self._listed(name)}"
            what = "was not asked for" if name in self.known else "is unknown to the tool"
            return f"{tool}: argument {show_name(name)} {what}, got {show_value(value)}"
        return ""

    def _listed(self, name: str) -> str:
        text = self.listed.get(name)
        if text is None:
            values = self.accepted[name]
            shown = [_show_accepted(v) for v in values[:4]]
            text = " or ".join(shown) + (f" and {len(values) - 4} more" if len(values) > 4 else "")
            self.listed[name] = text
        return text


class _Plan:
    """What is precomputed for one prompt and its tools."""

    __slots__ = ("any_call", "missed_why", "offered", "prompt", "sets", "silence_accepted", "tools", "wanted")

    def __init__(self, prompt: Prompt, tools: Sequence[ToolDefinition]) -> None:
        by_name = {tool.name: tool for tool in tools}
        self.prompt = prompt
        self.tools = tools
        self.offered = frozenset(by_name)
        self.any_call = prompt.expected == "any"
        self.silence_accepted = not prompt.needs_call
        self.sets: tuple[tuple[_CallPlan, ...], ...] = ()
        if prompt.expected != "any":
            self.sets = tuple(tuple(_CallPlan(c, by_name.get(c.name)) for c in calls) for calls in prompt.expected if calls)
        self.wanted = "any call" if self.any_call else _alternatives(self.sets)
        self.missed_why = clip(f"no tool call; accepted: {self.wanted}")

    def judge_calls(self, calls: tuple[ToolCall, ...]) -> Scored:
        """The outcome of at least one call."""
        if self.any_call:
            foreign = next((c.name for c in calls if c.name not in self.offered), None)
            if foreign is None:
                return Scored(Outcome.PASS, "any call of an offered tool is accepted")
            return Scored(Outcome.WRONG, clip(f"called {show_name(foreign)}, which is not offered"))
        if not self.sets:
            return Scored(Outcome.UNCALLED_FOR, clip(f"called {names_of(calls)} although nothing should be called"))
        for expected in self.sets:
            if _same_set(expected, calls):
                return Scored(Outcome.PASS, clip(f"{names_of(calls)} as accepted"))
        return Scored(Outcome.WRONG, clip(self._difference(calls)))

    def _difference(self, calls: tuple[ToolCall, ...]) -> str:
        foreign = next((c.name for c in calls if c.name not in self.offered), None)
        if foreign is not None:
            return f"called {show_name(foreign)}, which is not offered; accepted: {self.wanted}"
        if len(calls) <= MAX_CALLS:
            names = sorted(c.name for c in calls)
            for expected in self.sets:
                if sorted(c.expected.name for c in expected) == names and (found := _first_difference(expected, calls)):
                    return found
        return f"called {names_of(calls)}; accepted: {self.wanted}"


def _alternatives(sets: Sequence[Sequence[_CallPlan]]) -> str:
    shown = [" + ".join(show_name(c.expected.name) for c in calls[:8]) for calls in sets[:4]]
    return " or ".join(dict.fromkeys(shown)) or "none"


def _same_set(expected: tuple[_CallPlan, ...], calls: tuple[ToolCall, ...]) -> bool:
    if len(expected) != len(calls) or len(calls) > MAX_CALLS:
        return False
    if len(calls) == 1:
        return expected[0].accepts(calls[0])
    return can_pair([[i for i, call in enumerate(calls) if plan.accepts(call)] for plan in expected])


def _first_difference(expected: tuple[_CallPlan, ...], calls: tuple[ToolCall, ...]) -> str:
    """Pairs what fits greedily, then compares the first two of one name that are left."""
    left = list(calls)
    unmet: list[_CallPlan] = []
    for plan in expected:
        index = next((i for i, call in enumerate(left) if plan.accepts(call)), None)
        if index is None:
            unmet.append(plan)
        else:
            del left[index]
    for plan in unmet:
        for call in left:
            if call.name == plan.expected.name and (found := plan.difference(call)):
                return found
    return ""


def names_of(calls: Sequence[ToolCall]) -> str:
    """The names of the first calls and how many more there are."""
    rest = f" and {len(calls) - 8} more" if len(calls) > 8 else ""
    return ", ".join(show_name(c.name) for c in calls[:8]) + rest


def _show_accepted(value: Any) -> str:
    if value == "":
        return "left out"
    if isinstance(value, dict) and set(value) == {"any_order"}:
        return f"{show_value(value['any_order'])} in any order"
    return show_value(value)


_plan_of = remembered(_Plan)
