"""Evaluations -> findings -> recommendations."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Detector, Evaluation, Feedback, Finding, PolicyThresholds, Recommendation, content_hash

from .confirming import confirmation_of
from .detectors.capability_limit import CapabilityLimit
from .detectors.ceiling import Ceiling
from .detectors.cold_start import ColdStart
from .detectors.drift import Drift
from .detectors.flaky import Flaky
from .detectors.infrastructure import Infrastructure
from .detectors.truncation import Truncation
from .detectors.unread_format import UnreadFormat
from .hot import hot_failures
from .options import FeedbackOptions
from .recommend import recommend
from .standing import Standing, standings

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
        mine += _loads_seen_elsewhere(standing, mine, evaluations, options)
        confirmation = confirmation_of(standing.newest, options)
        mine = confirmation.applied(mine)
        findings += mine
        recommendations += recommend(standing, mine, all_standings, options, confirmation)
    return Feedback(
        generated_at=options.now,
        accuracy=tuple(standing.summary() for standing in all_standings.values()),
        hot_failures=hot_failures(evaluations, options.window),
        findings=tuple(findings),
        recommendations=tuple(recommendations),
    )


def _examine(standing: Standing, detectors: Sequence[Detector], options: FeedbackOptions) -> list[Finding]:
    return _of_cycle([finding for detector in detectors for finding in detector.examine(standing.evaluations)], options)


def _loads_seen_elsewhere(
    standing: Standing, mine: Sequence[Finding], evaluations: Sequence[Evaluation], options: FeedbackOptions
) -> list[Finding]:
    """The newest cold start that another spec of the same model and phase met, where the baseline's own runs show none.

    A load is the model's, whatever the variant: the first spec to be measured meets it, and the candidate that is promoted after
    it found the model loaded. Without this the remedy would go with the baseline that showed the need for it.
    """
    newest = standing.newest
    if newest.warm_up or any(finding.type == "cold_start" for finding in mine):
        return []
    others: dict[str, list[Evaluation]] = {}
    for evaluation in reversed(evaluations):
        same = (evaluation.model, evaluation.phase) == (newest.model, newest.phase)
        if same and not evaluation.warm_up and evaluation.spec_id != newest.spec_id:
            others.setdefault(evaluation.spec_id, []).insert(0, evaluation)
    found = (ColdStart().examine(group[-max(1, options.window) :]) for group in others.values())
    return _of_cycle(next((list(findings) for findings in found if findings), []), options)


def _of_cycle(found: list[Finding], options: FeedbackOptions) -> list[Finding]:
    """Findings under the cycle that the options name."""
    if options.cycle_id is None:
        return found
    moved = [f.model_copy(update={"finding_id": "", "cycle_id": options.cycle_id}) for f in found]
    return [f.model_copy(update={"finding_id": content_hash("finding", f)}) for f in moved]
