"""The engine's threads fit the cores that are free."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.engine.cores import free_cores, threads_for, usable_cores


@given(cores=st.integers(1, 256), idle=st.floats(0, 1))
def test_threads_are_at_least_one_and_never_more_than_the_cores(cores: int, idle: float) -> None:
    """Whatever the accounting says."""
    assert 1 <= threads_for(cores, idle) <= cores


def test_an_idle_machine_is_used_whole_and_a_busy_one_left_alone() -> None:
    """Two cores: both, one, one."""
    assert [threads_for(2, idle) for idle in (1.0, 0.9, 0.5, 0.0)] == [2, 2, 1, 1]


async def test_free_cores_looks_at_the_machine_once() -> None:
    """One sample, of a tenth of a second."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    assert 1 <= await free_cores(sleep) <= usable_cores()
    assert waits == [0.1]
