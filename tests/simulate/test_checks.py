"""Simulated checks: the real policy, on builds whose truth is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from selfopt.errors import UsageError
from selfopt.simulate import CheckWorld, LossShape, SimulatedCheck, repeat
from selfopt.simulate.checks import make_builds

WORLD = CheckWorld(prompts=100)


@pytest.mark.parametrize("shape", ["stable_broken", "flaky_worse", "mixed"])
def test_builds_lose_what_they_are_told_to(shape: LossShape) -> None:
    """Ten points of a hundred prompts, wherever they come from."""
    before, now = make_builds(replace(WORLD, loss=0.1, shape=shape), random.Random("0"))
    assert (sum(before) - sum(now)) / 100 == pytest.approx(0.1, abs=0.001)
    stable = [j for j in range(40, 100) if before[j] != now[j]]
    assert bool(stable) is (shape != "flaky_worse")


def test_large_losses_fail_and_unchanged_builds_pass() -> None:
    """In 15 draws of each; a seed gives the same again."""
    fine = repeat(SimulatedCheck(WORLD), 15, processes=1)
    lost = repeat(SimulatedCheck(replace(WORLD, loss=0.15, shape="mixed")), 15, processes=1)
    assert fine["failed"].value == 0.0
    assert lost["failed"].value >= 0.9
    assert lost["calls"].value < fine["calls"].value
    assert SimulatedCheck(WORLD).once("a") == SimulatedCheck(WORLD).once("a")


def test_a_cap_leaves_it_undecided() -> None:
    """And is never exceeded."""
    found = SimulatedCheck(WORLD, max_trials=250).once("cap")
    assert (found["undecided"], found["calls"]) == (1.0, 200.0)


def test_recorded_runs_take_half_of_the_trials() -> None:
    """The other side is not asked."""
    found = repeat(SimulatedCheck(replace(WORLD, loss=0.15, shape="stable_broken", recorded=7)), 10, processes=1)
    assert found["failed"].value >= 0.9
    assert found["calls"].value <= 700


def test_impossible_worlds_are_refused() -> None:
    """No prompts, or more than all is lost."""
    for changes in ({"prompts": 0}, {"loss": 1.0}, {"flaky": 2.0}, {"recorded": -1}):
        with pytest.raises(UsageError):
            replace(WORLD, **changes)
