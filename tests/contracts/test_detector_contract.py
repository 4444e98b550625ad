"""What every detector keeps, ours and those of installed packages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.feedback import DETECTORS, analyze
from selfopt.feedback.comparable import make_finding, named
from selfopt.ledger import MemoryLedger
from selfopt.records import Detector, Evaluation, Finding, OtherFigures, PolicyThresholds
from tests.feedback.world import THRESHOLDS, any_evaluations, evaluation, options

REGISTERED = pytest.mark.parametrize("name", DETECTORS.names())


def examined(name: str, evaluations: list[Evaluation]) -> list[Finding]:
    """What the detector of this name finds."""
    detector = DETECTORS.get(name)
    assert isinstance(detector, Detector)
    return list(detector.examine(evaluations, THRESHOLDS))


@REGISTERED
def test_nothing_measured_gives_no_finding(name: str) -> None:
    """No evaluation, no rows, no runs: not enough data is no finding."""
    assert examined(name, []) == []
    assert examined(name, [evaluation([])]) == []
    assert examined(name, [evaluation(["", ""])]) == []


@REGISTERED
@settings(max_examples=40, deadline=None)
@given(evaluations=st.lists(any_evaluations(models=("local/a",)), max_size=4))
def test_any_evaluations_give_findings_with_their_evidence(name: str, evaluations: list[Evaluation]) -> None:
    """No exception, the same for the same input, about the newest evaluation's spec, and readable again."""
    findings = examined(name, evaluations)
    assert findings == examined(name, list(evaluations))
    for finding in findings:
        assert finding.type == finding.figures.kind
        assert name not in DETECTORS.builtin or finding.type in (name, "other")
        assert (finding.model, finding.phase, finding.spec_id) == (
            evaluations[-1].model,
            evaluations[-1].phase,
            evaluations[-1].spec_id,
        )
        assert finding.evaluation_ids
        assert set(finding.evaluation_ids) <= {e.evaluation_id for e in evaluations}
        assert finding == named(finding), "the id is the hash of the content"
        assert finding.summary
        shown = finding.figures.model_dump()
        assert any(isinstance(value, int | float) for value in shown.values()), "every finding carries its numbers"
        assert all(0 <= float(value) <= 1 for key, value in shown.items() if key.endswith("share"))
        assert Finding.model_validate_json(finding.model_dump_json()) == finding


@REGISTERED
@settings(deadline=None)
@given(passed=st.integers(0, 8))
def test_one_evaluation_is_enough_to_look_at(name: str, passed: int) -> None:
    """At most the two cases of a cold start; ids differ."""
    findings = examined(name, [evaluation(["W" * (8 - passed) + "P" * passed] * 12)])
    assert len({f.finding_id for f in findings}) == len(findings) <= 2


class Chatty:
    """A detector as another package may bring it."""

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding of a kind that is not ours."""
        return [make_finding(evaluations, OtherFigures(cause="too chatty", values={"median_output_tokens": 900.0}))]


async def test_what_a_detector_of_another_package_finds_is_kept_and_acted_upon() -> None:
    """Its finding has a name of its own, is stored, and asks for a look."""
    with DETECTORS.adding("chatty", Chatty()):
        feedback = analyze([evaluation(["PPP"] * 12)], options())
    (found,) = [f for f in feedback.findings if f.type == "other"]
    assert found.summary == "too chatty (median_output_tokens 900)"
    (made,) = [r for r in feedback.recommendations if found.finding_id in r.evidence]
    assert (made.type, made.action) == ("investigate", "investigate")
    ledger = MemoryLedger()
    await ledger.append([found, made])
    assert list(ledger.read(Finding)) == [found]
