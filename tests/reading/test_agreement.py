"""Replies agree where they make the same calls, however these are written."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.agreement import OtherCalls, calls_key
from selfopt.reading.families import write_calls
from selfopt.records import ParsedReply, ReplyContent, ToolCall, ToolDefinition

TOOLS = (ToolDefinition(name="book", parameters={"type": "object", "properties": {"place": {"type": "string"}}}),)
CALLS = (ToolCall(name="book", arguments={"place": "Zum Löwen"}), ToolCall(name="book", arguments={"place": "Krone"}))
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5))
calls = st.lists(
    st.builds(ToolCall, name=st.sampled_from(["a", "b"]), arguments=st.dictionaries(st.sampled_from("xyz"), values)), max_size=3
)


def shuffled(made: list[ToolCall], seed: int) -> list[ToolCall]:
    """The same calls in another order, and their arguments, too."""
    rng = Random(seed)
    turned = [
        call.model_copy(update={"arguments": dict(rng.sample(list(call.arguments.items()), len(call.arguments)))})
        for call in made
    ]
    rng.shuffle(turned)
    return turned


@settings(deadline=None)
@given(made=calls, seed=st.integers(0, 99))
def test_the_order_of_calls_and_arguments_does_not_matter(made: list[ToolCall], seed: int) -> None:
    assert OtherCalls(tuple(made)).agrees(shuffled(made, seed)) is True


@settings(deadline=None)
@given(one=calls, other=calls)
def test_calls_agree_where_they_are_equal_in_json_and_nowhere_else(one: list[ToolCall], other: list[ToolCall]) -> None:
    """Whichever of the two is asked."""

    def said(made: list[ToolCall]) -> list[str]:
        return sorted(json.dumps([call.name, call.arguments], sort_keys=True) for call in made)

    agrees = OtherCalls(tuple(one)).agrees(other)
    assert agrees is (said(one) == said(other))
    assert agrees is OtherCalls(tuple(other)).agrees(one)
    assert (calls_key(one) == calls_key(other)) is agrees


def test_a_call_is_the_same_in_whichever_format_it_is_written() -> None:
    reported = ReplyContent(tool_calls=CALLS[:1])
    written = ReplyContent(text=write_calls(CALLS[:1], "json"))
    first, second = (read_calls(("all@2",), content, TOOLS, ()) for content in (reported, written))
    assert OtherCalls.read(written, second).agrees(first.tool_calls) is True


def test_silence_agrees_with_silence_and_with_no_call() -> None:
    silent = OtherCalls.read(ReplyContent(text="Hello."), ParsedReply())
    assert silent.agrees(()) is True
    assert silent.agrees(CALLS) is False


def test_what_is_not_read_is_not_known_to_agree() -> None:
    """Neither a call that no reader reads, nor one that a server reports damaged, nor no reply at all."""
    unread, damaged = ParsedReply(unread="hermes"), ReplyContent(broken_tool_calls=('{"name": ',))
    for other in (OtherCalls.read(ReplyContent(text="x"), unread), OtherCalls.read(damaged, ParsedReply()), OtherCalls()):
        assert other.agrees(()) is None
        assert other.agrees(CALLS) is None
