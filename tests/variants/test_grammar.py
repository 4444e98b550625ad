"""Grammars built from tools: what they accept, and that any schema gives a bounded, well-formed one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.families import write_calls
from selfopt.records import CallFormat, ReplyContent, ToolCall, ToolDefinition
from selfopt.variants.call_schema import arguments_schema, calls_schema, choice_schema
from selfopt.variants.grammar import arguments_grammar, calls_grammar, choice_grammar
from tests.examples import some_of

from .gbnf import Grammar

LAMP = ToolDefinition(
    name="set_lamp",
    parameters={
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", 'gr"een', 3]},
            "room": {"type": "string"},
            "level": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "where": {"type": "object", "properties": {"floor": {"type": "integer"}}, "required": ["floor"]},
            "dim": {"type": ["boolean", "null"]},
            "on": {"type": "string", "description": "Day as YYYY-MM-DD."},
            "at": {"type": "string", "description": "HH:MM"},
        },
        "required": ["room"],
    },
)
PING = ToolDefinition(name="ping")
FORMATS: list[CallFormat] = ["json", "xml", "bracket", "python_call"]


@pytest.mark.parametrize("call_format", FORMATS)
def test_none_one_and_several_calls_are_accepted_as_they_are_written(call_format: CallFormat) -> None:
    """What a prompt shows as a call is what the grammar lets the model write."""
    grammar = Grammar(calls_grammar((LAMP, PING), call_format, 3))
    lamp = ToolCall(name="set_lamp", arguments={"room": "hall", "colour": 'gr"een', "level": 3})
    everything = ToolCall(
        name="set_lamp",
        arguments={"room": "a b", "tags": ["x", "y"], "where": {"floor": -2}, "dim": None, "on": "2031-06-09", "at": "08:30"},
    )
    for calls in ([], [lamp], [everything], [ToolCall(name="ping"), lamp]):
        assert grammar.accepts(write_calls(calls, call_format)), calls
    assert not grammar.undefined()


@pytest.mark.parametrize(
    "text",
    [
        "None of these",
        '{"name": "door", "arguments": {}}',
        '{"name": "set_lamp", "arguments": {}}',
        '{"name": "set_lamp", "arguments": {"room": "x", "colour": "blue"}}',
        '{"name": "set_lamp", "arguments": {"room": "x", "level": "3"}}',
        '{"name": "set_lamp", "arguments": {"room": "x", "tags": ["a", "b", "c"]}}',
        '{"name": "set_lamp", "arguments": {"room": "x", "at": "8 o\'clock"}}',
        "",
    ],
)
def test_anything_else_is_not_accepted(text: str) -> None:
    """Unknown tools, missing required and mistyped arguments cannot be written."""
    assert not Grammar(calls_grammar((LAMP, PING), "json", 2)).accepts(text)


def test_the_number_of_calls_is_bounded() -> None:
    """max_calls is the most that fits."""
    grammar = Grammar(calls_grammar((PING,), "json", 2))
    call = '{"name": "ping", "arguments": {}}'
    assert grammar.accepts(f"[{call}, {call}]")
    assert not grammar.accepts(f"[{call}, {call}, {call}]")


def test_a_choice_is_none_or_names() -> None:
    """And nothing else."""
    grammar = Grammar(choice_grammar((LAMP, PING), 2))
    assert [grammar.accepts(t) for t in ("none", "ping", "set_lamp, ping", "ping, ping, ping", "door")] == [True] * 3 + [
        False
    ] * 2
    assert Grammar(choice_grammar((), 2)).accepts("none")
    assert Grammar(calls_grammar((), "json", 2)).accepts("none")


def test_copied_text_is_a_run_of_words_of_one_clause() -> None:
    """Dates and times in figures are kept; a bare 8:30 may be morning or evening."""
    said = ["Light the blue hall, please. Do it on 2031-06-09 at 8:30 or 14:00"]
    grammar = Grammar(arguments_grammar(LAMP, said))
    assert grammar.accepts('{"room": "blue hall"}')
    assert not grammar.accepts('{"room": "hall please"}')
    assert not grammar.accepts('{"room": "attic"}')
    assert grammar.accepts('{"room": "hall", "on": "2031-06-09", "at": "20:30"}')
    assert not grammar.accepts('{"room": "hall", "at": "02:00"}')
    assert not grammar.accepts('{"room": "hall", "on": "2031-06-10"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
WORDS = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "format",
    "description",
    "maxItems",
    "minItems",
]
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "null", "array", "object", "file", ["string", "null"]])
SCHEMAS = st.recursive(
    JSON | st.fixed_dictionaries({"type": TYPES}),
    lambda inner: (
        st.dictionaries(st.sampled_from(WORDS), inner | st.lists(inner, max_size=3) | TYPES, max_size=5)
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=6), inner, max_size=4)},
            optional={"required": st.lists(st.text(max_size=6), max_size=3)},
        )
    ),
    max_leaves=20,
)


@settings(max_examples=some_of(200), deadline=None)
@given(
    st.text(max_size=12),
    st.dictionaries(st.text(max_size=8), SCHEMAS, max_size=5),
    st.sampled_from(FORMATS),
    st.text(max_size=60),
)
def test_any_schema_gives_a_well_formed_grammar_and_schema(
    name: str, parameters: dict[str, Any], call_format: CallFormat, said: str
) -> None:
    """Whatever a tool's schema says: every rule is defined, and no builder raises."""
    tools = (ToolDefinition.model_construct(name=name, description="", parameters=parameters), PING)
    grammars = [calls_grammar(tools, call_format, 2), choice_grammar(tools, 2), arguments_grammar(tools[0], [said])]
    for text in grammars:
        assert not Grammar(text).undefined()
    json.dumps([calls_schema(tools, 2), choice_schema(tools, 2), arguments_schema(tools[0])])


