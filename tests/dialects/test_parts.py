"""Native tool calls in every form that servers send, and thinking in every field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.dialects.anthropic import Anthropic
from selfopt.dialects.kinds import Dialect
from selfopt.dialects.ollama import Ollama
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.parts import Parts, calls_of
from selfopt.records import ToolCall
from tests.endpoints.kit import config_for

URL = "http://127.0.0.1:9"
OPENAI: Dialect = OpenAIChat(config_for("openai_compatible", URL))
OLLAMA: Dialect = Ollama(config_for("ollama", URL))
ANTHROPIC: Dialect = Anthropic(config_for("anthropic", URL))
GRAZ = ToolCall(name="city_weather", arguments={"city": "Graz"})
TEXT = json.dumps(GRAZ.arguments)


def openai(**message: Any) -> Any:
    return {"choices": [{"message": {"content": None, **message}, "finish_reason": "stop"}]}


def ollama(**message: Any) -> Any:
    return {"message": {"content": None, **message}, "done": True}


@pytest.mark.parametrize("arguments", [TEXT, GRAZ.arguments])
@pytest.mark.parametrize(("dialect", "reply"), [(OPENAI, openai), (OLLAMA, ollama)])
def test_calls_in_every_form_are_taken(dialect: Dialect, reply: Any, arguments: Any) -> None:
    """In a list, as one object, by index, without `function`, and in the field of before."""
    function = {"name": "city_weather", "arguments": arguments}
    for message in (
        {"tool_calls": [{"function": function}]},
        {"tool_calls": [function]},
        {"tool_calls": {"function": function}},
        {"tool_calls": {"0": {"function": function}}},
        {"tool_calls": None, "function_call": function},
        {"tool_calls": [], "function_call": function},
    ):
        content = dialect.decode_reply(reply(**message)).content()
        assert (content.tool_calls, content.finish_reason) == ((GRAZ,), "tool_calls")


def test_one_call_in_two_fields_is_one() -> None:
    """Some servers fill the new field and the old one."""
    function = {"name": "city_weather", "arguments": TEXT}
    assert len(list(calls_of({"tool_calls": [{"function": function}], "function_call": function}))) == 1


@pytest.mark.parametrize("arguments", [TEXT, GRAZ.arguments])
@pytest.mark.parametrize("field", ["function_call", "one", "list"])
def test_a_streamed_call_in_every_form_is_taken(field: str, arguments: Any) -> None:
    """Name and arguments in pieces of their own."""
    decoder = OPENAI.decoder()
    for function in ({"name": "city_weather", "arguments": ""}, {"arguments": arguments}):
        call = {"function": function}
        delta = {"function_call": function} if field == "function_call" else {"tool_calls": call if field == "one" else [call]}
        decoder.add({"choices": [{"delta": delta}]})
    assert decoder.done().tool_calls == [GRAZ]


def test_what_follows_a_broken_call_waits_for_the_end() -> None:
    """The broken call may be mended, and comes first."""
    decoder, lines = OPENAI.decoder(), OLLAMA.decoder()
    for index, arguments in enumerate((TEXT, "{", TEXT, TEXT)):
        function = {"name": "city_weather", "arguments": arguments}
        decoder.add({"choices": [{"delta": {"tool_calls": [{"index": index, "function": function}]}}]})
        lines.add({"message": {"content": "", "tool_calls": [{"function": function}]}})
        assert len(decoder.ended()) == (index == 1)
        assert len(lines.ended()) == (index == 0)
    parts = decoder.done()
    assert (len(parts.tool_calls), [json.loads(one)["at"] for one in parts.broken]) == (3, [1])


def test_anthropics_blocks_are_taken_in_every_form() -> None:
    """One block in place of a list, and an input that is a text."""
    block = {"type": "tool_use", "name": "city_weather", "input": TEXT}
    for content in (block, [block], [{**block, "input": GRAZ.arguments}]):
        assert ANTHROPIC.decode_reply({"content": content}).tool_calls == [GRAZ]


@pytest.mark.parametrize("text", ["<think>b</think>x", "[THINK]b[/THINK]x", "<|channel>thought\nb<channel|>x", "b\n</think>\nx"])
def test_thinking_in_the_text_joins_the_servers_own(text: str) -> None:
    """Whatever its marks."""
    content = Parts(text=text, thinking="a\n").content()
    assert (content.text, content.thinking) == ("x", "a\nb")
