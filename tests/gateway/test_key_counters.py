"""Counts of days, months and minutes add up over workers, whatever the clock does."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway.key_counters import DAY_S, MINUTE_S, KeyCount, KeyCounters, end_of_month, month_of

WORKERS = 3
AMOUNTS = st.integers(0, 1000)
# Seconds around the end of a year, of a leap day and of a day.
TIMES = st.sampled_from([1_767_225_600, 1_709_251_200, 1_800_000_000]).flatmap(
    lambda begin: st.integers(begin - 3 * DAY_S, begin + 3 * DAY_S)
)


def counts(workers: int = WORKERS, number: int = 7) -> list[KeyCount]:
    """One key, as each worker sees it."""
    counters = KeyCounters(workers)
    return [KeyCount(counters, number, worker) for worker in range(workers)]


@given(st.lists(st.tuples(TIMES, st.integers(0, WORKERS - 1), AMOUNTS, AMOUNTS), max_size=30))
def test_every_worker_sees_the_sums_of_the_day_the_month_and_the_minute(asked: list[tuple[int, int, int, int]]) -> None:
    """As they are added up by hand, in whichever order the workers count."""
    asked.sort(key=lambda one: one[0])
    each = counts()
    for at, worker, cost, tokens in asked:
        each[worker].add_request(at // MINUTE_S)
        each[worker].add(float(at), cost, tokens)
    if asked:
        last = asked[-1][0]
        day, month = last // DAY_S, datetime.fromtimestamp(last, UTC).strftime("%Y-%m")
        today = sum(cost for at, _, cost, _ in asked if at // DAY_S == day)
        all_month = sum(cost for at, _, cost, _ in asked if datetime.fromtimestamp(at, UTC).strftime("%Y-%m") == month)
        now = [one for one in asked if one[0] // MINUTE_S == last // MINUTE_S]
        for one in each:
            assert one.spent(day) == (today, all_month, 0)
            assert one.asked(last // MINUTE_S) == (len(now), sum(tokens for *_, tokens in now), 0)


@given(TIMES)
def test_a_month_ends_when_the_next_one_begins(at: int) -> None:
    """In UTC, in leap years and at the end of the year."""
    day, moment = at // DAY_S, datetime.fromtimestamp(at, UTC)
    assert month_of(day) == moment.year * 12 + moment.month - 1
    first = datetime.fromtimestamp(end_of_month(day) * DAY_S, UTC)
    assert (first.day, first.hour, first.month) == (1, 0, moment.month % 12 + 1)
    assert first > moment


@given(TIMES, st.integers(1, 40 * DAY_S), AMOUNTS)
def test_a_clock_that_is_set_back_frees_nothing(at: int, back: int, cost: int) -> None:
    """What was spent counts in the day that the clock then tells, too."""
    mine, other = counts(2)
    mine.add(float(at), cost, 0)
    other.add(float(at - back), 1, 0)
    today, month, _ = other.spent((at - back) // DAY_S)
    assert today >= cost
    assert month >= cost
    mine.add(float(at - back), 5, 0)
    assert mine.spent(at // DAY_S)[0] >= cost + 5


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)), max_size=20), st.randoms())
def test_nothing_stays_held_once_all_has_ended(held: list[tuple[float, int]], chance: object) -> None:
    """However the sums of floats come out."""
    mine, other = counts(2)
    for cost, tokens in held:
        mine.hold(cost, tokens)
    assert other.spent(1)[2] == pytest.approx(sum(cost for cost, _ in held))
    chance.shuffle(held)  # type: ignore[attr-defined]
    for cost, tokens in held:
        mine.let_go(cost, tokens, 1)
    assert (other.spent(1)[2], other.asked(1)[2]) == (0, 0)


def test_keys_do_not_mix() -> None:
    """Each has a place of its own."""
    counters = KeyCounters(1)
    keys = [KeyCount(counters, number, 0) for number in range(1000)]
    for number, key in enumerate(keys):
        key.add(1e9, number, 0)
    assert [key.spent(int(1e9 // DAY_S))[0] for key in keys] == list(range(1000))


def test_a_restarted_worker_keeps_what_was_spent_and_holds_nothing() -> None:
    """Requests that were under way ended with the one before it."""
    counters = KeyCounters(2)
    mine, other = (KeyCount(counters, 3, worker) for worker in range(2))
    mine.add(1e9, 5, 5)
    mine.hold(7, 7)
    other.hold(1, 1)
    counters.begin(0, "0123456789-4.jsonl")
    assert other.spent(int(1e9 // DAY_S)) == (5, 5, 1)
    assert counters.writers == {"0123456789": 4}


def test_the_writers_of_workers_are_known_also_those_that_are_gone() -> None:
    """So that their records are not counted twice. Of each worker the last eight."""
    counters = KeyCounters(2)
    names = [f"{number:010x}" for number in range(20)]
    for number, name in enumerate(names):
        counters.begin(number % 2, f"{name}-{number + 1}.jsonl")
    assert counters.writers == {name: number for number, name in list(enumerate(names, 1))[-16:]}


def test_what_a_forked_process_counts_is_seen() -> None:
    """Without a lock, since each writes to its own row."""
    counters = KeyCounters(2)
    mine = KeyCount(counters, 0, 0)
    pid = os.fork()
    if not pid:
        theirs = KeyCount(counters, 0, 1)
        for _ in range(1000):
            theirs.add(1e9, 1, 1)
        os._exit(0)
    for _ in range(1000):
        mine.add(1e9, 1, 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert mine.spent(int(1e9 // DAY_S))[0] == 2000
