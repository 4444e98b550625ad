"""Both limits on output allow the same arguments: those that a tool's schema allows."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from selfopt.records import ToolDefinition
from selfopt.variants.call_schema import arguments_schema
from selfopt.variants.grammar import arguments_grammar
from selfopt.variants.schema_shapes import argument_shapes

from .drawn import PARAMETERS, closed, texts
from .gbnf import Grammar
from .instances import from_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2000, 2000) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "ab", "b", "city", "day"]), inner, max_size=3)
    ),
    max_leaves=6,
)


class Limits:
    """The two limits on the arguments of a tool with this schema."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.tool = ToolDefinition(name="op", parameters=parameters)
        self.shapes = argument_shapes(self.tool)
        self.grammar = Grammar(arguments_grammar(self.tool))
        self.sent = jsonschema.Draft202012Validator(arguments_schema(self.tool))
        self.meant = jsonschema.Draft7Validator(closed(parameters))

    def by_grammar(self, value: Any) -> bool:
        """Whether the grammar allows one of the ways to write a value."""
        ways = [*texts(self.shapes, value), json.dumps(value, ensure_ascii=False)]
        return any(self.grammar.accepts(way) for way in ways)


def plain(value: Any) -> bool:
    """Whether a value has neither a whole number that is written as a fraction nor half a character."""
    if isinstance(value, float):
        return not value.is_integer()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() == value
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return all(map(plain, inner))


SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@SOME
@given(PARAMETERS, st.data())
def test_what_a_schema_allows_both_limits_allow(parameters: dict[str, Any], data: st.DataObject) -> None:
    """No right answer is made impossible."""
    limits = Limits(parameters)
    value = data.draw(from_schema(closed(parameters)))
    assume(plain(value))
    assert limits.sent.is_valid(value)
    assert limits.by_grammar(value), value


@SOME
@given(PARAMETERS, st.data())
def test_what_a_limit_allows_the_other_allows_and_the_schema_too(parameters: dict[str, Any], data: st.DataObject) -> None:
    """Up to what the report says is left free."""
    limits = Limits(parameters)
    near = (
        from_schema(closed(data.draw(PARAMETERS)))
        if data.draw(st.booleans())
        else st.dictionaries(st.sampled_from(["a", "ab", "b"]), JSON)
    )
    value = data.draw(near)
    assume(plain(value))
    allowed = limits.sent.is_valid(value)
    assert limits.by_grammar(value) == allowed
    if allowed and not limits.shapes.free:
        limits.meant.validate(value)
