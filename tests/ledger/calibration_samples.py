"""A calibration of a confidence, as the ledger keeps it."""

from __future__ import annotations

from selfopt.records import (
    Calibration,
    ConfidenceModel,
    ConfidenceTerms,
    CurvePoint,
    ServedBound,
    ServeWhen,
    SignalTerm,
)

MODEL = ConfidenceModel(
    calls=ConfidenceTerms(
        intercept=-2.0,
        terms=(
            SignalTerm(signal="choice", low=-1.5, high=-0.01, weight=2.5, unknown=0.25),
            SignalTerm(signal="backed", low=0.0, high=1.0, weight=1.0, unknown=0.0),
        ),
    ),
    text=ConfidenceTerms(intercept=0.5),
)


def serve_when() -> ServeWhen:
    """The rule's part."""
    return ServeWhen(
        calibration_id="calibration-1",
        model=MODEL,
        least=0.75,
        bound=ServedBound(
            claim="these_tools",
            max_bad_share=0.1,
            confidence=0.95,
            n=200,
            tool_sets=4,
            served=80,
            bad=2,
            upper=0.077,
            sets_low=0.0,
            sets_high=0.06,
        ),
        fitted_on="fit suite-1",
        calibrated_on="held suite-2",
        evidence_key="spec-2 env-1",
    )


def calibration_record() -> Calibration:
    """With a threshold that holds."""
    return Calibration(
        calibration_id="calibration-1",
        model="local/smollm2-135m",
        phase="atomic",
        spec_id="spec-2",
        environment_id="env-1",
        fallback="local/qwen2.5-coder-0.5b",
        fitted_on="fit suite-1",
        calibrated_on="held suite-2",
        fit_trials=("trial-1", "trial-2"),
        calibration_trials=("trial-3", "trial-4"),
        claim="these_tools",
        max_bad_share=0.1,
        confidence=0.95,
        confidence_model=MODEL,
        curve=(CurvePoint(least=0.75, served=80, bad=2, upper=0.077), CurvePoint(least=0.0, served=200, bad=60, upper=0.36)),
        serve_when=serve_when(),
        least_feasible=0.08,
        prompts_needed=0,
        shares={"tools-1": (50, 1), "tools-2": (30, 1)},
        created_at="2026-01-02T03:04:05.678Z",
    )
