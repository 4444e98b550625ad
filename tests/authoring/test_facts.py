"""What prompts say is drawn from the schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.authoring.checks import Checker
from selfopt.authoring.drafts import Draft
from selfopt.authoring.facts import facts, fits, plain_parts, said, spoken, wordy_parts
from selfopt.records import ToolCall, ToolDefinition
from tests.examples import some_of

from .tools import CLOCK, LAMP, WEATHER, tool

SONG = tool(
    "play",
    ("title", "volume"),
    title={"type": "string", "description": "Of the song"},
    volume={"type": "integer", "minimum": 2, "maximum": 9},
    mood={"type": "string", "enum": ["calm", "loud"]},
    tags={"type": "array", "items": {"type": "string"}},
    key={"type": "string", "examples": ["C major", "A minor", 7]},
    day={"type": "string", "format": "date"},
    depth={"type": "number", "maximum": -5},
)


def drawn(one: ToolDefinition, count: int = 12, **more: Any) -> list[dict[str, Any]]:
    """The facts of so many requests."""
    needed = plain_parts(one)
    assert needed is not None
    return [facts(one, needed, place, **more) for place in range(count)]


@pytest.mark.parametrize("one", [WEATHER, LAMP, CLOCK, SONG])
def test_what_is_drawn_fits_the_schema_and_varies(one: ToolDefinition) -> None:
    """A text that says all of it passes the checks."""
    for arguments in drawn(one):
        text = f"Do {', '.join(f'{spoken(name)} {said(value)}' for name, value in arguments.items())}."
        call = ToolCall(name=one.name, arguments=arguments)
        assert isinstance(Checker({one.name: one}).checked(Draft("direct", text, (call,), one.name), (one,)), Draft)
    if one is not CLOCK:
        assert len({str(arguments) for arguments in drawn(one)}) > 8


def test_what_is_not_required_is_now_and_then_drawn() -> None:
    """And what is required always."""
    some = drawn(SONG)
    assert all({"title", "volume"} <= arguments.keys() for arguments in some)
    assert {len(arguments) for arguments in some} == {2, 3}


def test_texts_and_examples_are_used_where_there_are_some() -> None:
    """Examples of another type are none."""
    titles = ("Night Bus", "Red Sand")
    some = drawn(SONG, 40, texts={"title": titles})
    assert {arguments["title"] for arguments in some} == set(titles)
    assert {arguments["key"] for arguments in some if "key" in arguments} <= {"C major", "A minor"}


def test_two_arguments_with_the_same_choices_differ() -> None:
    """Nobody converts cups to cups."""
    units = {"enum": ["cups", "ml", "grams", "ounces", "litres", "spoons", "pints"]}
    some = drawn(tool("convert", ("source", "target"), source=units, target=units), 30)
    assert all(arguments["source"] != arguments["target"] for arguments in some)


def test_free_text_alone_needs_values_of_a_writer() -> None:
    """What is required comes first. Choices, numbers, dates and examples are known."""
    assert wordy_parts(SONG) == {"title": "Of the song", "tags": ""}
    assert wordy_parts(WEATHER) == {}
    assert fits(SONG, "title", "Red Sand")
    assert fits(SONG, "tags", "jazz")
    assert not fits(SONG, "mood", "angry")


def test_objects_and_switches_are_drawn_too() -> None:
    """As far as what an object requires is plain."""
    inner = {
        "type": "object",
        "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
        "required": ["street"],
    }
    (first, *_) = drawn(tool("send", ("to", "fast"), to=inner, fast={"type": "boolean"}))
    assert first == {"to": {"street": "blue lantern"}, "fast": False}
    assert said(first["to"]) == "street blue lantern"
    assert plain_parts(tool("send", ("to",), to={"type": "object"})) is None


def test_an_object_that_requires_itself_is_not_plain() -> None:
    """No schema makes it run without end."""
    node = {
        "type": "object",
        "properties": {f"n{i}": {"$ref": "#/properties/to"} for i in range(8)},
        "required": [f"n{i}" for i in range(8)],
    }
    assert plain_parts(tool("send", ("to",), to=node)) is None
    either = {"anyOf": [node] * 8}
    assert plain_parts(tool("send", ("to",), to=either)) is None


_leaves = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 3},
        {"type": "boolean"},
        {"enum": ["red", "blue"]},
        {},
        {"$ref": "#/properties/a"},
        {"type": "string", "examples": ["x" * 500, 3, "tea"]},
        {"type": "number", "maximum": -5},
        {"type": "string", "format": "date"},
    ]
)
_parts = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(lambda item: {"type": "array", "items": item}, inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, max_size=3))
        | st.builds(
            lambda some, count: {"type": "object", "properties": some, "required": [*some][:count]},
            st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
            st.integers(0, 3),
        )
    ),
    max_leaves=6,
)


@settings(max_examples=some_of(100), deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c d"]), _parts, min_size=1, max_size=3), st.integers(0, 99))
def test_whatever_the_schema_is_what_is_drawn_holds_all_that_is_required(parts: dict[str, Any], place: int) -> None:
    """It is short, the same again, and nothing raises."""
    one = tool("do", tuple(parts)[:2], **parts)
    needed = plain_parts(one)
    assert set(wordy_parts(one)) <= set(parts)
    if needed is None:
        return
    arguments = facts(one, needed, place)
    assert set(tuple(parts)[:2]) <= arguments.keys() <= set(parts)
    assert facts(one, needed, place) == arguments
    assert len(said(arguments)) < 2_000
