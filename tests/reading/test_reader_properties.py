"""Readers on hostile input: they never raise, stay bounded, and return only what can be stored."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import FAMILIES, read_calls
from selfopt.reading.families import write_calls
from selfopt.reading.readers import READERS
from selfopt.reading.readers.base import CALL_LIMIT, DEPTH_LIMIT
from selfopt.records import CallFormat, ChainName, ReplyContent, ToolCall, ToolDefinition, canonical_json
from tests.examples import some_of

TOOLS = (
    ToolDefinition(name="f", parameters={"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}),
    ToolDefinition(name="none_of_it", parameters={"properties": 3}),
    ToolDefinition(name="ключ"),
)
CHAIN: tuple[ChainName, ...] = READERS.builtin
PIECES = st.sampled_from(
    [
        *('{"name": "f", "arguments": ', "{", "}", "[", "]", "(", ")", '"', "'", "\\", "f(", "a=", ",", ":", "<tool_call>"),
        *("</tool_call>", "<function=f>", "<parameter=a>", "```", "```python\n", "\n", "none", "\\ud800", "\x00"),
        *("\x1b[31m", "1e999", "NaN", "ключ(", "&#1;"),
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=60).map("".join))


def unchecked(text: str) -> ReplyContent:
    return ReplyContent.model_construct(text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")


@settings(max_examples=some_of(400), deadline=None)
@given(TEXTS, st.permutations(CHAIN), st.integers(0, len(CHAIN)))
def test_no_text_makes_a_chain_raise_and_what_it_reports_can_be_stored(text: str, order: list[ChainName], count: int) -> None:
    """Whatever the text and the chain: a report in valid UTF-8 JSON, within the bounds."""
    report = read_calls(order[:count], unchecked(text), TOOLS)
    canonical_json(report.model_dump(mode="json")).encode("utf-8")
    assert len(report.tool_calls) <= CALL_LIMIT
    assert report.parser is None or report.parser in (*order[:count], *FAMILIES.names())
    assert not (report.parser and report.unread)


@settings(max_examples=some_of(100), deadline=None)
@given(st.text(st.characters(categories=["Cs", "Cc", "Lu", "Po"]), max_size=100))
def test_lone_surrogates_and_control_characters_do_no_harm(text: str) -> None:
    """A call around them is read; what is kept is valid UTF-8."""
    body = '{"name": "f", "arguments": {"a": ' + json.dumps(text) + "}}"
    report = read_calls(CHAIN, unchecked(body), TOOLS)
    assert report.tool_calls[0].name == "f"
    str(report.tool_calls[0].arguments["a"]).encode("utf-8")


@settings(max_examples=some_of(300), deadline=None)
@given(TEXTS.map(lambda text: text.translate(dict.fromkeys(map(ord, "{[<("), "-"))))
def test_text_without_an_opening_sign_holds_no_call_in_any_format(text: str) -> None:
    """So no reader outside the chain has to be asked about it."""
    for reader in READERS.all().values():
        assert not reader.read(unchecked(text), TOOLS).calls


HOSTILE = {
    "open braces": "{" * 10_000_000,
    "deep lists": "[" * 10_000 + "]" * 10_000,
    "deep call": '{"name": "f", "arguments": ' + '{"a": ' * 10_000 + "1" + "}" * 10_002,
    "open strings": '{"' * 2_000_000,
    "open calls": "f(a=" * 2_000_000,
    "bracketed calls": "[f(" * 2_000_000,
    "open lists of strings": '["a", ' * 500_000,
    "escapes": '{"a": "' + "\\" * 4_000_000,
    "tags": "<tool_call>" * 500_000,
    "parameters": "<function=f>" + "<parameter=a>" * 500_000,
    "open tags": "<function=" * 500_000,
    "fences": "```\n" * 500_000,
    "fence line": "```" + " " * 4_000_000,
    "digits": '{"name": "f", "arguments": {"a": ' + "9" * 4_000_000 + "}}",
    "spaces": "f(" + " " * 4_000_000,
    "indentation": "\n" + " \t" * 2_000_000 + "f(",
    "words": "a" * 4_000_000 + "(",
    "keywords": "f(" + "a" * 4_000_000 + "=1)",
    "quotes": "f(a='" + "\\'" * 2_000_000,
    "comments": "```python\n" + "# x\n" * 1_000_000 + "f(",
    "many calls": '{"name": "f", "arguments": {}}' * 100_000,
    "many python calls": "f()\n" * 500_000,
    "unclosed python": "f('\n" * 500_000,
    "print": "print(" * 1_000_000,
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_ten_megabytes_and_ten_thousand_levels_cost_bounded_time(case: str) -> None:
    """Size, depth and failing attempts are all bounded: no input takes longer than a few seconds of CPU."""
    began = time.process_time()
    report = read_calls((), unchecked(HOSTILE[case]), TOOLS)
    everything = read_calls(CHAIN, unchecked(HOSTILE[case]), TOOLS)
    assert time.process_time() - began < 5.0
    assert len(everything.tool_calls) <= CALL_LIMIT
    assert report.tool_calls == ()


def test_nesting_within_the_limit_is_read() -> None:
    """The depth limit is far beyond what honest arguments need."""
    value: object = 1
    for _ in range(DEPTH_LIMIT - 2):
        value = [value]
    text = json.dumps({"name": "f", "arguments": {"a": value}})
    assert read_calls(("json",), ReplyContent(text=text), TOOLS).tool_calls[0].arguments == {"a": value}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMED = st.dictionaries(st.from_regex(r"\A[a-z_]{1,8}\Z"), VALUES, max_size=4)
PARSER_OF: dict[CallFormat, ChainName] = {"json": "json", "xml": "xml", "bracket": "bracket", "python_call": "python_call"}


@settings(max_examples=some_of(200), deadline=None)
@given(st.sampled_from(list(PARSER_OF)), st.lists(NAMED, min_size=1, max_size=3))
def test_what_is_written_in_a_format_is_read_back(call_format: CallFormat, arguments: list[dict[str, object]]) -> None:
    """Writing calls for a prompt and reading them from a reply are inverse."""
    if any(list(given) == ["arguments"] for given in arguments):
        return
    calls = tuple(ToolCall(name="f", arguments=given) for given in arguments)
    text = write_calls(calls, call_format)
    assert read_calls((PARSER_OF[call_format],), ReplyContent(text=text), TOOLS).tool_calls == calls
