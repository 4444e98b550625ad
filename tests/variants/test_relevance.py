"""The tools that are shown are those that have most words in common with the request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Example, Message, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import render
from selfopt.variants.relevance import shown_tools, similar_examples


def tool(name: str, description: str = "", **properties: Any) -> ToolDefinition:
    return ToolDefinition(name=name, description=description, parameters={"type": "object", "properties": properties})


TOOLS = (
    tool("getWeatherForecast", "Say what the weather will be.", city={"type": "string"}),
    tool("create_invoice", "Bill a customer.", customer={"type": "string"}, amount={"type": "number"}),
    tool("playMusic", "Start a song.", room={"enum": ["kitchen", "bathroom"]}),
    tool("parcel_status", "Where a shipment is.", number={"type": "string", "description": "Tracking code."}),
    tool("konto_stand", "Zeigt den Stand.", monat={"type": "string"}),
)
NOISE = st.text("abc xyz_é0", max_size=40)
DRAWN = st.lists(st.builds(tool, st.text("abcdef_", min_size=1, max_size=6), NOISE), min_size=1, max_size=12).map(tuple)


def user(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", content=text) for text in texts)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Will the forecasts be better in Oslo?", "getWeatherForecast"),
        ("I invoiced no customers yet, please do", "create_invoice"),
        ("something for the bathroom", "playMusic"),
        ("what happened to my tracked shipments", "parcel_status"),
        ("Was ist mein Kontostand?", "konto_stand"),
    ],
)
def test_a_tool_is_found_by_a_word_of_its_name_description_arguments_or_choices(asked: str, name: str) -> None:
    """In another form, or as a part of a longer word."""
    assert [one.name for one in shown_tools(TOOLS, user(asked), 1)] == [name]


def test_the_last_message_counts_most() -> None:
    """What was asked before counts where the last message says little."""
    assert shown_tools(TOOLS, user("weather forecast", "an invoice"), 1)[0].name == "create_invoice"
    assert shown_tools(TOOLS, user("weather forecast", "and there?"), 1)[0].name == "getWeatherForecast"


def test_where_nothing_is_in_common_all_are_shown() -> None:
    """Nobody knows then which are needed."""
    assert shown_tools(TOOLS, user("xyzzy"), 1) is TOOLS
    assert shown_tools(TOOLS, (), 1) is TOOLS


def test_tools_that_were_called_stay() -> None:
    """A conversation that has called one may go on with it."""
    talk = (*user("play a song"), Message(role="assistant", tool_calls=(ToolCall(name="parcel_status", id="1"),)))
    assert [one.name for one in shown_tools(TOOLS, (*talk, *user("more weather")), 1)] == ["getWeatherForecast", "parcel_status"]


@settings(deadline=None)
@given(DRAWN, NOISE, st.integers(1, 12))
def test_what_is_shown_is_a_part_of_what_is_offered_in_its_order(
    tools: tuple[ToolDefinition, ...], asked: str, keep: int
) -> None:
    """As many as are wanted or all, the same every time; the more are kept the more are among them."""
    shown = shown_tools(tools, user(asked), keep)
    places = [next(i for i, one in enumerate(tools) if one is kept) for kept in shown]
    assert places == sorted(set(places))
    assert len(shown) in (min(keep, len(tools)), len(tools))
    assert list(shown_tools(list(tools), list(user(asked)), keep)) == list(shown)
    more = shown_tools(tools, user(asked), keep + 1)
    assert {id(one) for one in shown} <= {id(one) for one in more} or len(shown) == len(tools)


def test_equal_tools_are_taken_in_their_order() -> None:
    """The first ones of those that have as much in common."""
    tools = tuple(tool(f"weather_{letter}") for letter in "abcd")
    assert shown_tools(tools, user("weather"), 2) == tools[:2]


def test_hostile_schemas_are_looked_at_within_bounds() -> None:
    """Deep, endless, wide and odd ones; the right tool is found all the same."""
    endless: dict[str, Any] = {"type": "object", "properties": {}}
    endless["properties"]["self"] = endless
    wide = {"type": "object", "properties": {f"weather{i}": {"enum": ["weather"] * 10_000} for i in range(3_000)}}
    odd = {"properties": [1], "enum": {"a": 1}, "anyOf": [None, 3], "items": "x", "$defs": [2]}
    bad = [
        ToolDefinition(name=f"t{i}", description="weather " * 50_000, parameters=body)
        for i, body in enumerate([endless, wide, odd])
    ]
    many = (*bad, *(tool(f"tool{i}", "word " * 20_000) for i in range(500)), tool("parcel"))
    assert "parcel" in [one.name for one in shown_tools(many, user("the parcel " + "x" * 1_000_000 + " parcel"), 3)]


def test_a_call_of_a_tool_that_was_not_shown_is_a_call() -> None:
    """The client offers it, and the model may know it from the conversation."""
    variant = Variant(name="few", parsers=("all@2",), options={"keep_tools": 1})
    steps = render(variant, user("the weather in Oslo"), TOOLS)
    assert [one.name for one in next(steps).tools] == ["getWeatherForecast"]
    reply = ReplyContent(tool_calls=(ToolCall(name="playMusic", arguments={"room": "kitchen"}),))
    with pytest.raises(StopIteration) as end:
        steps.send(reply)
    assert end.value.value is reply


def test_the_most_similar_example_comes_last() -> None:
    """And the least similar ones are left out."""
    examples = [Example(messages=user(text)) for text in ("play a song", "weather in Rome", "bill a customer", "the weather now")]
    found = similar_examples(examples, user("how is the weather right now"), 2)
    assert [one.messages[0].content for one in found] == ["weather in Rome", "the weather now"]
    assert similar_examples(examples[:2], user("x"), 2) == tuple(examples[:2])
