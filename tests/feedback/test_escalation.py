"""A model that is right where it is sure: the finding, and who serves the rest."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.feedback import analyze
from selfopt.records import (
    Calibration,
    ConfidenceModel,
    ConfidenceTerms,
    Evaluation,
    MixedCapabilityFigures,
    Remedy,
    ServedBound,
    ServeWhen,
)
from tests.feedback.world import evaluation, options

SMALL, BIG = "local/small", "local/big"
CHANCE = ConfidenceTerms(intercept=0.0)
WHEN = ServeWhen(
    calibration_id="calibration-1",
    model=ConfidenceModel(calls=CHANCE, text=CHANCE),
    least=0.8,
    bound=ServedBound(
        claim="these_tools", max_bad_share=0.1, confidence=0.95, n=200, tool_sets=10, served=100, bad=3, upper=0.076
    ),
    fitted_on="suite-1 search",
    calibrated_on="suite-1 heldout",
    evidence_key="spec-a env-1",
)


def calibration(when: ServeWhen | None = WHEN) -> Calibration:
    return Calibration(
        calibration_id="calibration-1", model=SMALL, phase="atomic", spec_id="spec-a", environment_id="env-1",
        fitted_on="suite-1 search", calibrated_on="suite-1 heldout", fit_trials=("trial-1",), calibration_trials=("trial-2",),
        claim="these_tools", max_bad_share=0.1, confidence=0.95, confidence_model=WHEN.model, curve=(), serve_when=when,
        least_feasible=0.08, prompts_needed=0, shares={"a": (100, 3), "b": (0, 0)}, created_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


def measured(model: str, passed: int, spec_id: str = "spec-a") -> Evaluation:
    rows = ["W"] * (20 - passed) + ["P"] * passed
    return evaluation(rows, model=model, spec_id=spec_id, determinism="sampled")


def found(passed: int, known: Calibration | None, **changes: Any) -> Any:
    seen = [measured(SMALL, passed), measured(BIG, 20, "spec-b")]
    calibrations = {} if known is None else {"spec-a": (known,)}
    return analyze(seen, options(fallbacks={"atomic": (BIG,)}, calibrations=calibrations, **changes))


@pytest.mark.parametrize("passed", [0, 10, 15])
def test_a_model_that_is_right_when_it_is_sure_serves_that_and_escalates_the_rest(passed: int) -> None:
    """Also one that would be refused as a whole."""
    feedback = found(passed, calibration())
    (finding,) = [one for one in feedback.findings if one.type == "mixed_capability"]
    assert isinstance(finding.figures, MixedCapabilityFigures)
    assert (finding.figures.served, finding.figures.bad, finding.figures.unserved) == (100, 3, 1)
    (advice,) = [one for one in feedback.recommendations if one.model == SMALL and one.allow is not None]
    assert (advice.action, advice.allow, advice.fallback) == ("escalate", True, BIG)
    assert (advice.requirements.calibration_id, advice.requirements.spec_id) == ("calibration-1", "spec-a")
    assert "calibration-1" in advice.evidence
    assert "100 of 200" in advice.reason
    assert "3 of 100" in advice.reason


@pytest.mark.parametrize(
    ("passed", "known", "changes"),
    [
        (10, None, {}),
        (10, calibration(None), {}),
        (20, calibration(), {}),
        (10, calibration(), {"banned_calibrations": frozenset({"calibration-1"})}),
        (10, calibration(), {"fallbacks": {}}),
        (10, calibration(), {"withdrawn": frozenset({Remedy(SMALL, "atomic", "fallback", BIG)})}),
    ],
    ids=["no calibration", "no threshold", "always right", "broken", "nobody stronger", "fallback withdrawn"],
)
def test_without_a_threshold_a_need_or_a_stronger_model_nothing_escalates(
    passed: int, known: Calibration | None, changes: dict[str, Any]
) -> None:
    """The gate of the phase decides then."""
    seen = [measured(SMALL, passed), measured(BIG, 20, "spec-b")]
    given = {"fallbacks": {"atomic": (BIG,)}, "calibrations": {} if known is None else {"spec-a": (known,)}, **changes}
    feedback = analyze(seen, options(**given))
    (advice,) = [one for one in feedback.recommendations if one.model == SMALL and one.allow is not None]
    assert advice.type == "phase_gate"


def test_the_calibration_of_another_spec_says_nothing() -> None:
    """A threshold belongs to the spec that it was measured on."""
    seen = [measured(SMALL, 10, "spec-c"), measured(BIG, 20, "spec-b")]
    feedback = analyze(seen, options(fallbacks={"atomic": (BIG,)}, calibrations={"spec-a": (calibration(),)}))
    assert not [one for one in feedback.findings if one.type == "mixed_capability"]
    assert "escalate" not in [one.action for one in feedback.recommendations]
