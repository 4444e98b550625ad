"""Work is shared out over turns of the loop."""

from __future__ import annotations

import asyncio

import pytest

from selfopt.web import turns
from selfopt.web.turns import Turns

from .kit import settled


async def test_one_may_begin_at_once_in_each_turn_of_the_loop() -> None:
    """Whoever comes second waits."""
    shared = Turns(asyncio.get_running_loop())
    assert [shared.first() for _ in range(3)] == [True, False, False]
    await settled(1)
    assert shared.first()


async def test_what_takes_long_leaves_the_rest_to_later_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in the order in which it came, as much a turn as fits, and at least one."""
    monkeypatch.setattr(turns, "TURNS_S", 0.0)
    shared = Turns(asyncio.get_running_loop())
    done: list[int] = []
    for number in range(3):
        shared.later(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == []
    seen = []
    for _ in range(4):
        await settled(1)
        seen.append(list(done))
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2]]
    assert not len(shared)


async def test_what_asks_for_another_turn_leaves_others_theirs() -> None:
    """Work that goes on for ever is done once a turn."""
    shared = Turns(asyncio.get_running_loop())
    done = []

    def endless() -> None:
        done.append("endless")
        if len(done) < 50:
            shared.later(endless)

    shared.later(endless)
    shared.later(lambda: done.append("other"))
    await settled(1)
    assert done == ["endless", "other"]


async def test_work_that_fails_stops_nobody_else() -> None:
    """The failure is the loop's to report."""
    loop = asyncio.get_running_loop()
    failed = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    shared = Turns(loop)
    done = []
    shared.later(lambda: done.append(1 // 0))
    shared.later(lambda: done.append(2))
    await settled()
    assert done == [2]
    assert [type(error) for error in failed] == [ZeroDivisionError]
    assert shared.first()
