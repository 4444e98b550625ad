"""Confidence sequences: coverage at all times at once, agreement with the test, what they refuse."""

from __future__ import annotations

import math
import random

import pytest

from selfopt.stats import Bets, EProcess, Pairs, confidence_sequence

BETS = Bets((0.1, 0.2, 0.4, 0.7, 1.2), (0.02, 0.1, 0.3, 0.38, 0.2))


def passes(rng: random.Random, candidate: list[float], base: list[float]) -> Pairs:
    """One pass over the suite."""
    d = tuple(float((rng.random() < c) - (rng.random() < b)) for c, b in zip(candidate, base, strict=True))
    return Pairs(d, (1.0,) * len(d))


def test_the_true_mean_stays_inside_at_all_times() -> None:
    """Looked at after each of 25 passes, it is ever outside in at most 20 % of the cases at 10 % a side."""
    rng = random.Random("coverage")
    n, outside = 500, 0
    for case in range(n):
        base, candidate = [rng.random() for _ in range(8)], [rng.random() for _ in range(8)]
        delta = (sum(candidate) - sum(base)) / 8
        blocks = [passes(rng, candidate, base) for _ in range(25)]
        sides = [EProcess(BETS, delta), EProcess(BETS, delta, below=True)]
        out = False
        for look, pairs in enumerate(blocks):
            for side in sides:
                side.absorb(pairs)
            now = any(side.log_e >= math.log(10) for side in sides)
            out = out or now
            if case % 50 == 0 and look % 8 == 0:  # the interval is what these two do not refute
                found = confidence_sequence(blocks[: look + 1], BETS, 0.1)
                assert now == (not found.low <= delta <= found.high)
        outside += out
    assert outside / n <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / n)


def test_the_lower_end_passes_zero_exactly_when_the_evidence_reaches_its_border() -> None:
    """The interval that is shown and the test that decides never contradict each other."""
    rng = random.Random("agree")
    seen = set()
    for gain in (0.0, 0.2, 0.4):
        base = [0.3] * 6
        blocks: list[Pairs] = []
        for _ in range(20):
            blocks.append(passes(rng, [0.3 + gain] * 6, base))
            decided = EProcess.of(blocks, BETS, 0.0).log_e >= math.log(20)
            # The bisection ends within 0.00001 below the border.
            assert decided == (confidence_sequence(blocks, BETS, 0.05).low >= -2e-5)
            seen.add(decided)
    assert seen == {True, False}


def test_it_narrows_and_holds_the_estimate() -> None:
    """More blocks, less width."""
    rng = random.Random("narrow")
    blocks: list[Pairs] = []
    widths = []
    for _ in range(60):
        blocks.append(passes(rng, [0.6] * 8, [0.5] * 8))
        found = confidence_sequence(blocks, BETS, 0.025)
        mean = sum(sum(b.gains) for b in blocks) / sum(len(b.gains) for b in blocks)
        assert found.low <= mean <= found.high
        widths.append(found.high - found.low)
    assert widths[-1] < 0.5 * widths[4]


def test_nothing_is_known_before_the_first_block() -> None:
    """All of [-1, 1]; and one pair hardly changes that."""
    nothing = confidence_sequence([], BETS, 0.05)
    assert (nothing.low, nothing.high) == (-1.0, 1.0)
    one = confidence_sequence([Pairs((1.0,), (1.0,))], BETS, 0.05)
    assert (one.low, one.high) == (-1.0, 1.0)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.51, 1.0, math.nan])
def test_an_alpha_out_of_range_is_refused(alpha: float) -> None:
    """(0, 0.5]."""
    with pytest.raises(ValueError, match=r"need a number in \(0, 0.5\]"):
        confidence_sequence([], BETS, alpha)
