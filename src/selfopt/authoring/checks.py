"""Drops what is no prompt: arguments that don't fit or that nobody says, near misses that say all, repeats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.reading.ground import grounded
from selfopt.reading.schema import (
    Fitter,
    arguments_of,
    choices_of,
    knows,
    options,
    properties_of,
    required_of,
    resolved,
)
from selfopt.reading.strict import strictly_backed
from selfopt.records import DropReason, Message, ToolCall, ToolDefinition, canonical_json, content_hash
from selfopt.suites.warn.similar import grams, jaccard, normalised

from .drafts import Draft, DraftKind

NEAR = 0.85
"""The similarity from which two requests are one."""
_DATE = re.compile(r"(\d{4})-\d\d-\d\d")
_ONE = re.compile(r"\b(?:[01]|one|once|single|zero)\b", re.IGNORECASE)
_TRIED = 40  # known values of an argument that a near miss is held against


@dataclass(slots=True)
class Checker:
    """Checks drafts one after another. It knows what it has kept.

    Attributes:
        tools: all of the user's tools, by name.
    """

    tools: Mapping[str, ToolDefinition]
    _seen: dict[str, frozenset[str]] = field(default_factory=dict)
    _values: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    _families: set[str] = field(default_factory=set)

    def checked(self, draft: Draft, offered: Sequence[ToolDefinition]) -> Draft | DropReason:
        """The draft with its arguments as the schema types them and with its family, or why it is dropped.

        Of its arguments those are left out that nothing requires and that the text does not say.

        A request with the facts of an earlier one is a paraphrase, whoever wrote either and however.

        offered: the tools that its prompt offers.
        """
        key = normalised(draft.text)
        if key in self._seen:
            return "duplicate"
        if any("_" in name and name in draft.text.casefold() for name in map(str.casefold, self.tools)):
            return "names_the_tool"
        calls = tuple(self._fitted(call) for call in draft.calls)
        for call in calls:
            if not isinstance(call, ToolCall):
                return call
        messages = (Message(role="user", content=draft.text),)
        fitted = _said(tuple(call for call in calls if isinstance(call, ToolCall)), messages, self.tools)
        if fitted is None:
            return "unsaid_argument"
        if draft.kind in ("near miss", "needed detail missing") and any(
            self._says_everything(tool, messages) for tool in offered
        ):
            return "says_everything"
        if draft.kind == "needed detail missing" and not self._needs_something(draft.tool):
            return "says_everything"
        mine = grams(key)
        if any(jaccard(mine, other) >= NEAR for other in self._seen.values()):
            return "near_duplicate"
        self._seen[key] = mine
        for call in fitted:
            for name, value in call.arguments.items():
                self._values.setdefault((call.name, name), []).append(value)
        family = _family(fitted, draft)
        kind: DraftKind = "paraphrase" if draft.kind == "direct" and family in self._families else draft.kind
        self._families.add(family)
        return Draft(kind, draft.text, fitted, draft.tool, family)

    def _fitted(self, call: ToolCall) -> ToolCall | DropReason:
        tool = self.tools.get(call.name)
        if tool is None:
            return "unknown_tool"
        root = tool.parameters
        schema = arguments_of(root)
        if not all(knows(schema, name) and name in properties_of(schema) for name in call.arguments):
            return "bad_arguments"
        fitted, whole = Fitter(root).fit(call.arguments, root)
        parts = properties_of(schema)
        if not whole or not all(_within(value, resolved(parts.get(name), root)) for name, value in fitted.items()):
            return "bad_arguments"
        return ToolCall(name=call.name, arguments=fitted)

    def _needs_something(self, name: str) -> bool:
        tool = self.tools[name]
        return bool(needed_of(tool))

    def _says_everything(self, tool: ToolDefinition, messages: Sequence[Message]) -> bool:
        """Whether a text says a value for each argument that a tool requires, as far as values are known."""
        needed = needed_of(tool)
        if not needed:
            return False  # whether such a tool is meant is for the solvers to say
        call: dict[str, Any] = {}
        for name, part in needed.items():
            known = [*(choices_of(part) or ())[:_TRIED], *self._values.get((tool.name, name), ())[-_TRIED:]]
            alone = ToolDefinition(
                name=tool.name, parameters={"type": "object", "properties": {name: dict(part)}, "required": [name]}
            )
            said = next(
                (v for v in known if strictly_backed([ToolCall(name=tool.name, arguments={name: v})], messages, [alone])[0]), None
            )
            if said is None:
                return False
            call[name] = said
        return True


def _family(calls: Sequence[ToolCall], draft: Draft) -> str:
    """What drafts of the same facts share, in whatever order their calls are. A draft without calls is alone."""
    facts = sorted(canonical_json([call.name, _plain(call.arguments)]) for call in calls)
    return content_hash("family", facts or [draft.tool, draft.text])


def _plain(value: Any) -> Any:
    """A value in which 5.0 is 5."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def needed_of(tool: ToolDefinition) -> dict[str, Mapping[str, Any]]:
    """The arguments that a tool requires, without those that have a default."""
    schema = arguments_of(tool.parameters)
    parts = {name: resolved(properties_of(schema).get(name), tool.parameters) for name in required_of(schema)}
    return {name: part for name, part in parts.items() if "default" not in part}


