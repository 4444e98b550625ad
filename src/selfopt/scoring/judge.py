"""Judges one reply: its outcome, and the reason in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import (
    UNKNOWN_FORMAT,
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

MAX_CALLS = 64

# Raise "rules" whenever the same reply could get another outcome than before.
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
    """An outcome and its reason: one line of at most 400 characters that a terminal can show."""

    outcome: Outcome
    why: str


def judge(prompt: Prompt, tools: Sequence[ToolDefinition], parsed: ParsedReply, fault: Fault | None) -> Scored:
    """Judge one reply to a prompt that offered these tools. Never raises, whatever the reply holds.

    A timeout, loading or error is that outcome. A reply that was cut at the token limit is judged
    by the complete calls in it, and is `truncated` only without any. Calls match an accepted set in
    any order. Where they match none and the reply holds another call that nobody could read, or
    where no call was read at all, the outcome is `unparsed`.
    """
    return judge_by(_key_of(prompt, tools), parsed, fault)


def judge_by(key: AnswerKey, parsed: ParsedReply, fault: Fault | None) -> Scored:
    """Judge one reply by an answer key, which compares the calls in its own way. See `judge`."""
    if fault is not None and fault != "truncated":
        return Scored(*_FAULTS[fault])
    calls = parsed.tool_calls
    if calls:
        judgment = key.judge_calls(calls)
        if judgment.outcome is not Outcome.WRONG or parsed.unread is None:
            return judgment
    elif fault == "truncated" and parsed.unread in (None, "native"):
        # A native call goes unread only when it is broken, and here the cut broke it.
        return Scored(*_FAULTS["truncated"])
    if parsed.unread is not None:
        seen = f"the format '{show_name(parsed.unread)}'" if parsed.unread != UNKNOWN_FORMAT else "a format of no known family"
        return Scored(Outcome.UNPARSED, clip(f"a tool call seems to stand in {seen}, which no parser of the variant reads"))
    if key.silence_accepted:
        return Scored(Outcome.PASS, "no tool call, and none was needed")
    return Scored(Outcome.MISSED, clip(f"no tool call; accepted: {key.wanted}"))


class CallKey:
    """One expected call, prepared for comparison.

    Attributes:
        needed: arguments that a call has to give.
        nullable: arguments that may also be null, which is how some models leave an argument out.
        matchers: by argument, one for each accepted value.
        defaults: the default values of arguments that the expectation does not name.
    """

    __slots__ = ("defaults", "expected", "matchers", "name", "needed", "nullable", "schemas")

    def __init__(self, expected: ExpectedCall, tool: ToolDefinition | None) -> None:
        properties = tool.parameters.get("properties") if tool is not None else None
        self.schemas: dict[str, Any] = properties if isinstance(properties, dict) else {}
        self.expected = expected
        self.name = expected.name
        self.needed = tuple(name for name, values in expected.arguments.items() if "" not in values)
        self.matchers: dict[str, tuple[Matcher, ...]] = {
            name: tuple(compile_value(value, self.schemas.get(name)) for value in values)
            for name, values in expected.arguments.items()
        }
        self.nullable = frozenset({*self.schemas, *self.matchers}).difference(self.needed)
        self.defaults: dict[str, Matcher] = {
            name: compile_value(schema["default"], schema)
            for name, schema in self.schemas.items()
            if name not in expected.arguments and isinstance(schema, dict) and "default" in schema
        }

    def accepts(self, call: ToolCall) -> bool:
        """Whether the call is the expected one."""
        if call.name != self.name or any(name not in call.arguments for name in self.needed):
            return False
        return self.expected.any_arguments or all(self._accepts_value(name, value) for name, value in call.arguments.items())

    def _accepts_value(self, name: str, value: Any) -> bool:
        if value is None and name in self.nullable:
            return True
        matchers = self.matchers.get(name)
        if matchers is None:
            return name in self.defaults and self.defaults[name](value)
        return any(match(value) for match in matchers)

    def difference(self, call: ToolCall) -> str:
        """The first thing in which the call differs, in words; empty when nothing does."""
        tool = show_name(self.name)
        for name in self.needed:
            if name not in call.arguments:
                return f"{tool}: argument {show_name(name)} is missing, accepted: {self._listed(name)}"
        for name, value in call.arguments.items():
            if not self._accepts_value(name, value):
                if name in self.matchers:
                    return f"{tool}: argument {show_name(name)} is {show_value(value)}, accepted: {self._listed(name)}"
                what = "was not asked for" if name in self.schemas else "is unknown to the tool"
                return f"{tool}: argument {show_name(name)} {what}, got {show_value(value)}"
        return ""

    def _listed(self, name: str) -> str:
        values = self.expected.arguments.get(name, [])
        rest = f" and {len(values) - 4} more" if len(values) > 4 else ""
        return (" or ".join(map(_show_accepted, values[:4])) or "nothing") + rest


class AnswerKey:
    """What one prompt and its tools accept, prepared once.

    This one compares calls by the rules of standard suites.
    """

    __slots__ = ("any_call", "offered", "sets", "silence_accepted", "wanted")

    call_key: type[CallKey] = CallKey

    def __init__(self, prompt: Prompt, tools: Sequence[ToolDefinition]) -> None:
        by_name = {tool.name: tool for tool in reversed(tools)}
        self.offered = frozenset(by_name)
        self.any_call = prompt.expected == "any"
        self.silence_accepted = not prompt.needs_call
        self.sets = tuple(
            tuple(self.call_key(call, by_name.get(call.name)) for call in calls)
            for calls in (() if prompt.expected == "any" else prompt.expected)
            if calls
        )
        shown = (" + ".join(show_name(call.name) for call in calls[:8]) for calls in self.sets[:4])
        self.wanted = "any call" if self.any_call else " or ".join(dict.fromkeys(shown)) or "none"

    def judge_calls(self, calls: tuple[ToolCall, ...]) -> Scored:
        """Judge a reply by its calls, of which there is at least one."""
        if self.any_call:
            return self.judge_any(calls)
        if not self.sets:
            return Scored(Outcome.UNCALLED_FOR, clip(f"called {names_of(calls)} although nothing should be called"))
        for expected in self.sets:
            if len(expected) == len(calls) <= MAX_CALLS and self.accepts(expected, calls):
                return Scored(Outcome.PASS, clip(f"{names_of(calls)} as accepted"))
        return Scored(Outcome.WRONG, clip(self.difference(calls)))

    def judge_any(self, calls: tuple[ToolCall, ...]) -> Scored:
        """Judge a reply to a prompt for which any call is right."""
        foreign = next((call.name for call in calls if call.name not in self.offered), None)
        if foreign is None:
            return Scored(Outcome.PASS, "any call of an offered tool is accepted")
        return Scored(Outcome.WRONG, clip(f"called {show_name(foreign)}, which is not offered"))

    def accepts(self, expected: Sequence[CallKey], calls: Sequence[ToolCall]) -> bool:
        """Whether each call is another one of as many expected calls."""
        if len(calls) == 1:
            return expected[0].accepts(calls[0])
        return can_pair([[i for i, call in enumerate(calls) if key.accepts(call)] for key in expected])

    def difference(self, calls: Sequence[ToolCall]) -> str:
        """Why calls that match no accepted set are wrong."""
        foreign = next((call.name for call in calls if call.name not in self.offered), None)
        if foreign is not None:
            return f"called {show_name(foreign)}, which is not offered; accepted: {self.wanted}"
        if len(calls) <= MAX_CALLS:
            names = sorted(call.name for call in calls)
            for expected in self.sets:
                if sorted(key.name for key in expected) == names and (found := first_difference(*pair(expected, calls))):
                    return found
        return f"called {names_of(calls)}; accepted: {self.wanted}"


def pair(expected: Sequence[CallKey], calls: Sequence[ToolCall]) -> tuple[list[CallKey], list[ToolCall]]:
    """Give each expected call the first call that fits it.

    Returns the expected calls and the calls that are left.
    """
    unmet, left = [], list(calls)
    for key in expected:
        index = next((i for i, call in enumerate(left) if key.accepts(call)), None)
        if index is None:
            unmet.append(key)
        else:
            del left[index]
    return unmet, left


def first_difference(unmet: Sequence[CallKey], left: Sequence[ToolCall]) -> str:
    """What tells the first two of one name apart; empty when nothing does."""
    found = (key.difference(call) for key in unmet for call in left if call.name == key.name)
    return next(filter(None, found), "")


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


_key_of = remembered(AnswerKey)
