"""Evaluations -> findings -> recommendations."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Detector, Evaluation, Feedback, Finding, PolicyThresholds, Recommendation, content_hash

from .capability_limit import CapabilityLimit
from .ceiling import Ceiling
from .cold_start import ColdStart
from .drift import Drift
from .flaky import Flaky
from .hot import hot_failures
from .infrastructure import Infrastructure
from .options import FeedbackOptions
from .recommend import recommend
from .standing import Standing, standings
from .truncation import Truncation
from .unread_format import UnreadFormat

__all__ = ["analyze", "default_detectors"]


def default_detectors(thresholds: PolicyThresholds) -> tuple[Detector, ...]:
    """One of each sort, the causes that hide others first."""
    return (
        Infrastructure(),
        ColdStart(),
        UnreadFormat(),
        Truncation(),
        CapabilityLimit(thresholds=thresholds),
        Flaky(),
        Drift(),
        Ceiling(min_runs=thresholds.min_runs),
    )


def analyze(evaluations: Sequence[Evaluation], options: FeedbackOptions, detectors: Sequence[Detector] | None = None) -> Feedback:
    """The feedback on evaluations of all models and phases, oldest first.

    Each model and phase is judged on its baseline spec and the phase's reference suite, over the last `options.window`
    comparable evaluations; other specs and suites inform hot failures only. An evaluation belongs to the spec that served,
    so what a fallback scored never counts for the model it replaced. The same input gives the same output.
    """
    used = default_detectors(options.thresholds) if detectors is None else tuple(detectors)
    all_standings = standings(evaluations, options)
    findings: list[Finding] = []
    recommendations: list[Recommendation] = []
    for standing in all_standings.values():
        mine = _examine(standing, used, options)
        findings += mine
        recommendations += recommend(standing, mine, all_standings, options)
    return Feedback(
        generated_at=options.now,
        accuracy=tuple(standing.summary() for standing in all_standings.values()),
        hot_failures=hot_failures(evaluations, options.window),
        findings=tuple(findings),
        recommendations=tuple(recommendations),
    )


def _examine(standing: Standing, detectors: Sequence[Detector], options: FeedbackOptions) -> list[Finding]:
    found = [finding for detector in detectors for finding in detector.examine(standing.evaluations)]
    if options.cycle_id is None:
        return found
    moved = [f.model_copy(update={"finding_id": "", "cycle_id": options.cycle_id}) for f in found]
    return [f.model_copy(update={"finding_id": content_hash("finding", f)}) for f in moved]
