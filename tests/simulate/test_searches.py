"""A whole search on made-up worlds: the short form of perf/search_null.py."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from selfopt.simulate import SearchOptions, SimulatedSearch, repeat
from selfopt.simulate.bench import Bench
from selfopt.simulate.searches import fixed, sampled, screening

SUITE = SearchOptions(prompts=200)
SAMPLE = SearchOptions(prompts=150, sample=True)
EXACT = replace(SAMPLE, flaky=0.0, deterministic=True)
N = 40


@pytest.mark.parametrize("options", [SUITE, SAMPLE, EXACT], ids=["suite", "sample", "exact"])
def test_two_hundred_candidates_that_are_not_better_are_promoted_in_at_most_alpha(options: SearchOptions) -> None:
    """With the whole alpha for one search: three standard errors above it at most."""
    found = repeat(SimulatedSearch(options), N, seed="short", processes=1)
    assert found["promoted"].value == found["not_better"].value <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / N)


@pytest.mark.parametrize("options", [SUITE, SAMPLE], ids=["suite", "sample"])
def test_one_that_is_ten_points_better_is_found(options: SearchOptions) -> None:
    """In four of five searches, with the half of alpha that a first search gets; three standard errors below it at least."""
    found = repeat(SimulatedSearch(replace(options, gain=0.1, alpha=0.025)), N, seed="short", processes=1)
    assert found["better"].value >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / N)
    assert found["screened"].value >= found["proposed"].value >= found["better"].value


def test_candidates_equal_the_baseline_on_average() -> None:
    """On the suite exactly, though half of them differ on many prompts; in the sample over many worlds, and no split tells."""
    world = fixed(SUITE, random.Random("equal"))
    assert len(world.chances) == 201
    assert max(abs(world.gain(k)) for k in range(1, 201)) < 5e-4
    moved = [sum(abs(c - b) for c, b in zip(row, world.chances[0], strict=True)) / 200 for row in world.chances[1:]]
    assert sorted(m > 0.05 for m in moved) == [False] * 100 + [True] * 100
    small = replace(SAMPLE, candidates=2)
    gains = [one.gain(1) for seed in range(300) for one in sampled(small, random.Random(seed))]
    mean = sum(gains) / len(gains)
    assert abs(mean) < 3 * math.sqrt(sum((g - mean) ** 2 for g in gains)) / len(gains)
    assert max(gains) > 0.03


def test_the_better_one_is_better_by_what_was_asked() -> None:
    """Over many worlds, flaky or not."""
    for options in (replace(SAMPLE, gain=0.1, candidates=2), replace(EXACT, gain=0.1, candidates=2)):
        gains = [one.gain(1) for seed in range(300) for one in sampled(options, random.Random(seed))]
        mean = sum(gains) / len(gains)
        assert abs(mean - 0.1) < 3 * math.sqrt(sum((g - mean) ** 2 for g in gains)) / len(gains) + 0.002


def test_a_screening_keeps_the_candidates_that_pass_most() -> None:
    """Those that pass everything are the finalists; every candidate answers the same prompts."""
    world = fixed(replace(SUITE, candidates=100), random.Random("leaders"))
    rows = [world.chances[0], *([1.0] * 200 if k in (7, 70) else row for k, row in enumerate(world.chances[1:], 1))]
    bench = Bench(replace(world, chances=rows), random.Random("asked"))
    leaders = screening(replace(world, chances=rows), bench, random.Random("order"))
    assert len(leaders) == 8
    assert set(leaders[:2]) == {7, 70}
    assert bench.trials == 100 * 60 + 28 * 60
