"""Reads what a reflection model answered: edits of a point, as data. What does not fit is refused."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from selfopt.errors import VariantError
from selfopt.records import (
    MAX_WRITTEN_CHARS,
    MAX_WRITTEN_EXAMPLES,
    Capability,
    EditRefusal,
    Example,
    Message,
    Phase,
    Record,
    RefusedEdit,
    Suite,
    ToolCall,
    ToolDefinition,
    WrittenChoice,
)
from selfopt.variants.space import Point, asking_part, contradiction, parts_by_name, point_of, point_text, possible
from selfopt.variants.written import is_written

from .leaks import Material, texts_in
from .proposers import Proposal

FORM_PART = "PART"
"""What stands in the question in place of a part. No part is called so."""
MOST_EDITS = 4
_MOST_REQUEST_CHARS = 500
_MOST_ARGUMENT_CHARS = 1000
_MOST_CALLS = 4
_MOST_IDS = 50
_MOST_SOURCES = 0.25
"""The largest share of a search's prompts whose words a written choice may hold."""

ANSWER_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "edits": {
            "type": "array",
            "maxItems": MOST_EDITS,
            "items": {
                "type": "object",
                "properties": {
                    "instructions": {"type": "string", "maxLength": MAX_WRITTEN_CHARS},
                    "examples": {
                        "type": "array",
                        "maxItems": MAX_WRITTEN_EXAMPLES,
                        "items": {
                            "type": "object",
                            "properties": {
                                "tool_set": {"type": "string"},
                                "request": {"type": "string", "maxLength": _MOST_REQUEST_CHARS},
                                "calls": {
                                    "type": "array",
                                    "maxItems": _MOST_CALLS,
                                    "items": {
                                        "type": "object",
                                        "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                                        "required": ["name", "arguments"],
                                    },
                                },
                            },
                            "required": ["tool_set", "request", "calls"],
                        },
                    },
                    "parts": {"type": "object", "additionalProperties": {"type": "string"}},
                    "fixes": {"type": "array", "items": {"type": "string"}},
                    "breaks": {"type": "array", "items": {"type": "string"}},
                },
            },
        }
    },
    "required": ["edits"],
}
"""The form of an answer, as JSON Schema."""


class _Call(Record):
    name: str = Field(max_length=200)
    arguments: dict[str, Any] = Field(max_length=50)


class _Example(Record):
    tool_set: str = Field(max_length=200)
    request: str = Field(min_length=1, max_length=_MOST_REQUEST_CHARS)
    calls: tuple[_Call, ...] = Field(max_length=_MOST_CALLS)


class _Edit(Record):
    """instructions has room for the spaces that are removed before it is measured."""

    instructions: str | None = Field(default=None, max_length=4 * MAX_WRITTEN_CHARS)
    examples: tuple[_Example, ...] = Field(default=(), max_length=MAX_WRITTEN_EXAMPLES)
    parts: dict[str, str] = Field(default_factory=dict, max_length=20)
    fixes: tuple[str, ...] = Field(default=(), max_length=1000)
    breaks: tuple[str, ...] = Field(default=(), max_length=1000)


