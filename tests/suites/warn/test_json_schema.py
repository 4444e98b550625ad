"""Values against the JSON Schema of an argument."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.suites.warn.json_schema import schema_problem


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        ("x", {"type": "integer"}, "'x' is not of type integer"),
        ("x", {"type": ["integer", "null"]}, "integer or null"),
        ("huge", {"enum": ["small", "large"]}, "not in the enum ('small', 'large')"),
        ("b", {"const": "a"}, "'b' is not 'a'"),
        (0, {"minimum": 1}, "0 is below the minimum 1"),
        ("0", {"type": "integer", "minimum": 1}, "0 is below the minimum 1"),
        (9, {"maximum": 8}, "above the maximum"),
        (1, {"exclusiveMinimum": 1}, "not above 1"),
        (1, {"exclusiveMaximum": 1}, "not below 1"),
        (7, {"multipleOf": 5}, "not a multiple of 5"),
        ("", {"minLength": 1}, "0 characters, at least 1"),
        ("abc", {"maxLength": 2}, "3 characters, at most 2"),
        ([], {"minItems": 1}, "0 items, at least 1"),
        ([1, 1], {"uniqueItems": True}, "an item twice"),
        ([1, "x"], {"items": {"type": "integer"}}, "'x' is not of type integer"),
        ({}, {"required": ["a"]}, "'a' is missing"),
        ({"a": 1}, {"properties": {"a": {"type": "string"}}}, "'a': 1 is not of type string"),
        ({"b": 1}, {"properties": {}, "additionalProperties": False}, "'b' is not one of its properties"),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "another branch of anyOf"),
        (3, {"allOf": [{"minimum": 1}, {"maximum": 2}]}, "above the maximum 2"),
        ("x", {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "not of type integer"),
    ],
)
def test_what_does_not_fit_is_told_in_words(value: Any, schema: dict[str, Any], said: str) -> None:
    """Each keyword that tools use."""
    assert said in str(schema_problem(value, schema))


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("Celsius", {"enum": ["celsius"]}),
        ("3", {"type": "integer", "minimum": 1}),
        (0.3, {"multipleOf": 0.1}),
        ("x", {"type": "string", "format": "date", "pattern": "^y$"}),
        (1, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("x", {"$ref": "other.json#/a"}),
        ("x", {"$ref": "#/nowhere"}),
        (1, True),
        (1, {"minimum": "1", "anyOf": 3, "allOf": 3, "required": 3, "enum": 3}),
    ],
)
def test_what_the_scorer_reads_leniently_and_what_is_unknown_fits(value: Any, schema: Any) -> None:
    """Formats, patterns, foreign references and broken keywords say nothing."""
    assert schema_problem(value, schema) is None


def test_a_schema_that_refers_to_itself_ends() -> None:
    """No recursion without end."""
    assert schema_problem([], {"$ref": "#"}) is None


_SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "array", "object", "boolean"]),
        "enum": st.lists(st.integers(0, 3), min_size=1, max_size=2),
        "minimum": st.integers(0, 3),
        "exclusiveMaximum": st.integers(0, 3),
        "minItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "items": st.just({"type": "integer"}),
        "required": st.just(["a"]),
        "properties": st.just({"a": {"minimum": 2}}),
        "additionalProperties": st.booleans(),
    },
)
_VALUES = st.integers(0, 4) | st.lists(st.integers(0, 3), max_size=3) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 3))


@given(value=_VALUES, schema=_SCHEMAS)
def test_the_verdict_is_that_of_the_reference_implementation(value: Any, schema: dict[str, Any]) -> None:
    """For values without text, where no leniency plays a part."""
    assert (schema_problem(value, schema) is None) == jsonschema.Draft202012Validator(schema).is_valid(value)
