"""Numbers that JSON has no value for."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.reading import calls_within, read, read_calls
from selfopt.records import Correction, ReplyContent, ToolDefinition

from .test_native import reported

NUMBERS = ("NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 5000)
ASKED: tuple[dict[str, Any], ...] = (
    {"type": "number"},
    {"type": "integer"},
    {"type": ["number", "null"]},
    {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
)
ALLOWED: tuple[dict[str, Any], ...] = ({"type": "string"}, {"type": ["string", "number"]}, {})


def tools(schema: dict[str, Any]) -> tuple[ToolDefinition, ...]:
    """One tool with an argument of this schema."""
    return (ToolDefinition(name="f", parameters={"type": "object", "properties": {"v": schema}, "required": ["v"]}),)


@pytest.mark.parametrize("written", NUMBERS)
@pytest.mark.parametrize("schema", [*ASKED, {"type": "array", "items": {"type": "number"}}])
def test_a_reported_call_is_not_mended_by_a_text_in_the_place_of_a_number(schema: dict[str, Any], written: str) -> None:
    """It stays a call that can't be read, so that the client gets it as it came."""
    given = f"[1, {written}]" if schema.get("type") == "array" else written
    parsed = read_calls(("all@2",), reported(("f", f'{{"v": {given}}}')), tools(schema))
    assert (parsed.tool_calls, parsed.unread) == ((), "native")


@pytest.mark.parametrize("written", NUMBERS)
@pytest.mark.parametrize("schema", ALLOWED)
def test_a_reported_call_takes_the_text_where_the_schema_allows_one(schema: dict[str, Any], written: str) -> None:
    """Then nothing is lost."""
    (call,) = read_calls(("all@2",), reported(("f", f'{{"v": {written}}}')), tools(schema)).tool_calls
    assert call.arguments == {"v": written}
    assert type(call.arguments["v"]) is str


def test_a_reported_call_of_an_unknown_tool_is_not_mended_so() -> None:
    """Nobody knows what it asks for."""
    assert read_calls(("all@2",), reported(("g", '{"v": NaN}')), tools({})).tool_calls == ()


@pytest.mark.parametrize("written", NUMBERS)
@pytest.mark.parametrize("chain", [("all@2",), ("all@2", "fit@2")])
def test_a_call_in_a_text_keeps_what_was_written_and_tells_that_it_does_not_fit(chain: tuple[str, ...], written: str) -> None:
    """Once, whether the chain fits calls or not; the gateway makes no call of it."""
    text = f'{{"name": "f", "arguments": {{"v": {written}}}}}'
    for schema in ASKED:
        parsed = read_calls(chain, ReplyContent(text=text), tools(schema))
        assert parsed.tool_calls[0].arguments == {"v": written}
        assert parsed.corrections == (Correction(kind="not_fitted", tool="f", argument="v"),)
        assert calls_within(text, tools(schema)).calls == ()
    for schema in ALLOWED:
        assert calls_within(text, tools(schema)).calls[0].arguments == {"v": written}


@pytest.mark.parametrize("text", ["f(v=NaN)", '<tool_call>{"name": "f", "arguments": {"v": NaN}}</tool_call>', "[f(v=1e400)]"])
def test_it_is_told_in_every_notation(text: str) -> None:
    """That a text stands for a number."""
    parsed = read_calls(("all@2",), ReplyContent(text=text), tools({"type": "number"}))
    assert [made.kind for made in parsed.corrections] == ["not_fitted"]
    assert type(read(text, tools({"type": "number"})).tool_calls[0].arguments["v"]) is str


def test_a_text_in_quotes_is_what_the_model_wrote() -> None:
    """Whether it fits is not the reader's matter."""
    parsed = read_calls(("all@2",), ReplyContent(text='{"name": "f", "arguments": {"v": "NaN"}}'), tools({"type": "number"}))
    assert (parsed.tool_calls[0].arguments, parsed.corrections) == ({"v": "NaN"}, ())
