"""Capability limits are named only when the harness is not to blame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.feedback.detectors.capability_limit import CapabilityLimit
from selfopt.records import PolicyThresholds
from tests.feedback.world import THRESHOLDS, evaluation, numbers


def test_many_failures_with_readable_replies_are_a_limit_with_its_upper_bound() -> None:
    """0 of 126 extended trials cannot reach 0.30."""
    (finding,) = CapabilityLimit().examine([evaluation(["WWWWWWW"] * 18, phase="extended")], THRESHOLDS)
    upper = numbers(finding)["upper_bound"]
    assert isinstance(upper, float)
    assert 0 < upper < 0.03
    assert numbers(finding)["accuracy"] == 0.0
    assert numbers(finding)["minimum"] == 0.30
    assert len(finding.prompt_ids) == 18


def test_three_failures_of_three_do_not_show_a_limit_below_0_30() -> None:
    """They still allow a true pass rate of 63 %."""
    assert not CapabilityLimit().examine([evaluation(["WWW"], phase="extended")], THRESHOLDS)


@pytest.mark.parametrize("fault", ["X", "C", "T", "L", "E"])
def test_any_sort_of_fault_must_be_ruled_out_first(fault: str) -> None:
    """Unparsed, truncated, timed out, loading, failed: each above 5 % keeps the detector silent."""
    rows = ["WWWWWWW"] * 11 + [fault * 7]
    assert not CapabilityLimit().examine([evaluation(rows)], THRESHOLDS)
    assert CapabilityLimit(max_fault_share=0.1).examine([evaluation(rows)], THRESHOLDS)


def test_a_deterministic_spec_on_a_whole_suite_is_judged_exactly() -> None:
    """8 of 12 is below 0.80, exactly, although an interval would reach above it."""
    rows = ["P"] * 8 + ["W"] * 4
    (finding,) = CapabilityLimit().examine([evaluation(rows, determinism="sampled")], THRESHOLDS)
    assert finding.confidence == "exact"
    assert numbers(finding)["upper_bound"] == pytest.approx(8 / 12)
    assert not CapabilityLimit().examine([evaluation(rows, determinism="sampled", scope="sample")], THRESHOLDS)


def test_a_mute_model_is_named_although_it_restrains_itself_perfectly() -> None:
    """Accuracy 10 of 12 from prompts that need nothing does not hide a call accuracy of 0."""
    (finding,) = CapabilityLimit().examine([evaluation(["M"] * 2 + ["P"] * 10, no_call=10, determinism="complete")], THRESHOLDS)
    assert numbers(finding)["mute"] == 1
    assert numbers(finding)["call_accuracy"] == 0.0
    assert "never calls" in finding.summary


@given(st.integers(0, 20), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_minimum_never_hides_a_limit(passed: int, one: float, other: float) -> None:
    """Monotone in the threshold."""
    low, high = sorted((one, other))
    seen = evaluation(["P" * passed + "W" * (20 - passed)])
    at = {
        minimum: bool(CapabilityLimit().examine([seen], PolicyThresholds(atomic_phase_min_accuracy=minimum)))
        for minimum in (low, high)
    }
    assert at[low] <= at[high]


def test_failures_of_a_cold_start_are_not_the_models() -> None:
    """60 of 84 alone would miss 0.80; the 24 failures all lie in the first two runs."""
    assert not CapabilityLimit().examine([evaluation(["WWPPPPP"] * 12)], THRESHOLDS)
    (finding,) = CapabilityLimit().examine([evaluation(["WPWPPPP", "PPWPWPP", "PPPWPWP"] * 4)], THRESHOLDS)
    assert numbers(finding)["cold_start_failures"] == 0


def test_faults_count_as_passes_in_the_bound() -> None:
    """11 of 14 right, one timeout: 12 of 14 are possible, which is not below 0.80 where repeats are copies."""
    seen = evaluation(["P"] * 11 + ["W"] * 2 + ["T"], determinism="sampled")
    assert not CapabilityLimit(max_fault_share=0.1).examine([seen], THRESHOLDS)
    worse = evaluation(["P"] * 10 + ["W"] * 3 + ["T"], determinism="sampled")
    (finding,) = CapabilityLimit(max_fault_share=0.1).examine([worse], THRESHOLDS)
    assert numbers(finding)["upper_bound"] == pytest.approx(11 / 14)
    assert numbers(finding)["faults"] == 1
