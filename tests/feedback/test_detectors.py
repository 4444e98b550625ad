"""What all detectors share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.feedback import default_detectors
from selfopt.feedback.reading import best_known, comparable, with_known_copies
from selfopt.records import Detector, Evaluation, PolicyThresholds
from tests.feedback.world import any_evaluations, evaluation

DETECTORS = default_detectors(PolicyThresholds())


@settings(max_examples=60, deadline=None)
@given(evaluations=st.lists(any_evaluations(models=("local/a",)), max_size=4))
def test_no_detector_raises_on_any_evaluation(evaluations: list[Evaluation]) -> None:
    """Findings belong to the newest evaluation's spec, have shares in [0, 1], and are the same for the same input."""
    for detector in DETECTORS:
        findings = list(detector.examine(evaluations))
        assert findings == list(detector.examine(list(evaluations)))
        for finding in findings:
            assert finding.spec_id == evaluations[-1].spec_id
            assert set(finding.evaluation_ids) <= {e.evaluation_id for e in evaluations}
            assert finding.summary
            assert any(isinstance(value, int | float) for value in finding.figures.values()), "every finding carries its numbers"
            share = finding.figures.get("share")
            assert share is None or (isinstance(share, float) and 0 < share <= 1)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: type(d).__name__)
def test_nothing_measured_gives_no_finding(detector: Detector) -> None:
    """No evaluation, no rows, no runs: not enough data is no finding."""
    assert list(detector.examine([])) == []
    assert list(detector.examine([evaluation([])])) == []
    assert list(detector.examine([evaluation(["", ""])])) == []


def test_a_detector_is_a_detector() -> None:
    """All meet the seam's Protocol."""
    assert all(isinstance(detector, Detector) for detector in DETECTORS)


def test_only_comparable_evaluations_are_read_together_and_no_run_twice() -> None:
    """Another environment is left out; a later evaluation of the same runs replaces the earlier."""
    old = evaluation(["PPP"], number=1)
    elsewhere = evaluation(["PPP"], number=2, environment_id="env-2")
    again = evaluation(["PPP"], number=3).model_copy(update={"run_ids": old.run_ids})
    new = evaluation(["PPP"], number=4)
    assert comparable([old, elsewhere, again, new]) == [again, new]


def test_a_pass_that_repeats_a_deterministic_one_is_known_to_be_a_copy() -> None:
    """Until one differs: then nothing after it is a copy of anything."""
    shown = evaluation(["P", "W"], number=1, determinism="sampled")
    copy, other, later = (
        evaluation(rows, number=n, determinism="unknown") for n, rows in enumerate((["P", "W"], ["P", "P"], ["P", "W"]), 2)
    )
    told = with_known_copies([shown, copy, other, later])
    assert [e.determinism for e in told] == ["sampled", "sampled", "unknown", "unknown"]
    assert with_known_copies([copy, shown])[0].determinism == "unknown"


def test_the_evaluation_to_go_by_is_the_newest_whole_one_that_says_something_new() -> None:
    """A part of the suite, nothing at all, and a copy of what is known exactly take no other's place."""
    shown = evaluation(["P", "W"], number=1, determinism="sampled")
    copy = evaluation(["P", "W"], number=2, determinism="unknown")
    part, nothing = evaluation(["W"], number=3), evaluation(["", ""], number=4)
    assert best_known([shown, copy, part, nothing]) == shown
    other = evaluation(["P", "P"], number=5, determinism="unknown")
    assert best_known([shown, copy, other]) == other
    assert best_known([nothing]) is None
    assert best_known([]) is None
