"""The classifier of outcome rows."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfopt.stats import CALLING_POSTERIOR, ORDER_SIGNIFICANCE, PassRow, RowPattern, classify_rows, cold_length

COLD, FLAKY, STABLE, INCAPABLE, DRIFT = (
    RowPattern.COLD_START,
    RowPattern.FLAKY,
    RowPattern.STABLE,
    RowPattern.INCAPABLE,
    RowPattern.DRIFT,
)
LOADED = (True, True, False, False, False, False, False)


def row(letters: str, loads: tuple[bool | None, ...] = ()) -> PassRow:
    return PassRow(tuple(letter == "P" for letter in letters), loads)


@st.composite
def any_row(draw: st.DrawFn, longest: int = 9) -> PassRow:
    """A row with or without load evidence."""
    passes = tuple(draw(st.lists(st.booleans(), min_size=1, max_size=longest)))
    known = st.lists(st.none() | st.booleans(), min_size=len(passes), max_size=len(passes))
    return PassRow(passes, tuple(draw(st.just([]) | known)))


tables = st.lists(any_row(), max_size=12)


@given(tables)
def test_posteriors_and_weights_sum_to_one(table: list[PassRow]) -> None:
    """Whatever the rows, ragged ones included."""
    found = classify_rows(table)
    assert len(found.rows) == len(table)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert min(found.weights.values()) > 0
    for one in found.rows:
        assert sum(one.posterior.values()) == pytest.approx(1)
        assert min(one.posterior.values()) >= 0
    assert sum(found.counts().values()) == len(table)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_says_nothing(table: list[PassRow], source: random.Random) -> None:
    """Exactly the same for every prompt, wherever it stands in the suite."""
    places = list(range(len(table)))
    source.shuffle(places)
    found, again = classify_rows(table), classify_rows([table[place] for place in places])
    assert again.rows == tuple(found.rows[place] for place in places)
    assert (again.weights, again.cold_p, again.drift_p) == (found.weights, found.cold_p, found.drift_p)


@given(tables)
def test_a_call_has_its_posterior_and_an_ordered_one_its_test_over_prompts(table: list[PassRow]) -> None:
    """Below .8, or without p < .05, nothing is said; rows of fewer than 3 runs (5 for an order) are never called."""
    found = classify_rows(table)
    for given_row, one in zip(table, found.rows, strict=True):
        if one.called is None:
            continue
        assert one.called is one.likeliest
        assert one.posterior[one.called] >= CALLING_POSTERIOR
        assert len(given_row.passes) >= (5 if one.called in (COLD, DRIFT) else 3)
        assert one.called is not COLD or found.cold_p < ORDER_SIGNIFICANCE
        assert one.called is not DRIFT or found.drift_p < ORDER_SIGNIFICANCE


@given(st.lists(st.sampled_from(["PPPPPPP", "FFFFFFF", "PPPPPFF", "PPFPPPP", "PPPPPPF"]), max_size=20))
def test_without_early_failures_nothing_is_called_cold(letters: list[str]) -> None:
    """Neither prompts that always pass, nor that always fail, nor that fail late."""
    assert classify_rows([row(one) for one in letters]).called(COLD) == ()


@given(st.integers(1, 20), st.integers(3, 12))
def test_rows_without_any_change_are_stable_or_incapable(m: int, n: int) -> None:
    """All pass: stable; all fail, in ten runs or more: incapable. Three failures of three still allow a pass rate of 63 %."""
    assert {one.likeliest for one in classify_rows([row("P" * n)] * m).rows} == {STABLE}
    assert {one.likeliest for one in classify_rows([row("F" * n)] * m).rows} == {INCAPABLE}
    if n >= 10:
        assert len(classify_rows([row("F" * n)] * m).called(INCAPABLE)) == m


def test_a_suite_that_fails_in_its_first_two_runs_is_called_cold_from_the_rows_alone() -> None:
    """Twelve rows of FFPPPPP, with or without anybody who tells of the load; most of the weight goes to that class."""
    for loads in ((), LOADED):
        found = classify_rows([row("FFPPPPP", loads)] * 12)
        assert found.called(COLD) == tuple(range(12))
        assert found.cold_p < 1e-9
        assert found.weights[COLD] > 0.5


def test_one_row_that_looks_cold_among_flaky_ones_is_not_called() -> None:
    """It arises from a prompt that passes 70 % of the time in 1.5 % of rows."""
    table = [row("FFPPPPP"), row("PFPPFPP"), row("PPFFPPF"), row("FPPPFPP"), row("PPPPPPP")]
    found = classify_rows(table)
    assert found.cold_p > ORDER_SIGNIFICANCE
    assert found.called(COLD) == ()


def test_rows_that_break_off_together_are_called_drift() -> None:
    """Four of twelve prompts stop passing after the fourth run."""
    found = classify_rows([row("PPPPFFF")] * 4 + [row("PPPPPPP")] * 8)
    assert found.called(DRIFT) == (0, 1, 2, 3)
    assert found.called(STABLE) == tuple(range(4, 12))
    assert found.counts() == {"stable": 8, "drift": 4}


def test_a_single_flaky_row_is_called_flaky_only_when_it_is_clear() -> None:
    """Half of ten runs; one failure in seven could be a stable prompt's."""
    assert classify_rows([row("PFPFFPFPPF")]).called(FLAKY) == (0,)
    assert classify_rows([row("PPPFPPP")]).rows[0].called is None


