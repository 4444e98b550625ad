"""What a reload experiment says about a cold start."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import (
    ColdFailuresFigures,
    Confirmation,
    Evaluation,
    Finding,
    SlowFirstCallFigures,
    WarmUpExperiment,
)
from selfopt.words.findings import experiment_text, not_confirmed_yet

from .comparable import named
from .standing import FeedbackOptions


def speaking_experiment(evaluation: Evaluation, options: FeedbackOptions) -> WarmUpExperiment | None:
    """The newest conclusive experiment on this model and phase, or else the newest one.

    Its environment must be compatible with that of the evaluation.
    """
    about = (e for e in options.experiments if (e.model, e.phase) == (evaluation.model, evaluation.phase))
    mine = (e for e in about if _same_place(e, evaluation, options))
    return max(mine, key=lambda e: (e.conclusive, e.at), default=None)


def _same_place(experiment: WarmUpExperiment, evaluation: Evaluation, options: FeedbackOptions) -> bool:
    """Whether no field that both environments know differs."""
    ours, theirs = (options.environments.get(i) for i in (evaluation.environment_id, experiment.environment_id))
    return ours is None or theirs is None or ours.compatible_with(theirs)


def confirmation_of(experiment: WarmUpExperiment | None, evaluation: Evaluation, evidence: tuple[str, ...]) -> Confirmation:
    """How sure it is that a warm-up helps the model of this evaluation.

    Args:
        evidence: the evidence of the recommendation to warm up.
    """
    if experiment is None:
        return Confirmation(status="not_confirmed_yet", told=not_confirmed_yet(evaluation.model, evaluation.phase))
    told = experiment_text(experiment)
    if experiment.confirmed:
        gain = "outcomes" if experiment.outcomes_confirmed else "latency"
        return Confirmation(status="confirmed", gain=gain, told=told, evidence=evidence)
    if experiment.conclusive or experiment.harmed:
        return Confirmation(status="not_confirmed", told=told, evidence=evidence)
    return Confirmation(status="not_confirmed_yet", told=told)


def refuted(findings: Sequence[Finding], experiment: WarmUpExperiment | None) -> bool:
    """Whether a conclusive experiment contradicts the findings.

    It does if it confirms nothing and the findings rest on the order of failures alone, without any
    load that was seen.
    """
    figures = (finding.figures for finding in findings)
    unseen = all(isinstance(f, ColdFailuresFigures) and not f.load_seen for f in figures)
    return experiment is not None and experiment.conclusive and not experiment.confirmed and unseen


def with_experiment(findings: Sequence[Finding], experiment: WarmUpExperiment | None) -> list[Finding]:
    """The findings, with the result of the experiment in those about cold starts."""
    return [_told(finding, experiment) if experiment is not None else finding for finding in findings]


def _told(finding: Finding, seen: WarmUpExperiment) -> Finding:
    if not isinstance(finding.figures, ColdFailuresFigures | SlowFirstCallFigures):
        return finding
    cold_failures = isinstance(finding.figures, ColdFailuresFigures)
    figures = {
        "experiment": seen.experiment_id,
        "bayes_factor": seen.bayes_factor,
        "cold_runs": seen.cold_runs,
        "warm_runs": seen.warm_runs,
        "first_call_p": seen.first_call_p,
    }
    update = {
        "confirmed": seen.outcomes_confirmed if cold_failures else seen.confirmed,
        "figures": finding.figures.model_copy(update=figures),
        "evaluation_ids": tuple(dict.fromkeys((*finding.evaluation_ids, *seen.evaluation_ids))),
    }
    return named(finding.model_copy(update=update))