class _Refused(Exception):
    """An edit is refused."""

    def __init__(self, refusal: EditRefusal, detail: str = "", prompt_ids: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.edit = RefusedEdit(refusal=refusal, detail=detail, prompt_ids=prompt_ids)


@dataclass(frozen=True, slots=True)
class ReadEdits:
    """What an answer holds that can be asked, and why the rest can't."""

    proposals: tuple[Proposal, ...] = ()
    refused: tuple[RefusedEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class EditRules:
    """What edits are held against.

    Attributes:
        search_id: of the search.
        suite: its suite.
        prompts: ids of the prompts of the search.
        capabilities: what the server has.
        by: the proposer, as it is named in the search.
        model: who writes.
        elsewhere: whether a promotion has to hold on prompts that are not searched. Where it need
            not, nothing may be written that repeats prompts of the search.
        phase: the kind of work.
        guarded: material of the prompts that nothing may be tuned on: all others of the suite.
        searched: material of the prompts of the search.
    """

    search_id: str
    suite: Suite
    prompts: tuple[str, ...]
    capabilities: frozenset[Capability]
    by: str
    model: str
    elsewhere: bool
    phase: Phase = "atomic"
    guarded: Material = field(init=False)
    searched: Material = field(init=False)

    def __post_init__(self) -> None:
        wanted = set(self.prompts)
        guarded = [prompt for prompt in self.suite.prompts if prompt.id not in wanted]
        object.__setattr__(self, "guarded", Material(guarded, self.suite))
        searched = [prompt for prompt in self.suite.prompts if prompt.id in wanted]
        object.__setattr__(self, "searched", Material(searched, self.suite, tools=False))


def read_edits(
    body: Any, parent: Point, rules: EditRules, *, shown: str, tool_sets: Sequence[str], begun: frozenset[str]
) -> ReadEdits:
    """Read the edits of an answer, whatever it is. One whose examples do not fit is read without them as well.

    Args:
        body: the JSON of the answer.
        parent: the point that it edits.
        rules: what edits are held against.
        shown: the question: what stands in it is known to the writer.
        tool_sets: those that the question showed.
        begun: texts of the ways to ask that were begun or wait to be.
    """
    edits = body.get("edits") if isinstance(body, dict) else None
    if not isinstance(edits, list):
        return ReadEdits(refused=(RefusedEdit(refusal="malformed", detail="no list of edits"),))
    proposals: list[Proposal] = []
    refused: list[RefusedEdit] = []
    for edit in edits[:MOST_EDITS]:
        reading = _Reading(rules, shown, tool_sets, begun | {point_text(one.asking) for one in proposals})
        try:
            proposals.append(reading.proposal(edit, parent))
        except _Refused as error:
            refused.append(error.edit)
            if isinstance(edit, dict) and edit.get("examples"):  # what small models write beside them may still be of use
                with suppress(_Refused):
                    proposals.append(
                        reading.proposal({name: value for name, value in edit.items() if name != "examples"}, parent)
                    )
    if len(edits) > MOST_EDITS:
        refused.append(RefusedEdit(refusal="too_many", detail=f"{len(edits)} edits; {MOST_EDITS} are read"))
    return ReadEdits(tuple(proposals), tuple(refused))


@dataclass(frozen=True, slots=True)
class _Reading:
    """The reading of one edit."""

    rules: EditRules
    shown: str
    tool_sets: Sequence[str]
    taken: frozenset[str]

    def proposal(self, body: Any, parent: Point) -> Proposal:
        edit = _checked(body)
        choices = dict(asking_part(parent)) | self._parts(edit, parent)
        written = []
        if edit.instructions is not None and (text := _one_line(edit.instructions)):
            if len(text) > MAX_WRITTEN_CHARS:
                raise _Refused("too_long", f"instructions of {len(text)} characters; at most {MAX_WRITTEN_CHARS}")
            written.append(self._written(text, [text]))
        if edit.examples:
            examples = tuple(self._example(one) for one in edit.examples)
            written.append(self._written(examples, list(_said_in(examples))))
        asking = point_of(choices | {one.part: one.name for one in written})
        if (why := contradiction(asking)) is not None or not possible(asking, self.rules.capabilities, self.rules.phase):
            raise _Refused("impossible", why or "the server cannot be asked so")
        if point_text(asking) in self.taken:
            raise _Refused("repeated", "it was begun or proposed before, or changes nothing")
        prompts = set(self.rules.prompts)
        fixes, breaks = (frozenset([one for one in ids if one in prompts][:_MOST_IDS]) for ids in (edit.fixes, edit.breaks))
        return Proposal(asking, fixes, breaks - fixes, parent, tuple(written))

    def _parts(self, edit: _Edit, parent: Point) -> dict[str, str]:
        """The choices that it names of parts that shape requests."""
        known, chosen = parts_by_name(), dict[str, str]()
        for name, choice in edit.parts.items():
            if name == FORM_PART:  # small models repeat the form of the question where they choose nothing
                continue
            if name not in known:
                raise _Refused("unknown_part", f"no part {name[:40]!r}")
            try:
                known[name].choice(choice)
            except VariantError:
                raise _Refused("unknown_choice", f"part {name} has no choice {choice[:40]!r}") from None
            if is_written(name, choice) and parent.get(name) != choice:
                raise _Refused("unknown_choice", f"part {name}: what is written is given in full")
            if known[name].reads:
                continue  # every reading is judged anyway
            chosen[name] = choice
        return chosen

    def _tools_of(self, body: _Example) -> dict[str, ToolDefinition]:
        """The tools of the set that it names; of a name that is none, the first set that was shown with all
        that it calls.
        """
        called = {call.name for call in body.calls}
        sets = [{tool.name: tool for tool in self.rules.suite.tool_sets[name]} for name in self.tool_sets]
        if body.tool_set in self.tool_sets:
            return sets[self.tool_sets.index(body.tool_set)]
        return next((tools for tools in sets if called and called <= tools.keys()), {})

    def _example(self, body: _Example) -> Example:
        tools = self._tools_of(body)
        unknown = next((call.name for call in body.calls if call.name not in tools), None)
        if not tools or unknown is not None:
            raise _Refused("unknown_tool", f"no tool {unknown[:40]!r} was shown" if unknown else "no such tool set was shown")
        for call in body.calls:
            if _size(call.arguments) > _MOST_ARGUMENT_CHARS:
                raise _Refused("too_long", f"arguments of more than {_MOST_ARGUMENT_CHARS} characters")
        request = _one_line(body.request)
        if not request:
            raise _Refused("malformed", "an example without a request")
        called = {call.name for call in body.calls}
        beside = [name for name in tools if name not in called][:2]
        return Example(
            tools=tuple(tool for name, tool in tools.items() if name in called or name in beside),
            messages=(Message(role="user", content=request),),
            tool_calls=tuple(ToolCall(name=call.name, arguments=call.arguments) for call in body.calls),
        )

    def _written(self, content: str | tuple[Example, ...], texts: Sequence[str]) -> WrittenChoice:
        """The written choice, if it holds nothing that it must not."""
        text = "\n".join(texts)
        if found := self.rules.guarded.found(text, self.shown):
            raise _Refused("held_out", "it repeats prompts that nothing may be tuned on", found[:_MOST_IDS])
        sources = self.rules.searched.found(text)
        if sources and (not self.rules.elsewhere or len(sources) > _MOST_SOURCES * len(self.rules.prompts)):
            raise _Refused("search_prompt", "too few prompts are left to judge it on", sources[:_MOST_IDS])
        rules = self.rules
        try:
            return WrittenChoice.of(rules.search_id, content, by=rules.by, model=rules.model, sources=sources)
        except ValidationError:
            raise _Refused("too_long", "the examples are too long") from None


def _checked(body: Any) -> _Edit:
    try:
        return _Edit.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:60]
        refusal: EditRefusal = "too_long" if first["type"] in ("string_too_long", "too_long") else "malformed"
        raise _Refused(refusal, f"{where}: {first['msg'][:120]}") from None


def _size(arguments: Mapping[str, Any]) -> int:
    try:
        return len(json.dumps(arguments, allow_nan=False))
    except ValueError:
        raise _Refused("malformed", "arguments that JSON has no value for") from None


def _said_in(examples: Sequence[Example]) -> Iterator[str]:
    for example in examples:
        yield from (message.content for message in example.messages)
        for call in example.tool_calls:
            yield from texts_in(call.arguments, keys=True)


def _one_line(text: str) -> str:
    """A text without invisible and control characters, and without needless spaces."""
    kinds = ((char, unicodedata.category(char)) for char in text)
    return " ".join("".join(" " if kind[0] == "C" else char for char, kind in kinds if kind != "Cf").split())