def test_hostile_schemas_cost_no_more_than_honest_ones() -> None:
    """Depth, width, enumerations and names are bounded."""
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(2_000):
        deep = {"type": "object", "properties": {"a": deep, "b": deep}, "required": ["a"]}
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5_000)}}
    choice = {"type": "object", "properties": {"c": {"enum": ["x" * 1_000] * 10_000}, "n" * 100_000: {"type": "string"}}}
    for parameters in (deep, wide, choice):
        tool = ToolDefinition.model_construct(name="t", description="", parameters=parameters)
        text = calls_grammar((tool,), "json", 4)
        assert len(text) < 200_000
        assert not Grammar(text).undefined()
        assert Grammar(calls_grammar((tool,), "json", 1)).accepts("none")


def test_names_with_quotes_and_line_ends_stay_inside_their_literals() -> None:
    """A name cannot break out of the grammar."""
    name = 'a" | root ::= "x\n\\'
    tool = ToolDefinition(name=name, parameters={"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
    call = ToolCall(name=name, arguments={name: "v"})
    grammar = Grammar(calls_grammar((tool,), "json", 1))
    assert grammar.accepts(write_calls([call], "json"))
    assert set(grammar.rules) >= {"root"}
    assert not grammar.accepts("x")


def test_what_a_schema_constraint_allows_is_read_back() -> None:
    """The parsers read {"tool_calls": [...]}, and an empty list as none."""
    assert calls_schema((PING,), 2)["properties"]["tool_calls"]["maxItems"] == 2
    report = read_calls(("json",), ReplyContent(text='{"tool_calls": [{"name": "ping", "arguments": {}}]}'), (PING,))
    assert report.tool_calls == (ToolCall(name="ping"),)
    assert read_calls(("json",), ReplyContent(text='{"tool_calls": []}'), (PING,)).status == "explicit_none"


def test_a_required_call_leaves_no_way_out() -> None:
    """Everything else is as without; where there are no tools, "none" is all that is left."""
    grammars = [calls_grammar((LAMP, PING), "json", 2, required) for required in (False, True)]
    choices = [choice_grammar((LAMP, PING), 2, required) for required in (False, True)]
    for free, must in (grammars, choices):
        assert Grammar(free).accepts("none")
        assert not Grammar(must).accepts("none")
        assert free.replace('"none" | ', "", 1) == must
    assert Grammar(calls_grammar((), "json", 2, True)).accepts("none")
    assert calls_schema((PING,), 2, True)["properties"]["tool_calls"]["minItems"] == 1
    assert choice_schema((PING,), 2, True)["minItems"] == 1
    assert "minItems" not in choice_schema((), 2, True)
