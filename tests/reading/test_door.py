"""The public door: `selfopt.reading.read`."""

from __future__ import annotations

import doctest
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError, VariantError
from selfopt.reading import FAMILIES, READERS, Family, Found, door, read, read_calls
from selfopt.records import ReplyContent, ToolCall, ToolDefinition
from tests.examples import some_of

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "city_weather", "description": None, "parameters": {"type": "object", "properties": {"city": {}}}},
}
CALL = '{"name": "city_weather", "arguments": {"city": "Graz"}}'
GRAZ = (ToolCall(name="city_weather", arguments={"city": "Graz"}),)


def test_the_example_of_the_docstring_is_true() -> None:
    """Run as a doctest."""
    assert doctest.testmod(door).attempted == 3
    assert doctest.testmod(door).failed == 0


@pytest.mark.parametrize("tools", [[WEATHER], [WEATHER["function"]], (ToolDefinition(name="city_weather"),)])
def test_tools_are_taken_as_dicts_and_as_records(tools: Any) -> None:
    """As in a request, the function alone, or typed."""
    assert read(CALL, tools).tool_calls == GRAZ


@pytest.mark.parametrize("tool", [3, {}, {"function": 3}, {"type": "function", "function": {"name": 3}}])
def test_a_tool_of_no_known_form_is_named(tool: Any) -> None:
    """With its place and with the form that is taken."""
    with pytest.raises(UsageError, match=r"tools\[1\].*a tool is"):
        read("hello", [WEATHER, tool])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (CALL, ""),
        (f"Sure.\n```json\n{CALL}\n```\nDone.", "Sure.\nDone."),
        (f"Sure. <tool_call>\n{CALL}\n</tool_call>", "Sure."),
        (f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}", ""),
        ("<tool_call>\n<function=city_weather>\n<parameter=city>\nGraz\n</parameter>\n</function>\n</tool_call>", ""),
        ('<|tool_call_start|>[city_weather(city="Graz")]<|tool_call_end|>Here it is.', "Here it is."),
        (f"<|python_tag|>{CALL}; {CALL}", ""),
        ('First:\ncity_weather(city="Graz")\nThen I tell you.', "First:\n\nThen I tell you."),
        ("The weather in Graz is fine.", "The weather in Graz is fine."),
    ],
)
def test_the_text_is_what_is_left_without_the_calls(text: str, left: str) -> None:
    """Without their marks, and without fences that are empty then."""
    got = read(text, [WEATHER])
    assert (got.text, got.unread) == (left, None)
    assert set(map(str, got.tool_calls)) <= {str(GRAZ[0])}


def test_calls_in_thinking_are_no_calls() -> None:
    """Also where the chat template had opened it, closed or not."""
    got = read(f"<think>{CALL}?</think>Hello.", [WEATHER])
    assert (got.tool_calls, got.text, got.thinking) == ((), "Hello.", f"{CALL}?")
    assert read(f"{CALL}</think>Hello.", [WEATHER], thinking_opened=True).text == "Hello."
    cut = read(CALL, [WEATHER], thinking_opened=True)
    assert (cut.tool_calls, cut.text, cut.thinking) == ((), "", CALL)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('<tool_call>{"name": "city_wea', "hermes"),
        ("<tool_call>", "hermes"),
        ("<tool_call>city_weather<arg_key>city</arg_key>", "glm47"),
        ('[TOOL_CALLS] [{"name": "city_weather", "argu', "mistral"),
        ("<function=city_wea", "qwen_coder"),
        ("Write calls in <tool_call> tags.", None),
        ('<tool_call>{"city": "Graz"}</tool_call>', None),
        ("none", None),
        ('<tool_call>{"name": "none"}</tool_call>', None),
    ],
)
def test_a_call_that_cannot_be_read_is_named_by_its_family(text: str, family: str | None) -> None:
    """Data between the marks, a mention of them, or a plain no is not one."""
    got = read(text, [WEATHER])
    assert (got.tool_calls, got.unread, got.text) == ((), family, text)


@settings(max_examples=some_of(300), deadline=None)
@given(st.text(max_size=300), st.booleans())
def test_no_text_makes_it_raise(text: str, opened: bool) -> None:
    """And what is shown is text of the reply."""
    got = read(text, [WEATHER], thinking_opened=opened)
    assert got.tool_calls or got.text in text


@pytest.mark.parametrize(
    "piece", ["<think></think>", "<tool_call>", "</tool_call>", f"{CALL}\n", "```\n", " ", "{", "<function=", ";"]
)
def test_ten_megabytes_cost_bounded_time(piece: str) -> None:
    """Whatever is repeated, before a call and after it."""
    many = piece * (10_000_000 // len(piece))
    began = time.process_time()
    for text in (many, CALL + many, many[:200_000] + CALL + many):
        read(text, [WEATHER])
    assert time.process_time() - began < 10.0


def test_the_next_family_is_a_row() -> None:
    """A chain names it and the door names it where it is not read; what `xml` reads stays as it was."""
    row = Family(
        name="glm",
        reader="marked",
        marks=("<tool_call>{name}\n", "</tool_call>"),
        body="parameters",
        parameter=("<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>"),
    )
    tools = (ToolDefinition(name="city_weather", parameters={"properties": {"days": {"type": "integer"}}}),)
    calls = (ToolCall(name="city_weather", arguments={"city": "Graz", "days": 3}), ToolCall(name="city_weather"))
    with FAMILIES.adding("glm", row):
        assert read_calls(("glm",), ReplyContent(text=row.write(calls)), tools).tool_calls == calls
        assert read_calls(("xml",), ReplyContent(text=row.write(calls)), tools).tool_calls == ()


class Shouted:
    """A reader as somebody else may write it."""

    version = 2

    def read(self, content: ReplyContent, tools: Any) -> Found:
        """CALL! is a call."""
        if "CRASH" in content.text:
            raise RuntimeError("no such text was expected")
        return Found(GRAZ, "shouted", [(0, 5)]) if content.text.startswith("CALL!") else Found()


def test_a_reader_of_an_installed_package_reads_where_a_chain_names_it() -> None:
    """In its version; elsewhere only the door's hint hears of it, and it can do no harm there."""
    with READERS.adding("shouted", Shouted()):
        reply = ReplyContent(text="CALL!")
        assert read_calls(("json", "shouted@2"), reply, ()).parser == "shouted@2"
        assert read_calls(("json",), reply, ()).status == "text"
        assert read("CALL!", [WEATHER]).unread == "shouted"
        assert read("CRASH", [WEATHER]).unread is None
        with pytest.raises(VariantError, match="reader 'shouted@2' failed with RuntimeError"):
            read_calls(("shouted@2",), ReplyContent(text="CRASH"), ())


@pytest.mark.parametrize("name", ["shouted", "shouted@1", "shouted@3", "absent", "fit@9"])
def test_a_chain_that_names_what_is_not_here_is_refused(name: str) -> None:
    """Another version is another reader."""
    with READERS.adding("shouted", Shouted()), pytest.raises(VariantError, match=name):
        read_calls((name,), ReplyContent(text="CALL!"), ())
