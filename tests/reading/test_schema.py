"""Schemas are followed through references and unions, and text takes the type that they ask for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.schema import Fitter, allows_string, arguments_of, knows, options, resolved, typed_text

ROOT = {
    "$defs": {"Z": {"type": "string"}, "N": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    "definitions": {"a/b": {"const": 7}},
}
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
NAMES = st.sampled_from(["a", "b", "c"])
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "dict"])


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(KINDS, st.lists(KINDS, max_size=3)),
            "enum": st.lists(SCALARS, max_size=3),
            "const": SCALARS,
            "items": inner,
            "prefixItems": st.lists(inner, max_size=2),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, max_size=2),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "anyOf": st.lists(inner, max_size=3),
            "oneOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "$ref": st.sampled_from(["#", "#/$defs/X", "#/properties/a", "nowhere", "#/$defs/none"]),
            "nullable": st.booleans(),
        },
    )


SCHEMAS: st.SearchStrategy[Any] = st.recursive(st.one_of(st.none(), st.booleans(), st.just({})), _larger, max_leaves=8)
ROOTS = st.fixed_dictionaries({"$defs": st.fixed_dictionaries({"X": SCHEMAS}), "properties": st.dictionaries(NAMES, SCHEMAS)})


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        ({}, True),
        ({"type": "string"}, True),
        ({"type": ["integer", "string"]}, True),
        ({"$ref": "#/$defs/Z"}, True),
        ({"$ref": "#/$defs/N"}, False),
        ({"$ref": "#/components/schemas/Z"}, True),
        ({"enum": ["1"]}, True),
        ({"enum": [1]}, False),
        ({"const": "x"}, True),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, False),
        ({"oneOf": [{"type": "integer"}, {"type": "array"}]}, False),
        ({"$ref": "#/$defs/unknown"}, True),
    ],
)
def test_whether_a_text_is_allowed_is_found_through_references_and_unions(schema: Any, allowed: bool) -> None:
    assert allows_string(schema, ROOT) is allowed


@pytest.mark.parametrize(
    ("raw", "schema", "value"),
    [
        ("5", {"type": ["string", "integer"]}, "5"),
        ("5", {"type": ["integer", "null"]}, 5),
        (" 5 ", {"type": "integer"}, 5),
        ("007", {"type": "string"}, "007"),
        ("1.5", {"const": 1.5}, 1.5),
        ("2", {"enum": [1, 2]}, 2),
        ("7", {"$ref": "#/definitions/a~1b"}, 7),
        ("null", {"type": "string"}, "null"),
        ("null", {"type": "string", "nullable": True}, None),
        ("null", {"$ref": "#/$defs/N"}, None),
        ("True", {"type": "boolean"}, True),
        ("yes", {"type": "boolean"}, "yes"),
        ('{"a": "1"}', {"anyOf": [{"type": "object"}, {"type": "null"}]}, {"a": "1"}),
        ('{"a": 1}', {"type": ["string", "object"]}, '{"a": 1}'),
        ("['a', 'b']", {"type": "array"}, ["a", "b"]),
        ("a, b", {"type": "array", "items": {"type": "string"}}, "a, b"),
        ("celsius", {"enum": ["Celsius"]}, "celsius"),
        ("1,5", {"type": "number"}, "1,5"),
        ("2026-01-02", {"type": "string", "format": "date"}, "2026-01-02"),
        ("", {"type": "integer"}, ""),
    ],
)
def test_text_stays_where_it_is_allowed_and_else_takes_the_type_of_the_schema(raw: str, schema: Any, value: Any) -> None:
    found = typed_text(raw, schema, ROOT)
    assert found == value
    assert type(found) is type(value)


def test_a_schema_without_end_is_followed_for_a_while() -> None:
    circle: dict[str, Any] = {"anyOf": [{"$ref": "#"}] * 30, "allOf": [{"$ref": "#"}] * 30}
    assert len(options(circle, circle)) <= 32
    assert Fitter(circle).fit("x", circle) == ("x", True)


def test_arguments_of_alternatives_are_those_of_all_and_only_shared_ones_are_required() -> None:
    one = {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "b"]}
    schema = arguments_of({"anyOf": [one, {"properties": {"a": {"type": "string"}}, "required": ["a"]}]})
    assert set(schema["properties"]) == {"a", "b"}
    assert schema["required"] == ["a"]
    assert [part["type"] for part in options(schema["properties"]["a"], {})] == ["integer", "string"]


def test_a_schema_that_lists_names_knows_no_others_unless_it_says_so() -> None:
    parts: dict[str, Any] = {"properties": {"a": {}}}
    assert not knows(parts, "b")
    assert knows({**parts, "additionalProperties": {"type": "string"}}, "b")
    assert knows({**parts, "patternProperties": {"^x-": {}}}, "x-b")
    assert not knows({**parts, "patternProperties": {"^x-": {}}}, "b")
    assert knows({}, "b")
    assert not knows({"properties": {}, "additionalProperties": False}, "b")


@given(st.text(max_size=20), SCHEMAS, ROOTS)
def test_no_schema_raises_and_what_is_allowed_stays(raw: str, schema: Any, root: dict[str, Any]) -> None:
    resolved(schema, root)
    arguments_of(root)
    value = typed_text(raw, schema, root)
    if isinstance(value, str):
        assert value == raw


@given(VALUES, SCHEMAS, ROOTS)
def test_what_fits_is_not_touched_and_fitting_twice_is_fitting_once(value: Any, schema: Any, root: dict[str, Any]) -> None:
    fitter = Fitter(root)
    once, whole = fitter.fit(value, schema)
    if fitter.fits(value, schema):
        assert once is value
    assert whole is fitter.fits(once, schema)
    assert fitter.fit(once, schema) == (once, whole)


@given(SCHEMAS, ROOTS)
def test_a_schema_alone_has_the_alternatives_that_it_has_within_another(schema: Any, root: dict[str, Any]) -> None:
    """What needs no following is what following gives."""
    assert options(schema, root) == options({"allOf": [schema]}, root)


@given(VALUES, st.lists(VALUES, max_size=8))
def test_a_choice_is_the_same_among_few_and_among_many(value: Any, choices: list[Any]) -> None:
    """However it is looked for."""
    few, many = {"enum": choices}, {"enum": [*choices, *(f"another choice {number}" for number in range(100))]}
    assert Fitter({}).fits(value, few) == Fitter({}).fits(value, many)
