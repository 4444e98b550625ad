"""Tools in words: what a prompt tells a model of a tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from selfopt.records import ToolDefinition
from selfopt.variants.present import describe_tools
from selfopt.variants.rendering import _first_signature
from selfopt.variants.signatures import signature
from tests.examples import some_of

from .test_grammar import SCHEMAS

DEFINITIONS = {
    "Unit": {"enum": ["km", "mi"], "type": "string", "title": "Unit"},
    "Node": {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}], "default": None},
        },
        "required": ["value"],
    },
    "Place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
}


def told(schema: Any, *, required: bool = True) -> str:
    """The type of an argument, as a signature tells it."""
    parameters = {"type": "object", "properties": {"v": schema}, "required": ["v"] if required else [], "$defs": DEFINITIONS}
    text = signature(ToolDefinition(name="f", parameters=parameters), brief=False)
    return text.removeprefix("f(v").removeprefix("?").removeprefix(": ").removesuffix(")")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        # pydantic and FastMCP
        ({"$ref": "#/$defs/Place"}, "{city: string, zip?: string}"),
        ({"allOf": [{"$ref": "#/$defs/Unit"}], "default": "km"}, '"km"|"mi"'),
        ({"$ref": "#/$defs/Unit", "description": "Of what."}, '"km"|"mi" (Of what.)'),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Limit"}, "integer|null"),
        ({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}, "(list of string)|null"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}, "list of string|integer"),
        ({"additionalProperties": {"type": "integer"}, "type": "object"}, "map of integer"),
        ({"format": "date-time", "type": "string"}, "date-time string"),
        (
            {"maxItems": 2, "minItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}], "type": "array"},
            "[integer, string]",
        ),
        ({"$ref": "#/$defs/Node"}, "Node {value: integer, next?: Node|null}"),
        # zod
        ({"const": "km", "type": "string"}, '"km"'),
        ({"anyOf": [{"type": "string", "const": "a"}, {"type": "number", "const": 2}]}, '"a"|2'),
        ({"type": ["string", "null"], "description": "Who."}, "string|null (Who.)"),
        (
            {"oneOf": [{"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}, {"type": "null"}]},
            '{kind: "x"}|null',
        ),
        # OpenAPI
        ({"type": "string", "nullable": True}, "string|null"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True}, "{a?: string, ...}"),
        # no schema at all
        ({"$ref": "#/nowhere"}, "any"),
        ({"$ref": "https://example.org/schema"}, "any"),
        (True, "any"),
        (7, "any"),
    ],
)
def test_a_type_is_told_as_the_schema_says_it(schema: Any, text: str) -> None:
    """As pydantic, FastMCP, zod and others write schemas."""
    assert told(schema) == text


def test_defaults_are_told_of_what_may_be_left_out() -> None:
    """A default of null says no more than the `?`."""
    assert told({"type": "integer", "default": 10, "description": "How many."}, required=False) == "integer = 10 (How many.)"
    assert told({"type": "string", "default": None}, required=False) == "string"
    assert told({"type": "integer", "default": 10}) == "integer"


def test_every_choice_is_told_while_there_is_room() -> None:
    """What is left out is counted."""
    assert told({"enum": list(range(60))}) == "|".join(map(str, range(60)))
    assert told({"enum": list(range(500))}).endswith("199|(and 300 more)")


def test_arguments_of_references_and_of_all_parts_are_told() -> None:
    """At the top of a schema as anywhere else."""
    parameters = {
        "allOf": [{"$ref": "#/$defs/Place"}, {"properties": {"day": {"type": "string"}}, "required": ["day"]}],
        "$defs": DEFINITIONS,
    }
    assert signature(ToolDefinition(name="f", parameters=parameters), brief=False) == "f(city: string, zip?: string, day: string)"
    either = {"anyOf": [DEFINITIONS["Place"], {"properties": {"at": {"type": "number"}}, "required": ["at"]}]}
    assert signature(ToolDefinition(name="f", parameters=either), brief=True) == "f(city, zip? | at)"


PLAIN = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "description": "Name of  the\nroom."},
        "level": {"type": "integer"},
        "colour": {"type": "string", "enum": ["red", "green"]},
        "tags": {"type": "array", "items": {"type": "string"}, "description": "Any tags."},
        "where": {"type": "object", "properties": {"floor": {"type": "integer"}}, "required": ["floor"]},
        "dim": {"type": ["boolean", "null"]},
        "odd name": {"type": "object"},
    },
    "required": ["room"],
}


def test_the_words_of_schemas_that_were_told_rightly_stay_the_same() -> None:
    """So what was measured with them goes on to count."""
    tool = ToolDefinition(name="set_lamp", description="Set a lamp.", parameters=PLAIN)
    assert signature(tool, brief=False) == (
        'set_lamp(room: string (Name of the room.), level?: integer, colour?: "red"|"green", tags?: list of string (Any tags.), '
        "where?: {floor: integer}, dim?: boolean|null, odd name?: object) - Set a lamp."
    )
    for brief in (False, True):
        assert signature(tool, brief=brief) == _first_signature(tool, brief=brief)


@settings(max_examples=some_of(200), deadline=None)
@given(SCHEMAS, SCHEMAS)
def test_any_schema_is_told_in_one_line(schema: Any, other: Any) -> None:
    """Whatever a client or a server sends."""
    for parameters in (
        schema,
        {"type": "object", "properties": {"a": schema, "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": other}},
    ):
        tool = ToolDefinition.model_construct(name="t", description="", parameters=parameters)
        assert "\n" not in describe_tools((tool,), "signature").replace("\\n", "")
        describe_tools((tool,), "brief")
        describe_tools((tool,), "json")


def test_hostile_schemas_are_told_in_few_words() -> None:
    """Definitions that multiply, that hold themselves, or of a megabyte."""
    laughs = {
        f"d{i}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "abcdefgh"}} for i in range(40)
    }
    cycle: dict[str, Any] = {"type": "object", "properties": {}}
    cycle["properties"]["again"] = cycle
    for parameters in (
        {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": laughs},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        cycle,
        {"properties": {"a": {"enum": ["x" * 10_000] * 1_000}}},
        {"properties": {f"p{i}": {"type": "string", "description": "d" * 500} for i in range(20_000)}},
        {"properties": {"a": {"description": "d" * 1_000_000}}},
    ):
        tool = ToolDefinition.model_construct(name="t", description="", parameters=parameters)
        assert len(describe_tools((tool,), "signature")) < 200_000
        assert json.loads(describe_tools((tool,), "json"))["name"] == "t"
