"""A conversation is known by its messages so far, in bounded memory that forked workers share."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.chat_body import BodyLimits, ChatBody, at_once, reading_body
from selfopt.gateway.conversations import MAX_BYTES, Conversations

TEXTS = st.text(max_size=20)


def chat_of(messages: list[dict[str, Any]]) -> ChatBody:
    return at_once(reading_body(json.dumps({"model": "m", "messages": messages}).encode(), BodyLimits()))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS, st.lists(TEXTS, max_size=4), TEXTS)
def test_a_conversation_that_goes_on_is_known_and_one_that_began_otherwise_is_not(
    first: list[str], said: str, more: list[str], other: str
) -> None:
    """Whatever follows the answer; of this model and caller alone."""
    known = Conversations(4096)
    begun = [user(text) for text in first]
    known.add("up/m", "key", chat_of(begun))
    going_on = [*begun, answer(said), *map(user, more)]
    assert known.goes_on("up/m", "key", chat_of(going_on))
    assert not known.goes_on("up/m", "key", chat_of(begun)), "it has no answer yet"
    assert not known.goes_on("up/n", "key", chat_of(going_on))
    assert not known.goes_on("up/m", None, chat_of(going_on))
    changed = [user(f"{other}!{first[0]}"), *going_on[1:]]
    assert not known.goes_on("up/m", "key", chat_of(changed))


def test_memory_is_bounded_and_the_newest_is_known() -> None:
    known = Conversations(8)
    for number in range(100):
        known.add("up/m", None, chat_of([user(str(number))]))
    assert known.goes_on("up/m", None, chat_of([user("99"), answer("x")]))
    found = sum(known.goes_on("up/m", None, chat_of([user(str(number)), answer("x")])) for number in range(100))
    assert 1 <= found <= 8


def test_no_two_lists_of_messages_look_alike() -> None:
    """Not even where their texts put together are the same."""
    known = Conversations()
    known.add("up/m", None, chat_of([user("a"), user("b")]))
    assert not known.goes_on("up/m", None, chat_of([user("a"), answer("x")]))
    assert not known.goes_on("up/", "m", chat_of([user("a"), user("b"), answer("x")]))


def test_what_is_too_large_to_be_looked_at_is_not_known() -> None:
    known = Conversations()
    large = [user("x" * MAX_BYTES)]
    known.add("up/m", None, chat_of(large))
    assert not known.goes_on("up/m", None, chat_of([*large, answer("x")]))


def test_processes_that_are_forked_share_it() -> None:
    """What one of several workers escalates, the others know."""
    known = Conversations()
    pid = os.fork()
    if not pid:
        known.add("up/m", None, chat_of([user("hello")]))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert known.goes_on("up/m", None, chat_of([user("hello"), answer("x")]))
