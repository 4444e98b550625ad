"""Cold starts that the reload experiment has looked at: what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Evaluation, Finding, WarmUpExperiment, content_hash, not_confirmed_yet

from .options import FeedbackOptions

__all__ = ["Confirmation", "confirmation_of"]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The experiment that speaks about a model and phase; None: there is none."""

    model: str
    experiment: WarmUpExperiment | None
    told: str

    @property
    def confirmed(self) -> bool:
        """Whether a warm-up is proven to help."""
        return self.experiment is not None and self.experiment.confirmed

    def refutes(self, findings: Sequence[Finding]) -> bool:
        """Whether it was conclusive, confirms nothing, and the findings rest on the order of failures alone: no load was seen."""
        unseen = all(
            f.figures.get("case") == "accuracy" and not (f.figures["waited"] or f.figures["loads_in_cold_runs"]) for f in findings
        )
        return self.experiment is not None and self.experiment.conclusive and not self.confirmed and unseen

    def applied(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings, those about cold starts with what the experiment says: confirmed or not, and its figures."""
        return [self._applied(f) if f.type == "cold_start" else f for f in findings]

    def _applied(self, finding: Finding) -> Finding:
        seen = self.experiment
        if seen is None:
            return finding
        of_latency = finding.figures.get("case") == "latency"
        draft = finding.model_copy(
            update={
                "finding_id": "",
                "confirmed": seen.confirmed if of_latency else seen.outcomes_confirmed,
                "figures": {
                    **finding.figures,
                    "experiment": seen.experiment_id,
                    "bayes_factor": seen.bayes_factor,
                    "cold_runs": seen.cold_runs,
                    "warm_runs": seen.warm_runs,
                    "first_call_p": seen.first_call_p,
                },
                "evaluation_ids": tuple(dict.fromkeys((*finding.evaluation_ids, *seen.evaluation_ids))),
            }
        )
        return draft.model_copy(update={"finding_id": content_hash("finding", draft)})


def confirmation_of(evaluation: Evaluation, options: FeedbackOptions) -> Confirmation:
    """The newest conclusive experiment on this model and phase, else the newest; of environments that can be the evaluation's."""
    mine = [
        e
        for e in options.experiments
        if (e.model, e.phase) == (evaluation.model, evaluation.phase) and _same_place(e, evaluation, options)
    ]
    experiment = max(mine, key=lambda e: (e.conclusive, e.at), default=None)
    told = experiment.told if experiment is not None else not_confirmed_yet(evaluation.model, evaluation.phase)
    return Confirmation(evaluation.model, experiment, told)


def _same_place(experiment: WarmUpExperiment, evaluation: Evaluation, options: FeedbackOptions) -> bool:
    """Whether nothing that both observations tell differs."""
    ours, theirs = (options.environments.get(i) for i in (evaluation.environment_id, experiment.environment_id))
    return ours is None or theirs is None or ours.compatible_with(theirs)