cold_looking = st.sampled_from(["FPPPPPP", "FFPPPPP", "FPPPP", "FFPPPPPP"])


@given(cold_looking, st.integers(2, 12))
def test_more_rows_that_look_cold_are_more_evidence(letters: str, m: int) -> None:
    """The p-value never grows, the weight of the class and each posterior never shrink."""
    fewer, more = (classify_rows([row(letters)] * count) for count in (m, m + 1))
    assert more.cold_p <= fewer.cold_p
    assert more.weights[COLD] >= fewer.weights[COLD]
    assert more.rows[0].posterior[COLD] >= fewer.rows[0].posterior[COLD]


@given(cold_looking, st.lists(any_row(), max_size=6))
def test_a_load_in_the_failing_runs_is_evidence_for_and_its_absence_against(letters: str, others: list[PassRow]) -> None:
    """Posterior with a load > with nothing known > with no load there."""
    k = letters.count("F")

    def posterior(shown: bool | None) -> float:
        loads = tuple(shown if run < k else None for run in range(len(letters)))
        return classify_rows([row(letters, loads), *others]).rows[0].posterior[COLD]

    assert posterior(True) > posterior(None) > posterior(False)


@given(st.integers(1, 3), st.integers(4, 14), st.lists(any_row(), max_size=6))
def test_more_passes_after_early_failures_are_evidence_for_a_cold_start(k: int, passes: int, others: list[PassRow]) -> None:
    """Against flaky, in the odds of one row whatever the others are."""
    assume(passes > k)

    def odds(letters: str) -> float:
        posterior = classify_rows([row("F" * k + "P" * 20), row(letters), *others]).rows[1].posterior
        return posterior[COLD] / posterior[FLAKY]

    assert odds("F" * k + "P" * passes) < odds("F" * k + "P" * (2 * passes))


@pytest.mark.parametrize("wrong", [float("nan"), None, 1, 0.5, "P"])
def test_outcomes_that_are_missing_or_no_outcomes_are_refused(wrong: object) -> None:
    """What is allowed is said."""
    with pytest.raises(ValueError, match="allowed are True, False"):
        PassRow((True, wrong, True))  # type: ignore[arg-type]


def test_rows_without_outcomes_or_with_loads_of_another_length_are_refused() -> None:
    """Neither can be read."""
    with pytest.raises(ValueError, match="without outcomes"):
        PassRow(())
    with pytest.raises(ValueError, match="2 loads for 3 outcomes"):
        PassRow((True, True, False), (True, None))
    with pytest.raises(ValueError, match="allowed are True, False, None"):
        PassRow((True,), (float("nan"),))  # type: ignore[arg-type]
    assert classify_rows([]).rows == ()


@pytest.mark.parametrize("prompts", [12, 200])
def test_flaky_prompts_are_rarely_called_cold(prompts: int) -> None:
    """Limits: 0.2 % of prompts with p = .7 at 200 prompts, 2 % at 12 (`perf/patterns.py` has the figures with errors)."""
    source, wrong, flaky = random.Random(5), 0, 0
    for _ in range(6_000 // prompts):
        kinds = source.choices([0.985, 0.015, 0.7], [0.45, 0.15, 0.40], k=prompts)
        table = [
            PassRow(
                tuple(source.random() < p for _ in range(7)), tuple(source.random() < (0.25 if i < 2 else 0.03) for i in range(7))
            )
            for p in kinds
        ]
        wrong += sum(kinds[index] == 0.7 for index in classify_rows(table).called(COLD))
        flaky += kinds.count(0.7)
    assert wrong / flaky <= {12: 0.02, 200: 0.002}[prompts]


def test_long_rows_do_not_overflow() -> None:
    """Thousands of runs that break off."""
    found = classify_rows([row("P" * 3000 + "F" * 3000), row("F" * 3 + "P" * 3000)])
    assert found.rows[0].likeliest is DRIFT
    assert found.rows[1].likeliest is COLD


@pytest.mark.parametrize(("letters", "k"), [("FPPPPPP", 1), ("FFPPPPP", 2), ("FFFPPPP", 3), ("FFPPPPF", 2), ("F", 0)])
def test_the_length_of_a_cold_start_is_that_of_its_early_failures(letters: str, k: int) -> None:
    """A later failure is not part of it."""
    assert cold_length(row(letters)) == k
