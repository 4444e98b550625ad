"""Where a model stands in a phase: its baseline spec on the reference suite, read over the last evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Evaluation, Outcome, Phase, PhaseSummary
from selfopt.words.standing import Shown

from .comparable import comparable, counted, has_copies, is_exact, with_known_copies
from .options import FeedbackOptions, ReferenceSuite

__all__ = ["Standing", "standings"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Comparable evaluations of one spec, oldest first, read as one. Shares in [0, 1], weighted by trials."""

    evaluations: tuple[Evaluation, ...]

    @property
    def newest(self) -> Evaluation:
        """The newest evaluation."""
        return self.evaluations[-1]

    @property
    def n(self) -> int:
        """Judged trials."""
        return sum(e.metrics.n for e in self.evaluations)

    @property
    def call_n(self) -> int:
        """Judged trials on prompts that need a tool call."""
        return sum(len(row.outcomes) for e in self.evaluations for row in e.rows if row.needs_call)

    @property
    def runs(self) -> int:
        """Runs of all evaluations."""
        return sum(e.n_runs for e in self.evaluations)

    @property
    def deterministic(self) -> bool:
        """Whether repeats are known to be copies."""
        return has_copies(self.newest)

    @property
    def exact(self) -> bool:
        """Deterministic, on a suite that is the whole work."""
        return is_exact(self.newest)

    @property
    def error_share(self) -> float:
        """Share of trials that never reached the model."""
        counts = counted(self.evaluations)
        return counts[Outcome.ERROR] / counts.total() if counts else 0.0

    @property
    def accuracy(self) -> float:
        """Passes of all trials."""
        value = _pooled([(e.metrics.n, e.metrics.accuracy) for e in self.evaluations])
        return value if value is not None else self.newest.metrics.accuracy

    @property
    def call_accuracy(self) -> float | None:
        """Passes of the trials that need a tool call."""
        return _pooled([(e.metrics.n, e.metrics.call_accuracy) for e in self.evaluations])

    @property
    def restraint(self) -> float | None:
        """None-called share of the trials that need none."""
        return _pooled([(e.metrics.n, e.metrics.restraint) for e in self.evaluations])

    @property
    def variance(self) -> float:
        """Of the accuracies of all runs (population form)."""
        values = [a for e in self.evaluations for a in e.metrics.run_accuracies]
        mean = sum(values) / len(values) if values else 0.0
        return sum((v - mean) ** 2 for v in values) / len(values) if values else 0.0

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the evaluations and of their runs."""
        ids = [e.evaluation_id for e in self.evaluations] + [run_id for e in self.evaluations for run_id in e.run_ids]
        return tuple(dict.fromkeys(ids))

    def shown(self) -> Shown:
        """The figures for a sentence."""
        newest = self.newest
        return Shown(
            phase=newest.phase,
            variant=newest.variant,
            accuracy=self.accuracy,
            call_accuracy=self.call_accuracy,
            trials=self.n,
            runs=None if self.deterministic else self.runs,
            error_share=self.error_share,
            silent=newest.metrics.silent.accuracy,
            always_calling=newest.metrics.always_calling.accuracy,
        )

    def comparable_with(self, other: Standing) -> bool:
        """Whether both were measured on the same prompts and judged alike."""
        ours, theirs = self.newest, other.newest
        return (ours.suite_hash, ours.split, ours.scorer_hash) == (theirs.suite_hash, theirs.split, theirs.scorer_hash)

    def summary(self) -> PhaseSummary:
        """The record of it."""
        newest = self.newest
        return PhaseSummary(
            model=newest.model,
            phase=newest.phase,
            spec_id=newest.spec_id,
            variant=newest.variant,
            evaluations=len(self.evaluations),
            accuracy=self.accuracy,
            call_accuracy=self.call_accuracy,
            restraint=self.restraint,
            variance=self.variance,
            evaluation_id=newest.evaluation_id,
        )


def _pooled(pairs: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(n, value) for n, value in pairs if value is not None and n > 0]
    total = sum(n for n, _ in known)
    return sum(n * value for n, value in known) / total if total else None


def standings(evaluations: Sequence[Evaluation], options: FeedbackOptions) -> dict[tuple[str, Phase], Standing]:
    """The standing of every model and phase that was measured on the reference suite with its baseline spec.

    Evaluations come oldest first. Other specs, other suites and parts of the suite say nothing here.
    """
    found: dict[tuple[str, Phase], Standing] = {}
    for phase, reference in options.references.items():
        on_suite = _whole([e for e in evaluations if e.phase == phase and _is_reference(e, reference)], reference)
        for model in dict.fromkeys(e.model for e in on_suite):
            mine = [e for e in on_suite if e.model == model]
            spec_id = options.baselines.get((model, phase)) or _stands_in(mine, options.served.get((model, phase), ()))
            alike = _one_environment([e for e in mine if e.spec_id == spec_id], options)
            judged = with_known_copies(comparable(alike)[-max(1, options.window) :])
            if judged:
                found[model, phase] = Standing(tuple(judged))
    return found


def _stands_in(evaluations: Sequence[Evaluation], served: Sequence[str]) -> str:
    measured = {e.spec_id for e in evaluations}
    return next((spec_id for spec_id in served if spec_id in measured), evaluations[-1].spec_id)


def _one_environment(evaluations: list[Evaluation], options: FeedbackOptions) -> list[Evaluation]:
    """With the newest one's environment id wherever nothing that both observations tell differs: a server tells less about
    a model that it has not loaded yet, and those are the evaluations that show cold starts."""
    newest = options.environments.get(evaluations[-1].environment_id) if evaluations else None
    if newest is None:
        return evaluations
    known = options.environments
    return [
        e.model_copy(update={"environment_id": newest.environment_id})
        if e.environment_id in known and known[e.environment_id].compatible_with(newest)
        else e
        for e in evaluations
    ]


def _is_reference(evaluation: Evaluation, reference: ReferenceSuite) -> bool:
    return evaluation.suite == reference.name and reference.suite_hash in (None, evaluation.suite_hash)


def _whole(evaluations: Sequence[Evaluation], reference: ReferenceSuite) -> list[Evaluation]:
    """Those that saw every prompt of their suite and split, and judged at least one trial."""
    largest: dict[tuple[str, str], int] = {}
    for evaluation in evaluations:
        key = evaluation.suite_hash, evaluation.split
        largest[key] = max(largest.get(key, 0), len(evaluation.rows))

    def wanted(evaluation: Evaluation) -> int:
        return reference.prompts if reference.prompts is not None else largest[evaluation.suite_hash, evaluation.split]

    return [e for e in evaluations if e.metrics.n > 0 and len(e.rows) >= wanted(e)]
