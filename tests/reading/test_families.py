"""The table of families: written and read again, recognised from a template, and what prompts write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.families import FAMILIES, NO_CALL, ROWS, family_of_template, write_calls
from selfopt.reading.family import Family
from selfopt.reading.readers.marked import READER
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

MARKED = [row for row in ROWS if row.reader == "marked"]
TOOLS = (
    ToolDefinition(name="write_note", parameters={"properties": {"text": {"type": "string"}, "more": {"type": "string"}}}),
    ToolDefinition(
        name="set.timer",
        parameters={
            "properties": {"n": {"type": "number"}, "on": {"type": "boolean"}, "of": {"type": "array"}, "by": {"type": "object"}}
        },
    ),
    ToolDefinition(name="list_alarms"),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "a\nb",
        "\n",
        "\n\n",
        " x ",
        "<b>x</b>",
        'it\'s "q"',
        "{}",
        "[1]",
        "null",
        "5",
        "a, b: c",
        "</x>",
        "\\n",
        "a\n```\nb",
        "C:\\new",
    ]
)
WORDS = st.from_regex(r"\A[a-z_]{1,6}\Z")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False, width=32) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
NOTES = st.fixed_dictionaries({}, optional={"text": TEXTS, "more": TEXTS}).map(
    lambda given: ToolCall(name="write_note", arguments=given)
)
TIMERS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-9999, 9999) | st.floats(allow_nan=False, allow_infinity=False, width=32),
        "on": st.booleans(),
        "of": st.lists(VALUES, max_size=3),
        "by": st.dictionaries(WORDS, VALUES, max_size=3),
    },
).map(lambda given: ToolCall(name="set.timer", arguments=given))
CALLS = st.lists(NOTES | TIMERS | st.just(ToolCall(name="list_alarms")), min_size=1, max_size=3)


@pytest.mark.parametrize("row", MARKED, ids=lambda row: row.name)
@settings(max_examples=15, deadline=None)
@given(calls=CALLS)
def test_what_a_family_writes_is_read_back(row: Family, calls: list[ToolCall]) -> None:
    """By the reader of all families, and by that of the family alone."""
    reply = ReplyContent(text=row.write(calls))
    assert list(READER.read(reply, TOOLS).calls) == calls
    assert list(READER.of(row).read(reply, TOOLS).calls) == calls


@pytest.mark.parametrize("row", MARKED, ids=lambda row: row.name)
def test_each_family_says_who_it_is(row: Family) -> None:
    """To people and in chains; and a call that it writes is read as one of a family with such marks."""
    assert row.title
    assert FAMILIES.get(row.name) is row
    found = READER.read(ReplyContent(text=row.write([ToolCall(name="write_note", arguments={"text": "x"})])), TOOLS)
    twins = {"hunyuan": "jamba", "jamba": "hunyuan", "function_tag": "minicpm5", "functiongemma": "gemma4"}
    assert found.family in (row.name, twins.get(row.name))


@pytest.mark.parametrize(
    ("template", "family"),
    [
        ("{{ '<tool_call>\\n' }}{{ tool_call.name }}", "hermes"),
        ("<tool_call>{{ '\\n<function=' }} <parameter=", "qwen_coder"),
        ("[gMASK]<sop> <tool_call> {{ '\\n<arg_key>' }}", "glm45"),
        ("[gMASK]<sop> <tool_call> <arg_key>", "glm47"),
        ("[gMASK]<sop>", "glm4"),
        ("<｜tool▁calls▁begin｜> ```json", "deepseek_v3"),
        ("<｜tool▁calls▁begin｜>", "deepseek_v31"),
        ("<|tool_calls_section_begin|>", "kimi_k2"),
        ("<|channel|> <|message|> <|constrain|>", "gpt_oss"),
        ("[TOOL_CALLS] [ARGS]", "mistral_args"),
        ("[TOOL_CALLS]", "mistral"),
        ("<seed:tool_call> <function= <parameter=", "seed_oss"),
        ("{{ messages }}", ""),
    ],
)
def test_a_chat_template_shows_the_family(template: str, family: str) -> None:
    """The first row whose signs are all in the template."""
    assert family_of_template(template) == family


def test_servers_parsers_are_named_as_flags() -> None:
    """Only where the server has one."""
    glm, agent = FAMILIES.all()["glm45"], FAMILIES.all()["use_mcp_tool"]
    assert glm.server_parser["vllm"] == "--enable-auto-tool-choice --tool-call-parser glm45"
    assert set(glm.server_parser) == {"vllm", "sglang", "llama.cpp"}
    assert agent.server_parser == {}


def test_prompts_write_calls_as_before() -> None:
    """Byte for byte, since variants were measured with these prompts."""
    calls = [ToolCall(name="f", arguments={"a": "é", "b": [1, None]}), ToolCall(name="g")]
    assert write_calls(calls[:1], "json") == '{"name": "f", "arguments": {"a": "é", "b": [1, null]}}'
    assert (
        write_calls(calls, "json") == '[{"name": "f", "arguments": {"a": "é", "b": [1, null]}}, {"name": "g", "arguments": {}}]'
    )
    assert write_calls(calls, "xml") == (
        '<tool_call>{"name": "f", "arguments": {"a": "é", "b": [1, null]}}</tool_call>\n<tool_call>{"name": "g", "arguments": {}}</tool_call>'
    )
    assert write_calls(calls, "bracket") == '[f(a="é", b=[1, null]), g()]'
    assert write_calls(calls, "python_call") == 'f(a="é", b=[1, null])\ng()'
    assert write_calls([], "xml") == NO_CALL
