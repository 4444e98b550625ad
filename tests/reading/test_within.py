"""Calls in a text that nobody asked to be in a certain form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read
from selfopt.reading.families import FAMILIES
from selfopt.reading.within import calls_within, may_hold_calls
from selfopt.records import ToolCall
from tests.each import assert_each

from .test_threads import CALL, TOOLS, cases

OFFERED = {tool.name for tool in TOOLS}


def told(calls: Any) -> str:
    """Calls as JSON, so that 1 is neither true nor "1"."""
    return json.dumps([[call.name, dict(call.arguments)] for call in calls if call.name in OFFERED], sort_keys=True)


def finds_the_same(case: dict[str, Any]) -> None:
    """The calls that are read, behind a beginning of the text."""
    found = calls_within(case["text"], TOOLS)
    if not case.get("thinking_opened"):
        assert told(found.calls) == told(read(case["text"], TOOLS).tool_calls)
    assert case["text"].startswith(found.before)


@pytest.mark.parametrize("name", ["threads.json", "restraint.json", "thinking.json"])
def test_it_finds_what_reading_finds(name: str) -> None:
    """The quick look before loses no call, and the text before is the beginning of the whole."""
    assert_each(cases(name), finds_the_same)


@pytest.mark.parametrize("name", sorted(FAMILIES.builtin))
def test_no_mark_stays_before_a_call(name: str) -> None:
    """Of no family."""
    text = f"I will look.\n{FAMILIES.all()[name].write([ToolCall(name='city_weather', arguments={'city': 'Graz'})])}"
    assert calls_within(text, TOOLS, name).before.strip() == "I will look."


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (f"<think>Call it?</think>\nSure. {CALL}", "<think>Call it?</think>\nSure. "),
        (f"Call it?</think>Sure.\n```json\n{CALL}\n```", "Call it?</think>Sure.\n"),
        (f"I'll call: {CALL}", "I'll call: "),
        (f"\n\n{CALL}", ""),
        (f"a <b> {{c}} [d]\n<tool_call>\n{CALL}\n</tool_call> bye", "a <b> {c} [d]\n"),
        (f"So\n<tool_call>{CALL}</tool_call>\n<think>Was it right?</think>", "So\n"),
    ],
)
def test_what_was_said_before_stays_as_it_came(text: str, before: str) -> None:
    """With its thinking and its line breaks, without the marks of the call."""
    assert calls_within(text, TOOLS).before == before


@settings(deadline=None)
@given(
    bullet=st.sampled_from(["- ", "* ", "• ", "{}. ", "{}) ", "  - "]),
    quoted=st.sampled_from(["", "`", "**"]),
    said=st.sampled_from(["", "I have these tools:\n", "# Tools\n\n"]),
    order=st.permutations(["city_weather(city)", "write_note(text)", "list_alarms()"]),
)
def test_a_list_of_the_tools_is_no_call(bullet: str, quoted: str, said: str, order: list[str]) -> None:
    """Though a tool without arguments is written there as its call is."""
    lines = [f"{bullet.format(at)}{quoted}{one}{quoted}" for at, one in enumerate(order, 1)]
    assert calls_within(said + "\n".join(lines), TOOLS).calls == ()


def test_calls_in_a_list_are_calls() -> None:
    """Also behind a list of the tools."""
    listed = '- city_weather(city="Graz")\n- list_alarms()'
    assert [call.name for call in calls_within(listed, TOOLS).calls] == ["city_weather", "list_alarms"]
    assert len(calls_within(f"I know:\n- list_alarms\n- write_note(text)\n\n<tool_call>{CALL}</tool_call>", TOOLS).calls) == 1


def test_only_offered_tools_are_called() -> None:
    """Whatever else a text names."""
    assert not calls_within('<tool_call>{"name": "other", "arguments": {"city": "city_weather"}}</tool_call>', TOOLS).calls


def test_a_call_that_is_cut_off_is_none() -> None:
    """Where the token limit did it: an argument may be missing."""
    text = CALL[:-1]
    assert calls_within(text, TOOLS).calls
    assert not calls_within(text, TOOLS, cut=True).calls


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_text_that_names_no_tool_holds_no_call(text: str) -> None:
    """That is told fast."""
    assert may_hold_calls(text, TOOLS[:3]) or not calls_within(text, TOOLS[:3]).calls
