"""The engine's threads fit the cores that are free."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.engine import cores
from selfopt.engine.cores import free_cores, threads_for, usable_cores


@given(count=st.integers(1, 256), idle=st.floats(0, 1))
def test_threads_are_at_least_one_and_never_more_than_the_cores(count: int, idle: float) -> None:
    """Whatever the accounting says."""
    assert 1 <= threads_for(count, idle) <= count


def test_an_idle_machine_is_used_whole_and_a_busy_one_left_alone() -> None:
    """Two cores: both, one, one."""
    assert [threads_for(2, idle) for idle in (1.0, 0.9, 0.5, 0.0)] == [2, 2, 1, 1]


class Times(NamedTuple):
    """What psutil tells, in seconds since the start."""

    user: float
    idle: float


def accounting(*idle: float) -> tuple[Callable[[], Times], Callable[[float], Awaitable[None]], list[float]]:
    """A machine that is so idle in one sample after the other; its clock moves when somebody waits."""
    shares, waits, now = iter(idle), list[float](), Times(0.0, 0.0)

    async def sleep(seconds: float) -> None:
        nonlocal now
        share = next(shares)
        now = Times(now.user + seconds * (1 - share), now.idle + seconds * share)
        waits.append(seconds)

    return lambda: now, sleep, waits


async def test_where_every_core_is_free_one_look_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second."""
    monkeypatch.setattr(cores, "usable_cores", lambda: 2)
    times, sleep, waits = accounting(0.95)
    assert await free_cores(sleep, times) == 2
    assert waits == [0.1]


@pytest.mark.parametrize(
    ("idle", "expected"),
    [((0.1, 0.6, 0.95, 0.9, 1.0), 2), ((0.5, 0.9, 0.4, 0.5, 0.95), 1), ((0.0, 0.0, 0.0, 0.0, 0.0), 1)],
    ids=["a burst of a moment", "one core taken", "all taken"],
)
async def test_a_machine_that_looks_busy_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, idle: tuple[float, ...], expected: int
) -> None:
    """What the engine finds it keeps for its whole life."""
    monkeypatch.setattr(cores, "usable_cores", lambda: 2)
    times, sleep, waits = accounting(*idle)
    assert await free_cores(sleep, times) == expected
    assert len(waits) == 5


async def test_free_cores_of_this_machine_are_between_one_and_all() -> None:
    async def sleep(_: float) -> None:
        return None

    assert 1 <= await free_cores(sleep) <= usable_cores()
