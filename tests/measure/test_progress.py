"""The signs of life: what is left is told at the pace of what is through."""

from __future__ import annotations

from selfopt.measure.progress import Board, Progress
from selfopt.records import Outcome


def test_the_time_left_falls_while_a_trial_takes_long_and_never_below_the_trials_after_it() -> None:
    """Two trials of 4 s are through, three are left: 12 s, then less, and 8 s for as long as the third hangs."""
    clock = [0.0]
    told: list[Progress] = []
    board = Board(told.append, lambda: clock[0])
    board.total = 5
    board.at("model suite variant", 0)
    board.tell("heartbeat")
    assert [p.eta_s for p in told] == [None]
    for at in (4.0, 8.0):
        clock[0] = at
        board.committed("P1", Outcome.PASS)
    assert told[-1].eta_s == 12.0
    for at, left in ((9.0, 11.0), (11.0, 9.0), (12.0, 8.0), (60.0, 8.0), (600.0, 8.0)):
        clock[0] = at
        board.tell("heartbeat")
        assert told[-1].eta_s == left


def test_nothing_is_left_when_all_is_through() -> None:
    """Zero, also when time goes on."""
    now = 1.0
    told: list[Progress] = []
    board = Board(told.append, lambda: now)
    board.total = 1
    now = 3.0
    board.committed("P1", Outcome.PASS)
    now = 10.0
    board.tell("run_ended")
    assert [p.eta_s for p in told] == [0.0, 0.0]
