"""What a race will take, said beforehand."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from selfopt.errors import UsageError
from selfopt.policy import Race
from selfopt.simulate import Bench, WorldOptions, forecast, make_world, race_start, run_race
from selfopt.simulate.once import DEFAULTS

OPTIONS = WorldOptions(12, 4, gain=0.1)


def test_a_larger_gain_takes_fewer_trials() -> None:
    """And less power fewer than more; two digits are enough."""
    large = forecast(OPTIONS, replications=60, processes=1)
    small = forecast(replace(OPTIONS, gain=0.06), replications=60, processes=1)
    assert large.trials is not None
    assert large.typical_trials < small.typical_trials
    assert large.typical_trials < large.trials
    assert large.power >= 0.9
    half = forecast(OPTIONS, power=0.5, replications=60, processes=1)
    assert half.trials is not None
    assert half.trials < large.trials
    assert large.trials % 10 == 0


def test_with_so_many_trials_the_gain_is_found_as_often_as_was_asked_for() -> None:
    """Other worlds of the same sort, capped at what was foretold."""
    told = forecast(OPTIONS, power=0.8, replications=100, processes=1).trials
    assert told is not None
    found = 0
    for seed in range(100):
        rng = random.Random(f"again {seed}")
        world = make_world(OPTIONS, rng)
        race = Race(race_start(world, race_id=f"again-{seed}", alpha=0.05, settings=DEFAULTS))
        run_race(race, Bench(world, rng), told + 50)
        found += race.winner is not None
    assert found >= 65


def test_what_cannot_be_found_has_no_number() -> None:
    """One point on twelve prompts, dropped as not worth finding."""
    assert forecast(replace(OPTIONS, gain=0.01), replications=20, processes=1).trials is None


def test_forecasts_of_nothing_are_refused() -> None:
    """A gain of 0, a power of 1."""
    for options, power in ((replace(OPTIONS, gain=0.0), 0.9), (OPTIONS, 1.0), (OPTIONS, 0.0)):
        with pytest.raises(UsageError, match="need"):
            forecast(options, power=power)
