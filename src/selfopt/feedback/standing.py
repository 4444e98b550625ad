"""Where a model stands in a phase: how its baseline spec did on the reference suite lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selfopt.records import (
    Calibration,
    Environment,
    Evaluation,
    MetricName,
    Outcome,
    Phase,
    PhaseSummary,
    PolicyThresholds,
    Remedy,
    WarmUpExperiment,
)
from selfopt.words.standing import Shown

from .comparable import cause_of, cells, comparable, counted, only_thought, unread, with_known_copies


@dataclass(frozen=True, slots=True)
class ReferenceSuite:
    """The suite that a phase is judged on.

    Attributes:
        suite_hash: its present content. None accepts any content.
        prompts: how many prompts it has, so that an evaluation of a part is not taken for the
            whole.
            None: as many as the largest evaluation of that content saw.
    """

    name: str
    suite_hash: str | None = None
    prompts: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackOptions:
    """How `analyze` turns evaluations into recommendations.

    Attributes:
        now: RFC 3339 in UTC.
        is_local: whether requests to a model stay on this machine. A local model gets a remote
            fallback only with allow_remote.
        references: the suite of each phase. A phase without one is not judged.
        fallbacks: the candidates for a fallback, in order of preference.
        baselines: the spec_id of each baseline. If one is missing, the first of `served` that was
            measured on the reference suite stands in for it, or else the newest measured spec.
        served: the specs that the rule in force serves with. They count before the newest spec,
            because trying another variant once does not change what is served.
        withdrawn: remedies that were tried and did not help. They are not recommended again.
        window: how many evaluations of a model and phase are read.
        environments: the environments by id. Without them, only evaluations with equal environment
            ids are read together.
        experiments: the reload experiments so far, oldest first.
        one_name: gives one name for all of a model. What was measured under each is read together,
            under the name that was measured last.
        calibrations: from which confidence on answers may be served, by spec, the newest last.
        banned_calibrations: the ids of those that fresh replies have broken.
    """

    now: str
    is_local: Callable[[str], bool]
    references: Mapping[Phase, ReferenceSuite]
    thresholds: PolicyThresholds = field(default_factory=PolicyThresholds)
    fallbacks: Mapping[Phase, Sequence[str]] = field(default_factory=dict)
    baselines: Mapping[tuple[str, Phase], str] = field(default_factory=dict)
    served: Mapping[tuple[str, Phase], Sequence[str]] = field(default_factory=dict)
    allow_remote: bool = False
    withdrawn: frozenset[Remedy] = frozenset()
    window: int = 8
    cycle_id: str | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)
    experiments: Sequence[WarmUpExperiment] = ()
    one_name: Callable[[str], str] = str
    calibrations: Mapping[str, Sequence[Calibration]] = field(default_factory=dict)
    banned_calibrations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """Comparable evaluations of one spec, read as one.

    Attributes:
        evaluations: oldest first.
        shown: the figures, weighted by trials.
        call_trials: the number of judged trials on prompts that need a tool call.
        unread_calls: how many of them have a call that was not read, or stands in the thinking alone.
        summary: the standing as a record.
    """

    evaluations: tuple[Evaluation, ...]
    shown: Shown
    call_trials: int
    unread_calls: int
    summary: PhaseSummary

    @property
    def newest(self) -> Evaluation:
        """The newest evaluation."""
        return self.evaluations[-1]

    @property
    def evidence(self) -> tuple[str, ...]:
        """The ids of the evaluations and of their runs."""
        ids = [e.evaluation_id for e in self.evaluations] + [run_id for e in self.evaluations for run_id in e.run_ids]
        return tuple(dict.fromkeys(ids))

    def if_read(self) -> Standing:
        """The best that it can be: as if every call that was not read were right."""
        shown = self.shown
        accuracy = min(1.0, shown.accuracy + shown.unread / shown.trials) if shown.trials else shown.accuracy
        calls = shown.call_accuracy
        if calls is not None and self.call_trials:
            calls = min(1.0, calls + self.unread_calls / self.call_trials)
        return replace(self, shown=replace(shown, accuracy=accuracy, call_accuracy=calls, unread=0))

    def comparable_with(self, other: Standing) -> bool:
        """Whether both were measured on the same suite content and split, by the same scorer."""
        ours, theirs = ((e.suite_hash, e.split, e.scorer_hash) for e in (self.newest, other.newest))
        return ours == theirs


def _standing(evaluations: Sequence[Evaluation]) -> Standing:
    newest, outcomes = evaluations[-1], counted(evaluations)
    named = [row for row, index, outcome in cells(evaluations) if cause_of(row, index, outcome) is not None]
    excused = [cell for cell in cells(evaluations) if unread(*cell) or only_thought(*cell)]
    accuracies = [a for e in evaluations for a in e.metrics.run_accuracies]
    accuracy = _pooled(evaluations, "accuracy")
    unwanted = [outcome for e in evaluations for row in e.rows if not row.needs_call for outcome in row.outcomes]
    shown = Shown(
        phase=newest.phase,
        variant=newest.variant,
        accuracy=newest.metrics.accuracy if accuracy is None else accuracy,
        call_accuracy=_pooled(evaluations, "call_accuracy"),
        trials=sum(e.metrics.n for e in evaluations),
        runs=None if newest.has_copies else sum(e.n_runs for e in evaluations),
        error_share=outcomes[Outcome.ERROR] / outcomes.total() if outcomes else 0.0,
        silent=newest.metrics.silent.accuracy,
        always_calling=newest.metrics.always_calling.accuracy,
        unread=len(excused),
        restraint=_pooled(evaluations, "restraint"),
        no_call_trials=len(unwanted),
        uninvited=unwanted.count(Outcome.UNCALLED_FOR),
        refused=len(named) / outcomes.total() if outcomes else 0.0,
        said=next((row.said for row in named if row.said), ""),
        synthetic=newest.synthetic,
    )
    summary = PhaseSummary(
        model=newest.model,
        phase=newest.phase,
        spec_id=newest.spec_id,
        variant=newest.variant,
        evaluations=len(evaluations),
        accuracy=shown.accuracy,
        call_accuracy=shown.call_accuracy,
        restraint=shown.restraint,
        variance=_variance(accuracies),
        evaluation_id=newest.evaluation_id,
        synthetic=newest.synthetic,
    )
    calls = sum(len(row.outcomes) for e in evaluations for row in e.rows if row.needs_call)
    return Standing(tuple(evaluations), shown, calls, sum(row.needs_call for row, _, _ in excused), summary)


def _variance(values: Sequence[float]) -> float:
    """The population variance."""
    mean = sum(values) / len(values) if values else 0.0
    return sum((v - mean) ** 2 for v in values) / len(values) if values else 0.0


def _pooled(evaluations: Sequence[Evaluation], name: MetricName) -> float | None:
    pairs = [(e.metrics.n, e.metrics.figure(name)) for e in evaluations]
    known = [(n, value) for n, value in pairs if value is not None and n > 0]
    total = sum(n for n, _ in known)
    return sum(n * value for n, value in known) / total if total else None


def standings(evaluations: Sequence[Evaluation], options: FeedbackOptions) -> dict[tuple[str, Phase], Standing]:
    """The standing of every model and phase whose baseline was measured on the reference suite.

    Other specs, other suites and parts of the suite do not count.

    Args:
        evaluations: oldest first.
    """
    found: dict[tuple[str, Phase], Standing] = {}
    for phase, reference in options.references.items():
        on_suite = _whole([e for e in evaluations if e.phase == phase], reference)
        for name, model in {options.one_name(e.model): e.model for e in on_suite}.items():
            mine = [e for e in on_suite if options.one_name(e.model) == name]
            known = dict.fromkeys(e.model for e in reversed(mine))
            baseline = next((options.baselines[key] for key in ((m, phase) for m in known) if key in options.baselines), None)
            spec_id = baseline or _stands_in(mine, options.served.get((model, phase), ()))
            alike = _one_environment([e for e in mine if e.spec_id == spec_id], options)
            judged = with_known_copies(comparable(alike)[-max(1, options.window) :])
            if judged:
                found[model, phase] = _standing(judged)
    return found


def _stands_in(evaluations: Sequence[Evaluation], served: Sequence[str]) -> str:
    measured = {e.spec_id for e in evaluations}
    return next((spec_id for spec_id in served if spec_id in measured), evaluations[-1].spec_id)


def _one_environment(evaluations: list[Evaluation], options: FeedbackOptions) -> list[Evaluation]:
    """Gives the newest evaluation's environment id to all whose environments are compatible with
    it.

    A server says less about a model before it has loaded it, and the evaluations from then are the
    ones that show cold starts.
    """
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


def _whole(evaluations: Sequence[Evaluation], reference: ReferenceSuite) -> list[Evaluation]:
    """The evaluations that saw all prompts of the reference suite and have a judged trial."""
    mine = [e for e in evaluations if e.suite == reference.name and reference.suite_hash in (None, e.suite_hash)]
    largest: dict[tuple[str, str], int] = {}
    for e in mine:
        largest[e.suite_hash, e.split] = max(largest.get((e.suite_hash, e.split), 0), len(e.rows))
    wanted = {key: largest[key] if reference.prompts is None else reference.prompts for key in largest}
    return [e for e in mine if e.metrics.n > 0 and len(e.rows) >= wanted[e.suite_hash, e.split]]
