"""One paired outcome per prompt: evidence, McNemar's test beside it, clusters."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import PromptDifferences, mcnemar_p, prompt_evidence


def differences(wins: int, losses: int, ties: int = 0) -> PromptDifferences:
    """In some order."""
    return PromptDifferences((1,) * wins + (-1,) * losses + (0,) * ties)


def test_fifteen_wins_to_five_of_sixty_are_not_enough() -> None:
    """E = 7, less than 20; twice as many are."""
    assert math.exp(prompt_evidence(differences(15, 5, 40))) == pytest.approx(7, abs=0.5)
    assert math.exp(prompt_evidence(differences(30, 10, 80))) > 20


@settings(max_examples=30, deadline=None)
@given(st.floats(0.02, 0.4), st.floats(0, 0.3), st.integers(1, 14), st.booleans())
def test_its_expectation_is_at_most_one(loss: float, less: float, n: int, planned: bool) -> None:
    """Exactly, over all counts of wins and losses, when wins are no likelier than losses."""
    win = max(0.0, loss - less)
    total = 0.0
    for w in range(n + 1):
        for lost in range(n + 1 - w):
            ways = math.comb(n, w) * math.comb(n - w, lost)
            chance = ways * win**w * loss**lost * (1 - win - loss) ** (n - w - lost)
            total += chance * math.exp(prompt_evidence(differences(w, lost, n - w - lost), planned=n if planned else None))
    assert total <= 1 + 1e-9


def test_a_planned_number_of_prompts_brings_most_of_the_exact_tests_power() -> None:
    """150 prompts, ten points better: more than by the bets alone, less than by McNemar's test, which may be looked at once."""
    rng = random.Random("power")
    bets = planned = exact = 0
    for _ in range(400):
        drawn = tuple(1 if u < 0.15 else -1 if u < 0.2 else 0 for u in (rng.random() for _ in range(150)))
        pairs = PromptDifferences(drawn)
        bets += prompt_evidence(pairs) >= math.log(20)
        planned += prompt_evidence(pairs, planned=150) >= math.log(20)
        exact += pairs.mcnemar <= 0.05
    assert bets + 20 < planned <= exact


def test_the_planned_look_counts_only_once_all_are_in() -> None:
    """Nine wins to none of ten planned prompts, before and after the last one; more than planned are refused."""
    nine, ten = differences(9, 0), differences(9, 0, 1)
    assert prompt_evidence(nine, planned=10) == pytest.approx(prompt_evidence(nine) - math.log(4))
    assert math.exp(prompt_evidence(ten, planned=10)) >= 20
    with pytest.raises(ValueError, match="planned"):
        prompt_evidence(ten, planned=9)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_tail_of_a_fair_coin(wins: int, losses: int) -> None:
    """By the sum of its binomial terms."""
    n = wins + losses
    assert mcnemar_p(wins, losses) == pytest.approx(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n, rel=1e-9)


def test_prompts_of_one_tool_set_widen_the_interval_beside() -> None:
    """Five tool sets, each won or lost as a whole, say less than as many prompts on their own."""
    d = tuple(1 if (i // 10) % 2 == 0 else 0 for i in range(50))
    alone = PromptDifferences(d).clustered()
    together = PromptDifferences(d, tuple(str(i // 10) for i in range(50))).clustered()
    assert alone is not None
    assert together is not None
    assert alone.low is not None
    assert together.low is not None
    assert together.value == alone.value == pytest.approx(0.6)
    assert together.low < alone.low
    assert together.clusters == 5


def test_the_interval_holds_the_gain() -> None:
    """And is all of [-1, 1] without prompts."""
    found = differences(30, 10, 80).interval(0.05)
    assert found.low < 20 / 120 < found.high
    empty = PromptDifferences(())
    assert (empty.interval(0.05).low, empty.interval(0.05).high, empty.gain, empty.clustered()) == (-1.0, 1.0, 0.0, None)


def test_missing_and_impossible_outcomes_are_refused() -> None:
    """NaN, None, more than one; clusters for some prompts only; negative counts; a half where the exact test is to look last."""
    for bad in (math.nan, None, 1.5, 2):
        with pytest.raises(ValueError, match="need a number from -1 to 1"):
            PromptDifferences((1, bad))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no exact test"):
        prompt_evidence(PromptDifferences((1, 0.5)), planned=2)
    with pytest.raises(ValueError, match="one each, or none"):
        PromptDifferences((1, 0), ("a",))
    with pytest.raises(ValueError, match="at least 0"):
        mcnemar_p(-1, 2)
    with pytest.raises(ValueError, match=r"at most 0\.5"):
        prompt_evidence(differences(1, 1), alpha=0.7)
