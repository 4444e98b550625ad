"""What is kept of the page for many readers, for how long and for whom; and how often they are told to ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway.page_kept import (
    ADMITTED_S,
    FRESH_S,
    LATEST_S,
    MOST_BYTES,
    MOST_PARTS,
    MOST_POLLS_S,
    MOST_READERS,
    SOONEST_S,
    PagePart,
    PageParts,
    PollPace,
)
from tests.ui.kit import Clock

PART = PagePart(200, [b"A: b"], b"now")


def test_a_part_is_there_for_a_second_and_for_those_who_were_let_in() -> None:
    """Another reader, another address and another mark find nothing."""
    clock = Clock()
    parts = PageParts(clock)
    parts.keep("me", b"/ui/now", 1, PART)
    assert parts.find("me", b"/ui/now", 1) == PART
    assert parts.find("you", b"/ui/now", 1) is None
    assert parts.find("me", b"/ui/now?span=6h", 1) is None
    assert parts.find("me", b"/ui/now", 2) is None
    clock.now += FRESH_S
    assert parts.find("me", b"/ui/now", 1) is None


def test_a_reader_is_judged_again_after_a_while() -> None:
    """However fresh the part is that others were shown."""
    clock = Clock()
    parts = PageParts(clock)
    parts.keep("me", b"/ui/now", 1, PART)
    clock.now += ADMITTED_S - 0.1
    parts.keep("you", b"/ui/now", 1, PART)
    assert parts.find("me", b"/ui/now", 1) == PART
    clock.now += 0.2
    assert parts.find("me", b"/ui/now", 1) is None
    assert parts.find("you", b"/ui/now", 1) == PART


def test_what_is_kept_is_bounded() -> None:
    """In number and size; the oldest goes."""
    parts = PageParts(Clock())
    for n in range(MOST_READERS + 1):
        parts.keep(n, b"/%d" % n, 1, PART)
    newest = b"/%d" % MOST_READERS
    assert parts.find(0, newest, 1) is None
    assert parts.find(1, newest, 1) == PART
    assert parts.find(1, b"/%d" % (MOST_READERS - MOST_PARTS), 1) is None
    parts.keep("me", b"/large", 1, PagePart(200, [], bytes(MOST_BYTES + 1)))
    assert parts.find("me", b"/large", 1) is None


def watch(readers: int, seconds: float = 120.0) -> tuple[float, set[int]]:
    """Polls a second of so many readers who wait as they are told, and the waits, both once they have settled."""
    clock = Clock()
    pace = PollPace(clock)
    due = [(2.0 * n / readers, 2) for n in range(readers)]
    polls, waits = 0, set[int]()
    while True:
        at, wait = min(due)
        if at > seconds:
            return polls / (seconds / 2), waits
        clock.now = 1000.0 + at
        told = pace.next_s(b"%d" % wait)
        due[due.index((at, wait))] = (at + told, told)
        if at > seconds / 2:
            polls += 1
            waits.add(told)


@pytest.mark.parametrize("readers", [1, 2, 8, 12])
def test_a_few_readers_ask_every_two_seconds(readers: int) -> None:
    """As long as all of them together ask no more often than is wanted."""
    assert watch(readers)[1] == {SOONEST_S}


@pytest.mark.parametrize("readers", [24, 50, 100, 200])
def test_many_readers_together_ask_no_more_often_than_is_wanted(readers: int) -> None:
    """And no less often than they may, but for the page's looking at the clock every two seconds."""
    polls_s, waits = watch(readers)
    assert polls_s < MOST_POLLS_S * 1.1
    assert max(waits) <= readers / MOST_POLLS_S * 1.3 + SOONEST_S


def test_readers_who_left_are_forgotten() -> None:
    """The one who stays is told two seconds again within a minute."""
    clock = Clock()
    pace = PollPace(clock)
    for _ in range(200):
        pace.next_s(b"30")
    assert pace.next_s(b"2") == LATEST_S
    clock.now += 60
    assert pace.next_s(b"30") == SOONEST_S


@given(st.lists(st.tuples(st.binary(max_size=4), st.floats(0, 100))))
def test_whatever_polls_say_the_wait_is_one_that_the_page_knows(polls: list[tuple[bytes, float]]) -> None:
    """An even number of seconds within the bounds."""
    clock = Clock()
    pace = PollPace(clock)
    for waited, later in polls:
        clock.now += later
        told = pace.next_s(waited)
        assert SOONEST_S <= told <= LATEST_S
        assert told % SOONEST_S == 0
