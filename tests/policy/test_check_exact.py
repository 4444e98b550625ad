"""How often answers have to agree before a check takes them for exact."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.policy import EXACT_SHARE, answers_needed, least_runs, sample_size, varying_runs
from selfopt.policy.check_exact import second_share
from selfopt.records import CheckSettings, CheckStart, Outcome
from tests.ledger.check_samples import check_side, check_start

SETTINGS = CheckSettings()


def exact(now: str, before: str | None = None, **more: Any) -> CheckStart:
    """A check whose outcomes are known."""

    def known(outcomes: str) -> dict[str, Outcome]:
        return {f"p{j}": Outcome.PASS if one == "P" else Outcome.MISSED for j, one in enumerate(outcomes)}

    other = None if before is None else check_side("before", known=known(before))
    return check_start(len(now), now=check_side("now", known=known(now)), before=other, **more)


@given(st.floats(0, 1), st.integers(2, 60))
def test_luck_of_prompts_that_are_asked_alike_often_is_bounded(passes: float, answers: int) -> None:
    """The factor of one prompt is at most 1, whatever its pass rate is."""
    agreeing = passes**answers * math.exp(answers) + (1 - passes) ** answers
    assert math.exp(-answers * passes) * agreeing <= 1 + 1e-9


@given(st.floats(0, 1), st.floats(0, 2))
def test_luck_is_bounded_where_a_share_is_asked_twice(passes: float, s: float) -> None:
    """The same for a prompt that is asked again with a chance."""
    r = second_share(s)
    assert 0 <= r <= 1 + 1e-9
    agreeing = passes * math.exp(s) * (1 - r + r * passes) + (1 - passes) * (1 - r + r * (1 - passes))
    assert math.exp(-s * passes) * agreeing <= 1 + 1e-9


@pytest.mark.parametrize("n", [1, 6, 12, 60, 119, 300, 5000])
def test_what_is_repeated_rules_a_loss_out(n: int) -> None:
    """A small suite is repeated often, of a large one a sample is enough."""
    luck = -math.log(EXACT_SHARE * SETTINGS.alpha)
    size, runs = sample_size(n, SETTINGS), least_runs(n, SETTINGS)
    assert 1 <= size <= n
    if runs > 2:
        assert size == n
        assert (
            math.exp(-runs * n * SETTINGS.max_regression) <= math.exp(-luck) < math.exp(-(runs - 1) * n * SETTINGS.max_regression)
        )
    assert varying_runs(n, SETTINGS) >= max(7, min(1000, 1000 // n))


def test_a_large_suite_is_asked_again_only_where_it_differs() -> None:
    """Three times, on both sides."""
    sampled = [f"p{j}" for j in range(0, 300, 5)]
    now, before = answers_needed(exact("F" + "P" * 299, "P" * 300), sampled)
    assert now["p0"] == before["p0"] == 3
    assert {now[name] for name in now if name not in sampled} == {1}
    assert sum(now.values()) == 300 + len(sampled) - 1 + 2 - 1 + 1


def test_every_prompt_of_a_small_suite_is_asked_again() -> None:
    """Until a loss that is not allowed would have shown itself."""
    now, before = answers_needed(exact("P" * 6, "P" * 6), [f"p{j}" for j in range(6)])
    assert set(now.values()) == set(before.values()) == {least_runs(6, SETTINGS)}
    assert 0.8 ** (3 * least_runs(6, SETTINGS)) < 1e-5  # three prompts that fail one time in five


def test_a_part_is_repeated_as_its_own_size_asks() -> None:
    """Restraint of few prompts in a large suite."""
    start = exact("P" * 300, needs_call=tuple(f"p{j}" for j in range(12, 300)), thresholds={"restraint": 0.8})
    now, _ = answers_needed(start, [f"p{j}" for j in range(0, 300, 10)])
    assert {now[f"p{j}"] for j in range(12)} == {10}
    assert max(now[f"p{j}"] for j in range(12, 300)) == 2


def test_what_fails_a_threshold_by_one_prompt_is_asked_until_luck_is_ruled_out() -> None:
    """The nearer the threshold, the more often."""
    near, _ = answers_needed(exact("F" * 21 + "P" * 79, thresholds={"accuracy": 0.8}), [])
    far, _ = answers_needed(exact("F" * 60 + "P" * 40, thresholds={"accuracy": 0.8}), [])
    assert near["p0"] == 6 > far["p0"] == 3
    assert near["p99"] == far["p99"] == 2


def test_a_prompt_that_must_pass_is_asked_until_its_side_of_the_floor_is_shown() -> None:
    """By the chances of error of the check."""
    now, _ = answers_needed(exact("FP" + "P" * 198, must_pass=("p0", "p1")), [])
    assert 0.5 ** now["p1"] <= SETTINGS.beta < 0.5 ** (now["p1"] - 1)
    assert 0.5 ** now["p0"] <= SETTINGS.alpha / 2 < 0.5 ** (now["p0"] - 1)
    assert now["p2"] == 1
