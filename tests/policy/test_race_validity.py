"""The promise of the race, on worlds made to break it: what is not better is promoted with a chance of at most alpha."""

from __future__ import annotations

import copy
import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from selfopt.policy import Race
from selfopt.policy.race_track import Track
from selfopt.simulate import Bench, World
from tests.examples import LONG

from .race_kit import AT, start_of

Chances = list[float]
N = 250 if LONG else 120


def shuffled(rng: random.Random, m: int) -> tuple[Chances, Chances]:
    """All churn: the candidate has the baseline's chances on other prompts."""
    base = [rng.random() for _ in range(m)]
    return base, rng.sample(base, m)


def sure(rng: random.Random, m: int) -> tuple[Chances, Chances]:
    """Nothing flaky: as many prompts lost as won."""
    half = m // 2
    return [1.0] * half + [0.0] * half, [0.0] * half + [1.0] * half


def one_flaky(rng: random.Random, m: int) -> tuple[Chances, Chances]:
    """Noise in one prompt that is drawn often, a sure loss made up for by it."""
    base = [1.0] * m
    base[0] = 0.3
    candidate = [1.0] * m
    candidate[0], candidate[1] = 0.9, 0.4
    return base, candidate


def rare_losses(rng: random.Random, m: int) -> tuple[Chances, Chances]:
    """Small gains on most prompts, one large loss: wealth grows steadily until it is met."""
    candidate = [0.5 + 0.4 / (m - 1)] * m
    candidate[-1] = 0.1
    return [0.5] * m, candidate


WORLDS: dict[str, Callable[[random.Random, int], tuple[Chances, Chances]]] = {
    "shuffled": shuffled, "sure": sure, "one flaky": one_flaky, "rare losses": rare_losses,
}  # fmt: skip


