"""Examples that are made from the tools of a request say every value, fit the schemas, and leak nothing."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.records import Message, ToolDefinition, Variant
from selfopt.variants import options_of, render
from selfopt.variants.own_examples import own_examples
from selfopt.variants.space import composed
from tests.examples import some_of

from .drawn import PARAMETERS
from .test_render import play

BOOK = ToolDefinition(
    name="bookTable",
    description="Book a table. Charges nothing.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "day": {"type": "string", "format": "date"},
            "guests": {"type": "integer", "minimum": 4, "maximum": 8},
            "area": {"enum": ["terrace", "hall"]},
            "note": {"type": "string"},
        },
        "required": ["city", "day", "guests", "area"],
    },
)
PING = ToolDefinition(name="ping")
ASK = (Message(role="user", content="A table in Turku, please"),)


def test_a_request_says_every_value_of_its_call() -> None:
    """And a request without them has no call; the tool that needs most details comes last."""
    missing, ping, call = own_examples((PING, BOOK), False)
    assert (missing.messages[0].content, missing.tool_calls) == ("Book a table, please.", ())
    assert (ping.messages[0].content, ping.tool_calls[0].name) == ("Ping, please.", "ping")
    assert call.messages[0].content == "Book a table, please: city Graz, day 2031-06-09, guests 4, area terrace."
    assert call.tool_calls[0].arguments == {"city": "Graz", "day": "2031-06-09", "guests": 4, "area": "terrace"}


def test_what_a_schema_offers_as_an_example_or_default_is_taken() -> None:
    """Before anything is made up, and only if it fits."""
    properties = {
        "a": {"type": "string", "examples": ["oak"]},
        "b": {"type": "integer", "default": 7},
        "c": {"type": "string", "examples": [1]},
    }
    tool = ToolDefinition(name="t", parameters={"type": "object", "properties": properties, "required": list(properties)})
    assert own_examples((tool,), False)[-1].tool_calls[0].arguments == {"a": "oak", "b": 7, "c": "blue harbour"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        {"type": "string", "minLength": 100},
        {"type": "number", "minimum": 5, "maximum": 4},
        {"enum": ["x" * 1000]},
        {"enum": []},
        {"$ref": "#/nowhere", "enum": [None]},
        {"type": "integer", "minimum": 10**5000},
        {"type": "array", "minItems": 30},
        {"type": "null"},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
                {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        },
    ],
)
def test_a_tool_for_which_nothing_can_be_made_up_is_left_out(part: dict[str, Any]) -> None:
    """Better none than a wrong one."""
    tool = ToolDefinition(name="odd", parameters={"type": "object", "properties": {"x": part}, "required": ["x"]})
    assert own_examples((tool,), False) == ()
    assert [call.name for one in own_examples((tool, PING), False) for call in one.tool_calls] == ["ping"]


@settings(max_examples=some_of(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(PARAMETERS, st.text(max_size=30), st.text(max_size=200))
def test_calls_are_what_their_schemas_allow(schema: dict[str, Any], name: str, description: str) -> None:
    """Whatever the schema; the same each time, and short."""
    tool = ToolDefinition(name=name or "t", description=description, parameters=schema)
    made = own_examples((tool,), True)
    assert own_examples((tool.model_copy(),), True) == made
    for example in made:
        assert len(example.messages[0].content) < 2_000
        assert example.tools == (tool,)
        for call in example.tool_calls:
            jsonschema.Draft7Validator(schema).validate(call.arguments)


@pytest.mark.parametrize(
    "point", [{}, {"tools": "signatures"}, {"tools": "brief", "form": "grammar", "steps": "choose_then_fill"}]
)
def test_examples_of_own_tools_are_shown_in_every_presentation(point: dict[str, str]) -> None:
    """The tools are not shown twice where they are listed anyway."""
    steps = render(composed({**point, "examples": "own_tools"}), ASK, (BOOK, PING))
    told = "\n".join(message.content for message in next(steps).messages)
    assert "city Graz, day 2031-06-09, guests 4, area terrace" in told
    assert told.count("Charges nothing") == (1 if point == {"tools": "signatures"} else 0)
    assert "with other tools" not in told


def test_the_second_question_of_two_has_no_examples() -> None:
    """It is the request as it is."""
    variant = composed({"examples": "own_tools", "steps": "choose_then_answer"})
    steps, _ = play(variant, ASK, ["ping", "hello"])
    assert "Set a lamp, please" in str(steps[0].messages)
    assert steps[1].messages == ASK


def test_the_most_similar_examples_stand_before_the_request() -> None:
    """Three of the set, the most similar one last."""
    variant = composed({"tools": "signatures", "examples": "similar"})
    (step,), _ = play(variant, (Message(role="user", content="Find me a recipe for a dish with leeks"),), ["hi"])
    asked = [message.content for message in step.messages if message.role == "user"]
    assert len(asked) == 4
    assert "ratatouille" in asked[2]


def test_similarity_needs_examples_to_choose_from() -> None:
    """A variant without any is refused in one line."""
    with pytest.raises(VariantError, match="needs `examples` to choose from") as refused:
        options_of(Variant(name="v", options={"examples_by": "similarity"}))
    assert "\n" not in str(refused.value)
