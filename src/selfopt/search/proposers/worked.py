"""Worked examples drawn from prompts of the search that a good way to ask fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Example, Prompt, Suite, ToolCall, ToolDefinition, WrittenChoice, canonical_json
from selfopt.search.archive import reading_text
from selfopt.variants.space import asking_part, point_of, point_text

from .base import Given, Proposal

_BEST = 3
_BESIDE = 2
"""How many tools an example shows beside those that it calls."""
_MOST_CHARS = 1500
_PLAIN = (str, int, float, bool)


class Worked:
    """Proposes one of the three best ways with one or two of its failures as worked examples: their
    expected calls are known. No model is asked.

    The prompts and all that expect the same calls are the sources of the examples, so the search neither asks nor
    judges them with it: an answer to a paraphrase would be copied as well.

    Args:
        search_id: of the search.
        suite: where the prompts are.
        by: its name in the search.
    """

    def __init__(self, search_id: str, suite: Suite, by: str) -> None:
        self._search_id, self._by = search_id, by
        self._examples = {
            prompt.id: example for prompt in suite.prompts if (example := example_of(prompt, suite.tools_of(prompt))) is not None
        }
        self._twins = _twins(suite)
        self._calls = {prompt.id for prompt in suite.prompts if prompt.needs_call}

    def propose(self, given: Given) -> Proposal | None:
        """A way with examples. None where nothing fails of which the right answer is known."""
        best = given.archive.ranking()[:_BEST]
        if not best:
            return None
        standing = given.rng.choice(best)
        marks = self._marks(given, standing.point)
        failed = sorted(one for one, good in marks.items() if not good and one in self._examples)
        chosen = self._chosen(failed, given)
        if not chosen:
            return None
        sources = tuple(sorted({twin for one in chosen for twin in self._twins.get(one, (one,))}))
        examples = tuple(self._examples[one] for one in chosen)
        try:
            written = WrittenChoice.of(self._search_id, examples, by=self._by, sources=sources)
        except ValueError:
            return None  # together they are too long
        return Proposal(point_of({**asking_part(standing.point), "examples": written.name}), written=(written,))

    def _marks(self, given: Given, point: Mapping[str, str]) -> Mapping[str, bool]:
        look = given.archive.looks.get(point_text(asking_part(point)))
        marks = look.marks.get(reading_text(point), {}) if look is not None else {}
        return {prompt: mark.good for prompt, mark in marks.items()}

    def _chosen(self, failed: Sequence[str], given: Given) -> list[str]:
        """A failed prompt that needs a call, and one that needs none, as far as there are such."""
        calls = [one for one in failed if one in self._calls]
        idle = [one for one in failed if one not in self._calls]
        return [given.rng.choice(group) for group in (calls, idle) if group]


def _twins(suite: Suite) -> dict[str, list[str]]:
    """The prompts of its split that expect the same calls, for each prompt that needs any."""
    by_calls: dict[str, list[str]] = {}
    for prompt in suite.prompts:
        if prompt.needs_call and prompt.expected != "any":
            told = sorted(
                canonical_json(sorted(canonical_json(call.model_dump(mode="json")) for call in calls))
                for calls in prompt.expected
            )
            by_calls.setdefault(canonical_json([prompt.split, told]), []).append(prompt.id)
    return {one: twins for twins in by_calls.values() for one in twins}


def example_of(prompt: Prompt, tools: Sequence[ToolDefinition]) -> Example | None:
    """A worked example of a prompt: the first of its accepted answers.

    None where that is not known in full, or the conversation is long.
    """
    if prompt.expected == "any" or not prompt.expected:
        return None
    calls: list[ToolCall] = []
    for call in prompt.expected[0]:
        arguments = {name: _first(values) for name, values in call.arguments.items() if not _may_be_left_out(values)}
        if call.any_arguments or any(value is None for value in arguments.values()):
            return None
        calls.append(ToolCall(name=call.name, arguments=arguments))
    called = {call.name for call in calls}
    beside = {tool.name for tool in [tool for tool in tools if tool.name not in called][:_BESIDE]}
    if not called <= {tool.name for tool in tools} or sum(len(one.content) for one in prompt.messages) > _MOST_CHARS:
        return None
    shown = tuple(tool for tool in tools if tool.name in called | beside)
    return Example(tools=shown, messages=prompt.messages, tool_calls=tuple(calls))


def _may_be_left_out(values: Sequence[Any]) -> bool:
    return not values or values[0] == ""


def _first(values: Sequence[Any]) -> Any:
    """The first accepted value; None where it is no plain one, whose form can't be told."""
    value = values[0]
    if isinstance(value, _PLAIN) or (isinstance(value, list) and all(isinstance(one, _PLAIN) for one in value)):
        return value
    return None
