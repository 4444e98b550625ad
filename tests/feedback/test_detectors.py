"""What all detectors share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.feedback import default_detectors
from selfopt.feedback.reading import comparable
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
