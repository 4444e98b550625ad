"""Calls between marks: damage, mixtures, values that hold marks, and what is no call."""

from __future__ import annotations

import time
from typing import Any

import pytest

from selfopt.reading.families import FAMILIES
from selfopt.reading.readers.marked import READER
from selfopt.records import ReplyContent, ToolDefinition

TOOLS = (
    ToolDefinition(name="city_weather", parameters={"properties": {"city": {"type": "string"}}, "required": ["city"]}),
    ToolDefinition(name="write_note", parameters={"properties": {"text": {"type": "string"}, "title": {"type": "string"}}}),
    ToolDefinition(name="list_alarms"),
)
GRAZ, BERN = ("city_weather", {"city": "Graz"}), ("city_weather", {"city": "Bern"})


def read(text: str) -> list[tuple[str, dict[str, Any]]]:
    reply = ReplyContent.model_construct(text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")
    return [(call.name, dict(call.arguments)) for call in READER.read(reply, TOOLS).calls]


def note(text: str) -> str:
    return f"<tool_call>\n<function=write_note>\n<parameter=text>\n{text}\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize(
    "text",
    [
        "use </parameter> in it",
        "see <function=g> and <tool_call> here",
        "</function>",
        "first </parameter> and </function> and </tool_call> of it",
        "<parameter=other>",
        note("a call"),
        "Write\n" + note("a call") + "\nto write.",
        '<tool_call>\n{"name": "city_weather", "arguments": {"city": "Graz"}}\n</tool_call> calls it',
        "  &lt;b&gt; \n\n",
    ],
)
def test_marks_within_a_value_are_text(text: str) -> None:
    """Alone, and where another call follows."""
    assert read(note(text)) == [("write_note", {"text": text})]
    assert read(note(text) + "\n" + note("more")) == [("write_note", {"text": text}), ("write_note", {"text": "more"})]


@pytest.mark.parametrize(
    "text",
    [
        "<function=city_weather>\n<parameter=city>\nGraz\n<function=city_weather>\n<parameter=city>\nBern\n</parameter>\n</function>",
        "<tool_call>\n<function=city_weather>\n<parameter=city>\nGraz\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=city_weather>\n<parameter=city>\nBern\n</function>\n</tool_call>",
        "<tool_call>city_weather<arg_key>city</arg_key><arg_value>Graz</tool_call>"
        "<tool_call>city_weather<arg_key>city</arg_key><arg_value>Bern</tool_call>",
        '<tool_call>{"name": "city_weather", "arguments": {"city": "Graz"}<tool_call>{"name": "city_weather", "arguments": {"city": "Bern"}',
        'city_weather{"city": "Graz"}[TOOL_CALLS]city_weather{"city": "Bern"}',
        'city_weather\n{"city": "Graz"}>>>city_weather\n{"city": "Bern"}',
        'assistantcommentary to=functions.city_weather json{"city": "Graz"}assistantcommentary to=functions.city_weather json{"city": "Bern"}',
    ],
)
def test_lost_heads_and_tails_lose_no_call(text: str) -> None:
    """Of two calls."""
    assert read(text) == [GRAZ, BERN]


@pytest.mark.parametrize(
    "text",
    [
        "Write calls in <tool_call> tags.",
        "<tool_call></tool_call>",
        'The format would be: <tool_call>{"name": "city_weather", "arguments": {"city": "X"}}</tool_call> - shall I?',
        'Say `<tool_call>{"name": "city_weather", "arguments": {"city": "X"}}</tool_call>` for it.',
        '```xml\n<tools><tool name="hammer">steel</tool></tools>\n```',
        '<function name="f"><body/></function>',
        "Use <function=city_weather> in the template.",
        '<tools>[{"type": "function", "function": {"name": "city_weather", "parameters": {"properties": {"city": {}}}}}]</tools>',
        '<tool_response>\n<tool_call>{"name": "city_weather", "arguments": {"city": "Graz"}}</tool_call>\n</tool_response>',
        '<function=city_weather>{"type": "object", "properties": {"city": {"type": "string"}}}</function>',
        "<|channel|>commentary to=assistant<|message|>{}<|call|>",
        "<function=city_weather>\n<parameter=city>Gr",
        "<tool_call>city_weather</arg_key>",
        '<tool_call>{"name": "none"}</tool_call>',
    ],
)
def test_what_is_no_call_is_not_read(text: str) -> None:
    """Mentions, examples, definitions, echoes, other markup, values that are cut off."""
    assert read(text) == []


def test_what_a_model_plays_after_a_call_is_no_call() -> None:
    """The result of the tool, and the turns that follow."""
    call = '<tool_call>\n{"name": "city_weather", "arguments": {"city": "Graz"}}\n</tool_call>\n'
    for turn in (
        "<tool_response>\n{}\n</tool_response>\n",
        "<|im_start|>user\nand Bern?\n",
        "User: and Bern?\n",
        "<|observation|>\n",
    ):
        assert read(call + turn + call) == [GRAZ]
    assert read(call + call) == [GRAZ, GRAZ]


def test_a_tool_that_was_not_offered_is_called_between_marks_only() -> None:
    """Where arguments show that it is a call."""
    assert read("<tool_call>\n<function=other>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>") == [
        ("other", {"a": "1"})
    ]
    assert read('[TOOL_CALLS]other[ARGS]{"a": 1}') == [("other", {"a": 1})]
    assert read("<function=other>\n</function>") == []
    assert read('<|tool_call_begin|>call_abc123<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>') == []


def test_no_call_is_without_a_name() -> None:
    """A mark with an empty name calls nothing, whatever follows it."""
    assert read("<function= {}") == []
    assert read("<function= {</function>") == []


def test_one_family_is_read_alone() -> None:
    """Not the others."""
    reply = ReplyContent(text='<tool_call>\n{"name": "city_weather", "arguments": {"city": "Graz"}}\n</tool_call>')
    assert READER.of(FAMILIES.all()["hermes"]).read(reply, TOOLS).family == "hermes"
    assert not READER.of(FAMILIES.all()["mistral_args"]).read(reply, TOOLS).calls


@pytest.mark.parametrize(
    "piece",
    [
        *("<tool_call>", "<function=write_note>\n<parameter=text>\nx\n", "</parameter>\n</function>", "<tool_call>list_alarms\n"),
        *(
            "call:write_note{text:",
            "[TOOL_CALLS]",
            "to=functions.write_note ",
            ">>>write_note\n{",
            '<|"|>',
            "write_note<arg_key>a",
        ),
        *(
            "<invoke><tool_name>write_note</tool_name><parameters><a>x</a>",
            '<invoke name="write_note">]<]minimax[>[<text>x',
            "call:",
        ),
    ],
)
def test_marks_that_lead_nowhere_cost_bounded_time(piece: str) -> None:
    """Whatever is repeated."""
    began = time.process_time()
    read(piece * (262_144 // len(piece)))
    assert time.process_time() - began < 5.0