def unsaid(draft: Draft, tools: Mapping[str, ToolDefinition]) -> dict[str, Any]:
    """Arguments of a draft that its text does not say though they are required: at least one of each call that lacks one."""
    messages, offered = (Message(role="user", content=draft.text),), [tools[call.name] for call in draft.calls]
    found: dict[str, Any] = {}
    for call in draft.calls:
        lacking = [one.argument for reading in (strictly_backed, grounded) for one in reading([call], messages, offered)[1]]
        needed = required_of(arguments_of(tools[call.name].parameters))
        lacking += [name for name, value in call.arguments.items() if not _says_year(value, draft.text)]
        found |= {name: call.arguments[name] for name in lacking if name in needed and name in call.arguments}
    return found


def without_assumed(call: ToolCall, text: str, tools: Mapping[str, ToolDefinition]) -> ToolCall:
    """A call without the optional numbers 0 and 1 that a text does not say: one milk is what models take milk for.

    The reading `ground` believes these numbers always.
    """
    tool = tools.get(call.name)
    if tool is None or _ONE.search(text):
        return call
    needed = required_of(arguments_of(tool.parameters))
    kept = {
        name: value
        for name, value in call.arguments.items()
        if name in needed or type(value) not in (int, float) or value not in (0, 1)
    }
    return call.model_copy(update={"arguments": kept})


def _said(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Mapping[str, ToolDefinition]
) -> tuple[ToolCall, ...] | None:
    """The calls without what a request does not say and no tool requires. None where it does not say all that is required."""
    offered, text = [tools[call.name] for call in calls], messages[0].content
    backed, _ = grounded(calls, messages, offered)
    if len(backed) < len(calls) or len(strictly_backed(calls, messages, offered)[0]) < len(calls):
        return None
    kept = []
    for call, one in zip(calls, backed, strict=True):
        said = {name: value for name, value in one.arguments.items() if _says_year(value, text)}
        # A list that is said in part is another list, and nothing to leave out.
        partly = any(call.arguments[name] != value for name, value in said.items())
        if partly or not said.keys() >= call.arguments.keys() & set(required_of(arguments_of(tools[call.name].parameters))):
            return None
        kept.append(one.model_copy(update={"arguments": said}))
    return tuple(kept)


def _says_year(value: Any, text: str) -> bool:
    """Whether a text says the year of a date. Of a day without one nobody can tell which is meant."""
    dated = _DATE.match(value) if isinstance(value, str) else None
    return dated is None or dated[1] in text


def _within(value: Any, part: Mapping[str, Any]) -> bool:
    """Whether a value keeps the limits of its schema that types and choices don't tell: range and length."""
    return any(_in_limits(value, option) for option in options(part, part)) if part else True


def _in_limits(value: Any, option: Mapping[str, Any]) -> bool:
    size: Any = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if size is not None:
        return _between(size, option, "minimum", "maximum") and _between(
            size, option, "exclusiveMinimum", "exclusiveMaximum", open_=True
        )
    if isinstance(value, str):
        return bool(value.strip()) and _between(len(value), option, "minLength", "maxLength")
    if isinstance(value, list):
        return _between(len(value), option, "minItems", "maxItems")
    return True


def _between(size: float, option: Mapping[str, Any], low: str, high: str, *, open_: bool = False) -> bool:
    bounds: Iterable[tuple[Any, int]] = ((option.get(low), 1), (option.get(high), -1))
    for bound, sign in bounds:
        if not isinstance(bound, int | float) or isinstance(bound, bool):
            continue
        # Compared and not subtracted: an integer may be too large for a float.
        if (size < bound if sign > 0 else size > bound) or (open_ and size == bound):
            return False
    return True
