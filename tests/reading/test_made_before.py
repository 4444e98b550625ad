"""A call whose result is there already is dropped, unless it failed or the user asked since."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.made_before import without_repeats
from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition
from selfopt.suites import load_suite

from .test_ground import first_call
from .test_schema import VALUES

WEATHER = ToolDefinition(
    name="weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "default": "celsius"}},
        "required": ["city"],
    },
)
OSLO = ToolCall(name="weather", arguments={"city": "Oslo"}, id="c1")


def talk(result: str, *later: str) -> list[Message]:
    """A call about Oslo, its result, and what the user said since."""
    since = [Message(role="user", content=text) for text in later]
    done = [Message(role="assistant", tool_calls=(OSLO,)), Message(role="tool", tool_call_id="c1", content=result)]
    return [Message(role="user", content="How is Oslo?"), *done, *since]


def left(messages: list[Message], *, ever: bool = False, **arguments: Any) -> bool:
    """Whether a call with these arguments is left."""
    call = ToolCall(name="weather", arguments=arguments)
    kept, dropped = without_repeats([call], messages, [WEATHER], ever=ever)
    assert [one.kind for one in dropped] == ([] if kept else ["made_before"])
    return kept == [call]


def test_the_same_call_is_not_made_again_behind_its_result() -> None:
    """Defaults and nulls are the same as nothing; other arguments are another call."""
    behind = talk("12 degrees")
    assert not left(behind, city="Oslo")
    assert not left(behind, city="Oslo", unit="celsius")
    assert not left(behind, city="Oslo", unit=None)
    assert left(behind, city="Oslo", unit="kelvin")
    assert left(behind, city="Bergen")


def test_what_failed_may_be_made_again() -> None:
    """The newest result of a call counts."""
    assert left(talk('{"error": "busy"}'), city="Oslo")
    second = [Message(role="assistant", tool_calls=(OSLO,)), Message(role="tool", tool_call_id="c1", content="12 degrees")]
    assert not left([*talk('{"error": "busy"}'), *second], city="Oslo")
    assert left([*talk("12 degrees"), second[0], Message(role="tool", tool_call_id="c1", content="Error")], city="Oslo")


def test_who_asks_again_gets_it_again_unless_results_count_for_ever() -> None:
    """A call that has no result yet is no repeat."""
    assert left(talk("12 degrees", "And now?"), city="Oslo")
    assert not left(talk("12 degrees", "And now?"), ever=True, city="Oslo")
    assert left(talk("12 degrees")[:2], ever=True, city="Oslo")


def test_a_chain_drops_repeats_only_where_it_names_them() -> None:
    """The verdict tells why; a reply of which everything was dropped is no answer."""
    reply, behind = ReplyContent(tool_calls=(OSLO,)), talk("12 degrees")
    assert read_calls(("all@2", "fit@2"), reply, [WEATHER], behind).tool_calls
    read = read_calls(("all@2", "fit@2", "repeat"), reply, [WEATHER], behind)
    assert (read.tool_calls, read.dropped) == ((), True)
    assert [(one.kind, one.tool) for one in read.corrections] == [("made_before", "weather")]
    assert read_calls(("all@2", "repeat"), reply, [WEATHER], talk("12 degrees", "Again!")).tool_calls
    assert not read_calls(("all@2", "repeat_ever"), reply, [WEATHER], talk("12 degrees", "Again!")).tool_calls


@pytest.mark.parametrize("name", ["extended", "extended-160"])
@pytest.mark.parametrize("ever", [False, True])
def test_no_right_call_of_the_suites_is_dropped(name: str, ever: bool) -> None:
    """Retries of what failed included."""
    suite = load_suite(name)
    for prompt in suite.prompts:
        if prompt.needs_call and prompt.expected != "any" and (name == "extended" or prompt.split == "search"):
            calls = [first_call(call) for call in prompt.expected[0]]
            assert without_repeats(calls, prompt.messages, suite.tools_of(prompt), ever=ever) == (calls, []), prompt.id


@settings(deadline=None)
@given(VALUES, VALUES, st.booleans())
def test_it_only_drops_what_is_equal(before: Any, now: Any, ever: bool) -> None:
    """Whatever the arguments hold, and if the tool is not offered."""
    first, again = (ToolCall(name="f", arguments={"v": value}, id="1") for value in (before, now))
    made = [Message(role="assistant", tool_calls=(first,)), Message(role="tool", tool_call_id="1", content="done")]
    kept, dropped = without_repeats([again], made, [], ever=ever)
    assert len(kept) + len(dropped) == 1
    assert kept or before == now
    assert without_repeats([first], made, [], ever=ever)[0] == []


def test_arguments_that_are_too_deep_to_compare_are_no_repeat() -> None:
    """They come from a client."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    other: Any = []
    for _ in range(100_000):
        other = [other]
    call = ToolCall.model_construct(name="f", arguments={"v": deep}, id="1")
    again = ToolCall.model_construct(name="f", arguments={"v": other}, id=None)
    done = Message.model_construct(role="tool", content="x", tool_calls=(), tool_call_id="1", name=None)
    made = Message.model_construct(role="assistant", content="", tool_calls=(call,), tool_call_id=None, name=None)
    assert without_repeats([again], [made, done], [], ever=True) == ([again], [])
