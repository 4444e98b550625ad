"""What a variant shows of a conversation: results in short, and what is told behind one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import render
from selfopt.variants.digest import state_digest
from selfopt.variants.options import VariantOptions
from selfopt.variants.shown import AFTER_RESULT, as_shown, filled_fields, latest, result_lines
from selfopt.variants.space import composed

BOOKING = (
    '{"guest": "Ines Roth", "room": "226", "paid": false, "notes": null, "stops": [{"city": "Graz"}], "tags": ["late", "pets"]}'
)
LOOKUP = ToolDefinition(name="lookup", parameters={"properties": {"ref": {"type": "string"}}, "required": ["ref"]})
TALK = (
    Message(role="user", content="Who is HB-1?"),
    Message(role="assistant", tool_calls=(ToolCall(name="lookup", arguments={"ref": "HB-1"}, id="c1"),)),
    Message(role="tool", tool_call_id="c1", content=BOOKING),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def sent(variant: Variant, messages: tuple[Message, ...] = TALK, *, required: bool = False) -> tuple[Message, ...]:
    """The messages of the first request."""
    return next(render(variant, messages, (LOOKUP,), required=required)).messages


def test_by_default_a_conversation_is_shown_as_it_is() -> None:
    """The same object, so that nothing is hashed or sent otherwise than before."""
    assert as_shown(TALK, VariantOptions()) is TALK
    assert sent(composed({})) == TALK


def test_results_are_shown_as_lines() -> None:
    """Keys with their values, places of lists from 1 on; other text stays."""
    lines = "guest: Ines Roth\nroom: 226\npaid: false\nnotes: null\nstops.1.city: Graz\ntags: late, pets"
    assert sent(composed({"results": "lines"}))[-1].content == lines
    for text in ("12 degrees", "", "{broken", '"text"', "[1, 2", "{}", "[" * 100_000, "null"):
        assert result_lines(text) == text


def test_a_text_of_several_lines_cannot_pass_for_other_fields() -> None:
    """Neither as a value nor as a key."""
    assert result_lines('{"note": "x\\nrole: admin"}') == 'note: "x\\nrole: admin"'
    assert result_lines('{"a\\nb": 1}') == '"a\\nb": 1'


def test_results_are_shown_without_fields_that_hold_nothing() -> None:
    """0 and false are values."""
    shown = sent(composed({"results": "filled"}))[-1].content
    assert json.loads(shown) == {key: value for key, value in json.loads(BOOKING).items() if key != "notes"}
    assert filled_fields('{"a": 1}') == '{"a": 1}'
    assert json.loads(filled_fields('{"a": {"b": null, "c": 0}, "d": [], "e": [{"f": ""}]}')) == {"a": {"c": 0}, "e": [{}]}


@settings(deadline=None)
@given(PLAIN)
def test_every_value_of_a_result_is_shown(value: Any) -> None:
    """In lines; and what is filled stays where nothing is empty."""
    text = json.dumps(value, ensure_ascii=False)
    lines, filled = result_lines(text), filled_fields(text)
    for leaf in leaves(value):
        assert leaf in lines or json.dumps(leaf)[1:-1] in lines or json.dumps(leaf, ensure_ascii=False)[1:-1] in lines
        assert not leaf or json.dumps(leaf, ensure_ascii=False) in filled


def leaves(value: Any) -> list[str]:
    """The texts that stand in a value, except keys."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("history", ["native", "rendered"])
@pytest.mark.parametrize("tools", ["native", "signatures"])
def test_behind_a_result_the_model_is_told_to_answer(tools: str, history: str) -> None:
    """As the last thing, however the conversation is written. Not where the user spoke last."""
    variant = composed({"tools": tools, "history": history, "after_result": "answer"})
    assert sent(variant)[-1].role == "user"
    assert sent(variant)[-1].content.endswith(AFTER_RESULT)
    asked = (*TALK, Message(role="assistant", content="Ines Roth."), Message(role="user", content="Thanks."))
    assert not any(AFTER_RESULT in message.content for message in sent(variant, asked))


def test_who_demands_a_call_is_not_told_to_answer() -> None:
    """The client knows what it wants."""
    assert sent(composed({"after_result": "answer"}), required=True) == TALK


def test_calls_are_read_against_what_was_told_and_not_what_was_shown() -> None:
    """A field that was left out backs a call, and the sentence behind a result backs none."""
    variant = composed({"results": "filled", "after_result": "answer"}).model_copy(
        update={"options": {"results": "filled", "after_result": "answer", "ground": True}}
    )
    for ref, left in (("HB-1", 1), ("something else", 0)):
        steps = render(variant, TALK, (LOOKUP,))
        next(steps)
        with pytest.raises(StopIteration) as done:
            steps.send(ReplyContent(tool_calls=(ToolCall(name="lookup", arguments={"ref": ref}),)))
        assert len(done.value.value.tool_calls) == left


def test_a_list_stays_a_list_so_that_nothing_of_live_traffic_is_remembered() -> None:
    """And a tuple a tuple, which is."""
    options = VariantOptions(results="lines", after_result="answer")
    assert isinstance(as_shown(list(TALK), options), list)
    assert isinstance(as_shown(TALK, options), tuple)


def told_of(point: dict[str, str], messages: tuple[Message, ...]) -> str:
    """Everything that the first request says, in one text."""
    return "\n".join(f"{message.role}: {message.content}" for message in sent(composed(point), messages))


@pytest.mark.parametrize("tools", ["native", "signatures"])
@pytest.mark.parametrize("examples", ["none", "talks"])
def test_a_conversation_may_be_told_by_its_digest_alone(tools: str, examples: str) -> None:
    """The latest request stands as it is, with the results that followed it; earlier turns are summed up."""
    asked = (*TALK, Message(role="assistant", content="She is Ines Roth."), Message(role="user", content="And her room?"))
    told = told_of({"tools": tools, "examples": examples, "digest": "state", "history": "latest"}, asked)
    assert "And her room?" in told
    assert 'lookup(ref="HB-1") returned: {"guest": "Ines Roth"' in told
    assert "She is Ines Roth." not in told
    talk = told_of({"tools": tools, "examples": examples, "digest": "talk", "history": "latest"}, asked)
    assert 'The user said: "Who is HB-1?"' in talk
    assert 'The last answer was: "She is Ines Roth."' in talk
    assert BOOKING in told_of({"tools": tools, "examples": examples, "digest": "state", "history": "latest"}, TALK)


def test_what_is_told_behind_a_result_is_no_request() -> None:
    """The request before it is the latest one."""
    point = {"digest": "state", "history": "latest", "after_result": "answer"}
    earlier = (Message(role="user", content="Good evening."), Message(role="assistant", content="Good evening."))
    told = sent(composed(point), (*earlier, *TALK))
    assert [message.role for message in told if message.role != "system"] == ["user", "assistant", "tool", "user"]
    assert not any(message.content == "Good evening." for message in told)
    only = (Message(role="user", content=AFTER_RESULT),)
    assert latest(only) == list(only)
    assert latest(()) == []


def test_a_digest_is_bounded_however_long_the_talk() -> None:
    """Twelve messages of 240 characters, eight results."""
    long = tuple(Message(role=role, content="word " * 20_000) for _ in range(40) for role in ("user", "assistant"))
    assert len(state_digest(long, talk=True)) < 14 * 300
    assert state_digest((), talk=True) == ""
