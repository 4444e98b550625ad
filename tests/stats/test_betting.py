"""E-processes: their expectation under the hypothesis, exactly and at adversarial stopping rules; what they refuse."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import PROMPT_BETS, Bets, EProcess, Pairs, log_growths, log_mean_exp
from tests.examples import some_of

BETS = Bets((0.1, 0.2, 0.4, 0.7, 1.2), (0.02, 0.1, 0.3, 0.38, 0.2))
share = st.floats(0, 1)


def centred(values: Sequence[float]) -> list[float]:
    """Clipped to +-.7 and summing to 0, as the race makes its centres."""
    mean = sum(values) / len(values)
    clipped = [max(-0.7, min(0.7, v - mean)) for v in values]
    return [v - sum(clipped) / len(clipped) for v in clipped]


def expected_growth(
    candidate: Sequence[float],
    baseline: Sequence[float],
    draws: Sequence[tuple[int, float]],
    g: Sequence[float],
    **kind: bool | float,
) -> list[float]:
    """E[exp(growth)] of every bet over all outcomes of one block, computed by enumeration."""
    total = [0.0] * len(BETS.lambdas)
    weights = tuple(w for _, w in draws)
    for outcome in itertools.product((-1, 0, 1), repeat=len(draws)):
        chance = 1.0
        for d, (j, _) in zip(outcome, draws, strict=True):
            win, loss = candidate[j] * (1 - baseline[j]), baseline[j] * (1 - candidate[j])
            chance *= win if d == 1 else loss if d == -1 else 1 - win - loss
        if chance > 0:
            gains = tuple(d - g[j] for d, (j, _) in zip(outcome, draws, strict=True))
            pairs = Pairs(gains, weights, max(weights), 1 + max(g), 1 - min(g))
            mean = float(kind.get("mean", 0.0))
            growths = log_growths(pairs, BETS, mean, below=bool(kind.get("below", False)))
            total = [t + chance * math.exp(growth) for t, growth in zip(total, growths, strict=True)]
    return total


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(share, share, st.floats(-1, 1)), min_size=2, max_size=4),
    st.sets(st.integers(0, 3)),
    st.booleans(),
)
def test_a_pass_over_the_suite_grows_by_at_most_one_in_expectation(
    prompts: list[tuple[float, float, float]], noisy: set[int], below: bool
) -> None:
    """Exactly, for any pass rates, centres and repeats, at the true mean as the hypothesis (the worst case) and beyond it."""
    candidate, baseline = [p[0] for p in prompts], [p[1] for p in prompts]
    g = centred([p[2] for p in prompts])
    draws = [(j, 0.5 if j in noisy else 1.0) for j in range(len(prompts))] + [(j, 0.5) for j in sorted(noisy) if j < len(prompts)]
    delta = sum(c - b for c, b in zip(candidate, baseline, strict=True)) / len(prompts)
    for slack in (0.0, 0.1):
        mean = max(-1.0, delta - slack) if below else min(1.0, delta + slack)
        assert max(expected_growth(candidate, baseline, draws, g, mean=mean, below=below)) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(share, share, st.floats(-1, 1), st.floats(0.2, 3)), min_size=2, max_size=5), st.booleans())
def test_a_prompt_drawn_by_importance_grows_by_at_most_one_in_expectation(
    prompts: list[tuple[float, float, float, float]], below: bool
) -> None:
    """Exactly, averaged over which prompt is drawn."""
    candidate, baseline = [p[0] for p in prompts], [p[1] for p in prompts]
    g = centred([p[2] for p in prompts])
    m, total = len(prompts), sum(p[3] for p in prompts)
    q = [p[3] / total for p in prompts]
    delta = sum(c - b for c, b in zip(candidate, baseline, strict=True)) / m
    highest = max(1 / (m * chance) for chance in q)
    grown = [0.0] * len(BETS.lambdas)
    for j, chance in enumerate(q):
        win, loss = candidate[j] * (1 - baseline[j]), baseline[j] * (1 - candidate[j])
        for d, likely in ((1, win), (-1, loss), (0, 1 - win - loss)):
            pairs = Pairs((d - g[j],), (1 / (m * chance),), highest, 1 + max(g), 1 - min(g))
            growths = log_growths(pairs, BETS, delta, below=below)
            grown = [old + chance * likely * math.exp(growth) for old, growth in zip(grown, growths, strict=True)]
    assert max(grown) <= 1 + 1e-9


@settings(max_examples=some_of(100), deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.floats(-1, 1), st.floats(-1, 1), st.booleans())
def test_wealth_falls_in_the_hypothesis_it_bets_against(gains: list[float], one: float, other: float, below: bool) -> None:
    """A larger mean is harder to beat (from below: easier), caps included: what is not refuted is an interval."""
    low, high = sorted((one, other))
    pairs = Pairs(tuple(gains), tuple(0.5 if i % 2 else 1.0 for i in range(len(gains))))
    at_low, at_high = (log_growths(pairs, BETS, mean, below=below) for mean in (low, high))
    for a, b in zip(at_low, at_high, strict=True):
        assert (b >= a - 1e-9) if below else (a >= b - 1e-9)


def test_no_stopping_rule_makes_money_out_of_nothing() -> None:
    """Churn without a gain: stopped at the first E of 3, or after 30 passes, E is 1 on average and 20 is hardly ever seen."""
    rng = random.Random("fair")
    ends, reached = [], 0
    for _ in range(600):
        base = [rng.random() for _ in range(6)]
        candidate = base[3:] + base[:3]
        process = EProcess(BETS)
        highest = 0.0
        for _ in range(30):
            d = tuple(float((rng.random() < c) - (rng.random() < b)) for c, b in zip(candidate, base, strict=True))
            process.absorb(Pairs(d, (1.0,) * 6))
            highest = max(highest, process.log_e)
            if process.log_e >= math.log(3):
                break
        ends.append(math.exp(process.log_e))
        reached += highest >= math.log(20)
    mean = sum(ends) / len(ends)
    error = math.sqrt(sum((e - mean) ** 2 for e in ends)) / len(ends)
    assert mean <= 1 + 3 * error
    assert reached / 600 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def test_evidence_does_not_depend_on_the_order_of_blocks_without_centres() -> None:
    """A product."""
    blocks = [Pairs((float(d),), (1.0,)) for d in (1, 0, -1, 1, 1, 0, 1)]
    assert EProcess.of(blocks, BETS, 0.0).log_e == pytest.approx(EProcess.of(blocks[::-1], BETS, 0.0).log_e)


def test_long_blocks_neither_overflow_nor_vanish() -> None:
    """Five thousand wins, and as many losses, in one block."""
    won = EProcess.of([Pairs((1.0,) * 5000, (1.0,) * 5000)], BETS, 0.0).log_e
    lost = EProcess.of([Pairs((-1.0,) * 5000, (1.0,) * 5000)], BETS, 0.0).log_e
    assert 5000 * math.log(1.9) < won < 5000 * math.log(1.96)
    assert math.isfinite(lost)
    assert lost < -400


def test_the_mean_of_logs_is_the_log_of_the_mean() -> None:
    """Also where exp would overflow."""
    assert log_mean_exp([0.0, math.log(3)], [0.5, 0.5]) == pytest.approx(math.log(2))
    assert log_mean_exp([1000.0, 0.0], [0.25, 0.75]) == pytest.approx(1000 + math.log(0.25))


@pytest.mark.parametrize(
    ("gains", "weights", "words"),
    [
        ((), (), "at least one"),
        ((1.0, 0.0), (1.0,), "as many of both"),
        ((math.nan,), (1.0,), "missing"),
        ((1.0,), (math.inf,), "missing"),
        ((math.inf, -math.inf), (1.0, 1.0), "missing"),
        ((1.0, None), (1.0, 1.0), "missing"),
        ((1.5,), (1.0,), "fixed before the block"),
        ((1.0,), (0.0,), "above 0"),
        ((1.0,), (2.0,), "at most 1"),
    ],
)
def test_incomplete_and_impossible_blocks_are_refused(
    gains: tuple[float | None, ...], weights: tuple[float, ...], words: str
) -> None:
    """A missing outcome is no outcome of 0."""
    with pytest.raises(ValueError, match=words):
        Pairs(gains, weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [(math.nan, 1, 1), (1, math.nan, 1), (1, 1, math.inf), (0, 1, 1), (1, -0.1, 1)])
def test_limits_that_are_none_are_refused(limits: tuple[float, float, float]) -> None:
    """A limit of NaN compares with nothing, and would let through a bet of any size."""
    with pytest.raises(ValueError, match="need"):
        Pairs((-0.0,), (1e-12,), *limits)


@pytest.mark.parametrize(
    ("lambdas", "prior"),
    [((), ()), ((0.2, 0.1), (0.5, 0.5)), ((0.1, 0.2), (0.5, 0.6)), ((0.0,), (1.0,)), ((0.1, 0.2), (1.0, 0.0))],
)
def test_bets_that_are_none_are_refused(lambdas: tuple[float, ...], prior: tuple[float, ...]) -> None:
    """Unsorted, not summing to 1, or empty."""
    with pytest.raises(ValueError, match="need"):
        Bets(lambdas, prior)


def test_a_mean_that_no_difference_can_have_is_refused() -> None:
    """Outside [-1, 1], and NaN."""
    for mean in (1.5, math.nan):
        with pytest.raises(ValueError, match="need a number in"):
            EProcess(PROMPT_BETS, mean)
