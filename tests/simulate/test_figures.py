"""Replications, rivals and the tables made of them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

import pytest

from selfopt.errors import UsageError
from selfopt.simulate import WORLDS, Bench, SimulationPlan, World, WorldOptions, candidate_name, cycle_figures, world_figures
from selfopt.simulate.lower_bound import characteristic_trials
from selfopt.simulate.many import repeat
from selfopt.simulate.once import Deterministic, Searching
from selfopt.simulate.rivals import fixed_n, fixed_n_runs, plain_rule

SMALL = WORLDS["12x4"]


@dataclass(frozen=True)
class Coin:
    """Heads or tails, and a number."""

    def once(self, seed: str) -> dict[str, float]:
        rng = random.Random(seed)
        return {"heads": float(rng.random() < 0.25), "number": rng.random()}


def test_figures_do_not_depend_on_the_number_of_processes() -> None:
    """Each replication has a seed of its own."""
    alone, shared = (repeat(Coin(), 90, seed="s", processes=n) for n in (1, 2))
    assert alone == shared
    assert repeat(Coin(), 90, seed="other", processes=1) != alone


def test_means_come_with_their_standard_error_and_shares_with_an_upper_limit() -> None:
    """A quarter heads in a thousand; an exact limit for shares only."""
    many = repeat(Coin(), 1000, processes=1)
    assert many["heads"].value == pytest.approx(0.25, abs=0.05)
    assert many["heads"].se == pytest.approx(math.sqrt(0.25 * 0.75 / 1000), rel=0.1)
    assert many["heads"].value < many["heads"].upper95 < many["heads"].value + 0.03
    assert math.isnan(many["number"].upper95)
    for replications, processes in ((0, 1), (1, 0)):
        with pytest.raises(UsageError, match="at least 1"):
            repeat(Coin(), replications, processes=processes)


def test_the_race_finds_five_points_on_twelve_prompts_with_few_trials() -> None:
    """Far fewer than a fixed test of the same power, hardly ever wrong: the figures of perf/promotion.py in small."""
    found = repeat(Searching(replace(SMALL, gain=0.05)), 200, processes=1)
    assert found["better"].value >= 0.86
    assert found["calls"].value < 1600
    assert found["calls"].value < 0.5 * found["fixed_calls"].value
    nothing = repeat(Searching(SMALL), 200, processes=1)
    assert nothing["not_better"].value <= 0.05
    assert nothing["plain_not_better"].value > nothing["not_better"].value


def test_a_cap_holds_the_race() -> None:
    """It is never exceeded."""
    found = repeat(Searching(SMALL, max_trials=200, rivals=False), 10, processes=1)
    assert found["calls"].value <= 200
    assert found["held"].value > 0.5
    assert "plain_calls" not in found


def test_drift_and_cold_starts_do_not_make_winners() -> None:
    """Both meet all specs alike, because they are asked interleaved."""
    hampered = replace(SMALL, cold=0.25, drift=0.06)
    assert repeat(Searching(hampered, rivals=False), 150, processes=1)["not_better"].value <= 0.06


def test_deterministic_winners_are_judged_on_held_out_prompts() -> None:
    """Fifteen points are found, nothing is not; the bets alone find less than with the planned last look, McNemar's a little more."""
    options = WORLDS["det150x4"]
    found = repeat(Deterministic(replace(options, gain=0.1)), 150, processes=1)
    assert found["bets_better"].value < found["better"].value <= found["mcnemar_better"].value
    nothing = repeat(Deterministic(options), 150, processes=1)
    assert nothing["not_better"].value <= 0.05
    assert nothing["calls"].value <= 7 * 150


def sure_world(candidate: float) -> World:
    """Sixteen prompts: the baseline passes half of them, the candidate this share."""
    base = [1.0] * 8 + [0.0] * 8
    passing = round(candidate * 16)
    return World((base, [1.0] * passing + [0.0] * (16 - passing)), (), 4)


def test_rivals_promote_what_is_clearly_better_and_not_what_is_worse() -> None:
    """The plain gates and the fixed test, where nothing is left to chance."""
    better, worse = sure_world(0.75), sure_world(0.25)
    for world, winner in ((better, candidate_name(1)), (worse, None)):
        assert plain_rule(world, Bench(world, random.Random(1))) == winner
        assert plain_rule(world, Bench(world, random.Random(1)), runs=1, exact=True) == winner
        assert fixed_n(world, Bench(world, random.Random(1)), 5, 0.05) == winner


def test_a_fixed_test_is_planned_for_its_power() -> None:
    """Fewer runs on more prompts or for a larger gain, more for more candidates."""
    assert fixed_n_runs(WORLDS["200x4"], 0.05) < fixed_n_runs(SMALL, 0.05)
    assert fixed_n_runs(SMALL, 0.05, gain=0.1) < fixed_n_runs(SMALL, 0.05) < fixed_n_runs(replace(SMALL, candidates=16), 0.05)


def test_the_lower_bound_of_one_prompt_is_the_known_one() -> None:
    """Two specs and one prompt: the best allocation is even for chances that mirror each other, so the bound is that of Kaufmann,
    Cappe & Garivier (2016) for two Bernoulli arms, kl(.05, .95) over the kl to the point between."""
    p, q = 0.6, 0.4
    between = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    expected = 0.9 * math.log(19) / between
    assert characteristic_trials([p], [[q]], 400) == pytest.approx(expected, rel=0.02)
    assert characteristic_trials([p, 1.0], [[q, 1.0]], 400) > expected  # that a prompt is sure has to be found out too
    assert characteristic_trials([0.5], [[0.5]], 10) == math.inf


def test_a_worlds_figures_have_every_rule_and_error() -> None:
    """As perf/promotion.py prints them."""
    figures = world_figures("12x4", SMALL, SimulationPlan(replications=4, gains=(0.1,), processes=1, bound_worlds=1))
    assert {
        "null_promoted",
        "null_promoted_upper95",
        "identical_promoted",
        "worse_promoted",
        "power_10",
        "power_10_se",
        "calls_null",
    } <= set(figures)
    assert {"calls_10", "calls_10_se", "lower_bound_calls_10", "plain_rule", "fixed_n"} <= set(figures)
    for rule in ("plain_rule", "fixed_n"):
        part: Any = figures[rule]
        assert {"runs", "null_promoted", "power_10", "calls_10"} <= set(part)
    det = world_figures("det150x4", replace(WORLDS["det150x4"], prompts=20), SimulationPlan(replications=2, processes=1))
    assert {"power_15", "mcnemar", "bets_alone"} <= set(det)
    assert "fixed_n" not in det


def test_ten_cycles_in_a_row_hardly_ever_end_worse() -> None:
    """By the race; histories of both rules meet the same candidates."""
    figures = cycle_figures(SimulationPlan(replications=15, processes=1), WorldOptions(12, 3), cycles=4)
    part: Any = figures["plain_rule"]
    assert figures["promoted_worse"] == 0
    assert figures["gain_points"] > part["gain_points"]
    assert figures["calls_per_cycle"] > part["calls_per_cycle"] == 7 * 12 * 4


@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.0}, {"alpha": 0.6}, {"gains": (0.0,)}, {"gains": (float("nan"),)}, {"replications": 0}, {"max_trials": 0}],
)
def test_plans_that_are_none_are_refused(options: dict[str, Any]) -> None:
    """With what is allowed."""
    with pytest.raises(UsageError, match="need"):
        SimulationPlan(**options)
