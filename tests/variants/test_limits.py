"""What both limits make of one schema: the values they allow and what is left free."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from selfopt.records import FreeReason, Message, ReplyContent, ToolDefinition
from selfopt.variants import load_variants, render
from selfopt.variants.call_schema import arguments_schema, calls_schema
from selfopt.variants.grammar import arguments_grammar, calls_grammar
from selfopt.variants.schema_shapes import argument_shapes

from .gbnf import Grammar

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    "required": ["value"],
}
TREE = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
DEFINITIONS = {"Node": NODE, "Tree": TREE, "Self": {"anyOf": [{"$ref": "#/$defs/Self"}, {"type": "string"}]}}


def tool(schema: Any, **more: Any) -> ToolDefinition:
    """A tool with one argument of this schema."""
    body = {"type": "object", "properties": {"v": schema}, "required": ["v"], "$defs": DEFINITIONS, **more}
    return ToolDefinition.model_construct(name="op", description="", parameters=body)


def allowed(offered: ToolDefinition, arguments: Any) -> bool:
    """Whether the limits allow these arguments. They agree."""
    text = json.dumps(arguments, ensure_ascii=False)
    by_grammar = Grammar(arguments_grammar(offered)).accepts(text)
    assert jsonschema.Draft202012Validator(arguments_schema(offered)).is_valid(arguments) == by_grammar, text
    return by_grammar


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (
            {"$ref": "#/$defs/Node"},
            [{"value": 1}, {"value": 1, "next": {"value": 2, "next": None}}],
            [{}, {"value": 1, "next": 3}],
        ),
        ({"$ref": "#/$defs/Tree"}, [{}, {"kids": [{"kids": []}, {}]}], [{"kids": [1]}, {"kid": []}]),
        ({"type": ["string", "null"]}, ["a", None], [1]),
        ({"type": "string", "nullable": True}, ["a", None], [1]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["a"]),
        ({"oneOf": [{"const": "a"}, {"const": 2}]}, ["a", 2], ["b", None]),
        ({"enum": ["a", None], "type": ["string", "null"]}, ["a", None], ["b"]),
        ({"enum": ["a", 1], "type": "string"}, ["a"], [1]),
        ({"enum": ["a", "b"], "type": "integer"}, ["a"], ["c", 1]),
        ({"const": {"a": [1, None]}}, [{"a": [1, None]}], [{"a": [1]}]),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
            [[1, "a"]],
            [["a", 1], [1]],
        ),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
            [[], [1], [1, "a", "b"]],
            [[None]],
        ),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}, [[1, 2], [1, 2, 3]], [[1], [1, 2, 3, 4]]),
        ({"type": "array"}, [[], [1, "a", {}]], [{}]),
        ({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}}, [{}, {"x-a": 1}], [3]),
        (
            {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}},
            [{"a": 1}],
            [{"c": 1}],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
            [{"a": "x", "b": 1}, {"b": 1}],
            [{"a": 1}],
        ),
        ({"type": "object", "required": ["a"]}, [{"a": 1}], [{"b": 1}]),
        ({"properties": {"a": {"type": "string"}}}, [{"a": "x"}, {}], ["x", {"a": 1}]),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
            [{"b": 1, "a": "x"}, {"b": 1}],
            [{"a": "x"}],
        ),
        ({"type": "integer", "minimum": 5, "exclusiveMaximum": 20}, [5, 19], [4, 20]),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, [6], [5]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc", "é🎉"], ["a", "abcd"]),
        ({"type": "string", "format": "date-time"}, ["2026-01-02t03:04:05.1234567z", "2026-01-02 03:04:05-11:30"], ["soon"]),
        (True, [None, {"a": []}], []),
        ({}, [None, {"a": []}], []),
    ],
)
def test_right_values_are_allowed_and_wrong_ones_are_not(schema: Any, right: list[Any], wrong: list[Any]) -> None:
    """By either limit."""
    offered = tool(schema)
    assert [value for value in right if not allowed(offered, {"v": value})] == []
    assert [value for value in wrong if allowed(offered, {"v": value})] == []


def test_arguments_may_have_several_forms() -> None:
    """anyOf at the top, in every way to write a call."""
    body = {
        "anyOf": [
            {"properties": {"id": {"type": "integer"}}, "required": ["id"]},
            {"properties": {"name": {"type": "string"}}, "required": ["name"]},
        ]
    }
    offered = ToolDefinition(name="find", parameters=body)
    assert allowed(offered, {"id": 1})
    assert allowed(offered, {"name": "x"})
    assert not allowed(offered, {})
    assert Grammar(calls_grammar((offered,), "python_call", 1)).accepts('find(name="x")')
    needs_one = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    either = ToolDefinition(name="find", parameters=needs_one)
    assert allowed(either, {"a": 1, "b": 2})
    assert not allowed(either, {})


def test_a_tool_without_arguments_gets_none_and_one_that_says_nothing_of_them_any() -> None:
    """An empty list of properties is a list; a schema without one is open."""
    assert not allowed(ToolDefinition(name="ping"), {"a": 1})
    assert allowed(ToolDefinition(name="ping", parameters={"type": "object"}), {"a": 1})
    assert allowed(ToolDefinition(name="ping", parameters={}), {"a": 1})


@pytest.mark.parametrize(
    ("schema", "why", "keyword"),
    [
        ({"type": "string", "pattern": "^a"}, "keyword", "pattern"),
        ({"type": "string", "format": "email"}, "keyword", "format"),
        ({"type": "number", "minimum": 0}, "keyword", "minimum"),
        ({"type": "object", "patternProperties": {"^x": {}}}, "keyword", "patternProperties"),
        ({"not": {"type": "null"}}, "keyword", "not"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "keyword", "oneOf"),
        ({"type": "file"}, "type", "file"),
        ({"$ref": "https://example.org/x"}, "reference", "https://example.org/x"),
        ({"$ref": "#/$defs/Self"}, "endless", "$ref"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "contradiction", "maxItems"),
        ({"allOf": [{"type": "integer"}, {"type": "string"}]}, "contradiction", ""),
        ({"enum": [f"v{i}" for i in range(100_000)]}, "size", "enum"),
        ({"type": "array", "maxItems": 10_000}, "size", "maxItems"),
        (7, "no_schema", ""),
    ],
)
def test_what_is_left_free_is_reported_with_its_reason(schema: Any, why: FreeReason, keyword: str) -> None:
    """And stays possible."""
    offered = tool(schema)
    (part,) = [one for one in argument_shapes(offered).free if one.why == why]
    assert (part.tool, part.keyword) == ("op", keyword)
    assert part.where == ("" if why == "endless" else "v")
    assert not Grammar(arguments_grammar(offered)).undefined()


def test_a_schema_that_limits_can_express_leaves_nothing_free() -> None:
    """So an empty report means that what is allowed validates."""
    body = {
        "a": {"type": "string", "format": "date"},
        "b": {"enum": [1, "x"]},
        "c": {"$ref": "#/$defs/Node"},
        "d": {"type": "object"},
    }
    assert (
        argument_shapes(ToolDefinition(name="f", parameters={"type": "object", "properties": body, "$defs": DEFINITIONS})).free
        == ()
    )


def hostile() -> tuple[Any, ...]:
    """Definitions that multiply, cycles, megabytes of keys and choices, many members, and no schemas at all."""
    laughs = {
        f"d{i}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "abcdefgh"}} for i in range(60)
    }
    cycle: dict[str, Any] = {"type": "object", "properties": {}}
    cycle["properties"]["again"] = cycle
    wide = {"type": "object", "properties": {f"p{i}": {"enum": [f"{i}v{k}" for k in range(9)]} for i in range(100)}}
    return (
        {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": laughs},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/allOf/0"}] * 50},
        cycle,
        {"type": "object", "properties": {"x" * 1_000_000: {"type": "string"}}},
        {"type": "object", "properties": {"a": {"const": "x" * 1_000_000}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"anyOf": [wide] * 50}] * 50}}, "additionalProperties": wide},
        wide,
        {"properties": [1], "required": {"a": 1}, "type": 7, "$defs": None, "anyOf": [], "enum": {}},
        {"properties": {"a": {"$ref": ["#"]}, "b": {"type": [["x"], {}]}, "c": {"enum": [float("nan"), "\ud800"]}, "\ud800": {}}},
        {"allOf": [{"anyOf": [{"properties": {f"p{i}{k}": {}}, "required": [f"p{i}{k}"]} for k in range(8)]} for i in range(40)]},
    )


def test_hostile_schemas_stay_small_in_either_limit() -> None:
    """Whatever a client or a server sends, limits are bounded and whole."""
    for body in hostile():
        tools = tuple(ToolDefinition.model_construct(name=f"t{i}", description="", parameters=body) for i in range(8))
        text = calls_grammar(tools, "json", 2)
        assert len(text) < 1_500_000
        assert not Grammar(text).undefined()
        assert len(json.dumps(calls_schema(tools, 2))) < 1_500_000


@pytest.mark.parametrize("name", sorted(load_variants()))
def test_no_schema_stops_a_variant(name: str) -> None:
    """What is no schema is left free on live traffic, whatever the variant."""
    variant, asked = load_variants()[name], [Message(role="user", content="Find it.")]
    for body in hostile():
        offered = [ToolDefinition.model_construct(name=f"t{i}", description="d", parameters=body) for i in range(2)]
        steps = render(variant, asked, offered)
        next(steps)
        if variant.steps == "choose_then_fill":
            assert steps.send(ReplyContent(text="t1")).constraint is not None
        steps.close()