def ends(kind: str, prompts: int, *, gain: float, stop: Callable[[Track], bool]) -> tuple[list[Track], int]:
    """Tracks of N races of three candidates, one followed, stopped by a rule that looks after each block; how many were promoted.
    gain: what every candidate is better by (subtracted from the baseline)."""
    tracks, promoted = [], 0
    for seed in range(N):
        rng = random.Random(f"{kind} {prompts} {seed}")
        rows: list[Chances] = []
        base: Chances = []
        for _ in range(3):
            base, candidate = WORLDS[kind](random.Random(f"{kind} {seed}"), prompts)
            rows.append(candidate)
        base = [max(0.0, min(1.0, b - gain)) for b in base]
        made = World((base, *rows), (), 0)
        race = Race(start_of(made, f"{kind}-{seed}", alpha=0.2, beta=0.001, small_suite=12, block_draws=8))
        bench, first = Bench(made, rng), race._tracks[0]
        for _ in range(25):
            plan = race.plan_block()
            if plan is None or stop(first):
                break
            race.absorb(plan.block(bench.answer(plan), at=AT))
        tracks.append(first)
        promoted += race.winner is not None
    return tracks, promoted


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """With its standard error."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values)) / len(values)


def children(race: Race, chances: Sequence[Sequence[float]]) -> list[tuple[float, Race]]:
    """Every race that the next block can lead to, with its probability."""
    plan = race.plan_block()
    assert plan is not None
    rows = [chances[0] if spec == "baseline" else chances[1] for spec in plan.asked]
    n = len(plan.prompt_ids)
    found = []
    for bits in itertools.product((0, 1), repeat=n * len(rows)):
        chance = 1.0
        for i, bit in enumerate(bits):
            p = rows[i // n][plan.draws.positions[i % n]]
            chance *= p if bit else 1 - p
        if chance > 0:
            after = copy.deepcopy(race)
            passes = {spec: bits[k * n : (k + 1) * n] for k, spec in enumerate(plan.asked)}
            after.absorb(plan.block(passes, at=AT))
            found.append((chance, after))
    return found


two = st.tuples(st.floats(0, 1), st.floats(0, 1))


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(two, two, st.integers(0, 1000), st.booleans())
def test_from_wherever_a_race_stands_evidence_cannot_be_expected_to_rise(
    base: tuple[float, float], candidate: tuple[float, float], seed: int, futile: bool
) -> None:
    """Exactly, over all outcomes of the next block, along a path of blocks with its own centres and repeats: the mean of E against
    the truth is at most what E is now, so no rule for stopping can make anything of it. Likewise for F."""
    made, rng = World((base, candidate), (), 0), random.Random(seed)
    assume(abs(made.gain(1)) < 0.9)
    null_mean = made.gain(1) - (0.05 if futile else 0.0)
    race = Race(start_of(made, alpha=1e-9, beta=1e-9, drop_z=99.0, null_mean=null_mean))

    def log_e(of: Race) -> float:
        track = of._tracks[0]
        return track.futility.log_e if futile else track.evidence.log_e

    for _ in range(3):
        if race.plan_block() is None:
            break
        after = children(race, (base, candidate))
        assert sum(p * math.exp(log_e(child) - log_e(race)) for p, child in after) <= 1 + 1e-9
        race = rng.choices([child for _, child in after], [p for p, _ in after])[0]


@pytest.mark.parametrize("prompts", [6, 20])
@pytest.mark.parametrize("kind", sorted(WORLDS))
def test_evidence_for_what_is_not_better_stays_at_one(kind: str, prompts: int) -> None:
    """On small and large suites, stopped when it looks best: E is at most 1 on average; any of three promoted in at most alpha."""
    tracks, promoted = ends(kind, prompts, gain=0.0, stop=lambda t: t.evidence.log_e >= math.log(4))
    mean, error = mean_and_error([math.exp(t.evidence.log_e) for t in tracks])
    assert mean <= 1 + 3 * error
    assert promoted / N <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / N)


@pytest.mark.parametrize("prompts", [6, 20])
def test_evidence_against_what_is_worth_finding_stays_at_one(prompts: int) -> None:
    """Five points better: F is at most 1 on average, stopped when it looks worst."""
    tracks, _ = ends("shuffled", prompts, gain=0.0, stop=lambda t: t.futility.log_e >= math.log(4))
    assert mean_and_error([math.exp(t.futility.log_e) for t in tracks])[0] > 1  # not better: it grows
    better, _ = ends("one flaky", prompts, gain=0.05, stop=lambda t: t.futility.log_e >= math.log(4))
    mean, error = mean_and_error([math.exp(t.futility.log_e) for t in better])
    assert mean <= 1 + 3 * error


@pytest.mark.parametrize("prompts", [6, 20])
def test_the_interval_holds_the_truth_at_every_look(prompts: int) -> None:
    """With centres, repeats and importance: ever outside in at most 2 alpha of the cases."""
    outside = 0
    for seed in range(N):
        rng = random.Random(f"coverage {prompts} {seed}")
        base = [rng.random() for _ in range(prompts)]
        candidate = [rng.random() for _ in range(prompts)]
        made = World((base, candidate), (), 0)
        truth = made.gain(1)
        # Each side is refuted exactly when a race with the truth as its null_mean, seen from that side, reaches its border.
        race = Race(
            start_of(made, f"coverage-{seed}", alpha=1e-9, beta=1e-9, small_suite=12, block_draws=8, null_mean=truth, drop_z=99)
        )
        bench, track = Bench(made, rng), race._tracks[0]
        out = False
        for _ in range(20):
            plan = race.plan_block()
            if plan is None:
                break
            race.absorb(plan.block(bench.answer(plan), at=AT))
            out = out or track.evidence.log_e >= math.log(10)
        if seed % 25 == 0:
            found = race.standings()[0].interval
            assert found is not None
            assert found[0] <= truth <= found[1]
        outside += out
    assert outside / N <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / N)
