"""What is remembered, and what is made anew."""

from __future__ import annotations

import gc
from weakref import ref

from selfopt.records import Message, remembered
from selfopt.records.remember import while_it_lasts


def test_the_same_objects_give_the_same_result_and_equal_others_their_own() -> None:
    """Identity tells records apart, equality texts and numbers."""
    made: list[tuple[Message, ...]] = []

    @remembered
    def told(messages: tuple[Message, ...] | list[Message], style: str, times: int) -> str:
        made.append(tuple(messages))
        return "".join(message.content for message in messages) * times + style

    one, other = (Message(role="user", content="a"),), (Message(role="user", content="a"),)
    assert [told(one, "".join(["x", "y"]), 2), told(one, "xy", 2), told(other, "xy", 2)] == ["aaxy"] * 3
    assert len(made) == 2
    assert told(one, "xy", 3) == "aaaxy"
    assert told(list(one), "xy", 3) == told(list(one), "xy", 3) == told(one, "xy", times=3) == "aaaxy"
    assert len(made) == 6


def test_an_identity_is_never_taken_for_that_of_something_that_is_gone() -> None:
    """What is remembered stays alive, also while more is remembered than is kept."""

    @remembered
    def content(message: Message) -> str:
        return message.content

    for n in range(3000):
        assert content(Message(role="user", content=str(n))) == str(n)
        if n % 500 == 0:
            gc.collect()


def test_what_was_made_of_a_record_goes_when_the_record_goes() -> None:
    """It is made once for each, and for a new one anew."""
    made: list[str] = []

    @while_it_lasts
    def told(message: Message) -> list[str]:
        made.append(message.content)
        return [message.content]

    for number in range(4):
        message = Message(role="user", content=str(number))
        first = told(message)
        assert (told(message) is first, first, len(made)) == (True, [str(number)], number + 1)
        kept = ref(message)
        del message
        gc.collect()
        assert kept() is None
