"""What only the model itself said backs nothing; what the user and the tools said does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.ground import grounded
from selfopt.reading.heard import heard, said_to_it
from selfopt.records import Message, ToolCall, ToolDefinition
from selfopt.suites import load_suite

from .test_ground import first_call
from .test_schema import ROOTS, VALUES

BOOK = ToolDefinition(name="book", parameters={"properties": {"table": {"type": "string"}}, "required": ["table"]})
ASKED = Message(role="user", content="Book the big one, please.")
GUESS = ToolCall(name="book", arguments={"table": "Fireside"}, id="1")


def believed(*talk: Message) -> bool:
    """Whether the call that names the table Fireside is left after this talk."""
    kept, _ = heard([ToolCall(name="book", arguments={"table": "Fireside"})], [ASKED, *talk], [BOOK])
    return bool(kept)


def told(role: Any, content: str, **more: Any) -> Message:
    """One message."""
    return Message(role=role, content=content, **more)


def test_a_guess_of_the_model_does_not_back_its_next_call() -> None:
    """Neither what it called nor what it stated."""
    guessed = (told("assistant", "", tool_calls=(GUESS,)), told("tool", "no such table", tool_call_id="1"))
    for talk in (guessed, (told("assistant", "I take the Fireside."), told("user", "Go on."))):
        call = [ToolCall(name="book", arguments={"table": "Fireside"})]
        assert grounded(call, [ASKED, *talk], [BOOK])[0], "ground believes it"
        assert not believed(*talk)


@pytest.mark.parametrize(
    "talk",
    [
        (told("tool", '{"free": ["Fireside"]}', tool_call_id="1"),),
        (told("user", "I mean the Fireside."),),
        (told("system", "The big table is called Fireside."),),
        (told("assistant", "Shall I take the Fireside?"), told("user", "Yes.")),
    ],
)
def test_what_others_said_and_what_the_user_answered_counts(talk: tuple[Message, ...]) -> None:
    assert believed(*talk)


def test_a_question_that_nobody_answered_backs_nothing() -> None:
    """An offer has to be taken up."""
    assert not believed(told("assistant", "Shall I take the Fireside?"))
    assert not believed(told("assistant", "The Fireside?"), told("tool", "none"))


@pytest.mark.parametrize("name", ["extended", "extended-160"])
def test_it_costs_no_right_call_that_ground_believes(name: str) -> None:
    """On search prompts."""
    suite = load_suite(name)
    for prompt in suite.prompts:
        if prompt.needs_call and prompt.expected != "any" and (name == "extended" or prompt.split == "search"):
            calls, tools = [first_call(call) for call in prompt.expected[0]], suite.tools_of(prompt)
            believed, _ = grounded(calls, prompt.messages, tools)
            assert heard(believed, prompt.messages, tools)[0] == believed, prompt.id


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "system"]), st.text(max_size=40))), VALUES, ROOTS)
def test_it_believes_no_more_than_ground(talk: list[tuple[str, str]], value: Any, root: dict[str, Any]) -> None:
    """Whatever was said; nothing is put into the talk, and no call of the model is left in it."""
    messages = [told(role, content) for role, content in talk]
    tools, calls = [ToolDefinition(name="f", parameters=root)], [ToolCall(name="f", arguments={"v": value})]
    left = said_to_it(messages)
    assert all(message in messages for message in left)
    assert not any(message.tool_calls for message in left)
    assert len(heard(calls, messages, tools)[0]) <= len(calls)
