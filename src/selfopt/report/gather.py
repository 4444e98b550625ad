"""Reads what the reports need, once, from the ledger and the rules in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from selfopt.records import (
    AuditRecord,
    Ban,
    Baseline,
    Calibration,
    Cycle,
    Decision,
    Evaluation,
    Finding,
    Ledger,
    LedgerFault,
    Phase,
    Purpose,
    Recommendation,
    RoutingConfig,
    Run,
    WarmUpExperiment,
    whole_evaluations,
)

from .calibrations import newest_calibrations
from .costs import CostFigures
from .searches import ToldSearch, newest_searches


@dataclass(frozen=True, slots=True)
class WarmUpPair:
    """The same measurement without and with warm-up.

    Attributes:
        validation: both are arms of one validation, the cold one after a forced unload.
        experiment: the newest conclusive one of this model and phase, or else the newest. None if
            cold and warm runs were never taken in turn.
    """

    cold: Evaluation
    warm: Evaluation
    validation: bool
    experiment: WarmUpExperiment | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """The facts of a report, in the order in which they were recorded.

    Attributes:
        baselines: the newest of each model and phase.
        warm_ups: the newest pair of each model and phase, with the newest of all last.
        faults: what of the ledger is not as it was committed.
        bans: what was taken back and is not tried again.
        searches: the newest finished ones, the newest first.
        calibrations: the newest of each model and phase.
        costs: what requests cost; None where nobody says.
        set_names: what the suites call the tool sets that rules are about, by content name.
    """

    cycles: tuple[Cycle, ...] = ()
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    warm_ups: tuple[WarmUpPair, ...] = ()
    config: RoutingConfig | None = None
    audit: tuple[AuditRecord, ...] = ()
    faults: tuple[LedgerFault, ...] = ()
    bans: tuple[Ban, ...] = ()
    searches: tuple[ToldSearch, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    costs: CostFigures | None = None
    set_names: Mapping[str, str] = field(default_factory=dict)

    def newest(self, model: str, phase: Phase, spec_id: str | None = None) -> Evaluation | None:
        """The newest evaluation of a model and phase.

        One over a part of the prompts counts only if none saw the whole suite.

        Args:
            spec_id: only evaluations of this spec.
        """
        hits = [e for e in self.evaluations.values() if (e.model, e.phase) == (model, phase) and spec_id in (None, e.spec_id)]
        return max(whole_evaluations(hits), key=lambda e: e.at, default=None)

    @property
    def warm_up(self) -> WarmUpPair | None:
        """The newest pair."""
        return self.warm_ups[-1] if self.warm_ups else None

    def standing(self, model: str, phase: Phase) -> Evaluation | None:
        """The newest evaluation of a model's baseline in a phase, or else its newest evaluation."""
        spec_id = next((b.spec_id for b in self.baselines if (b.model, b.phase) == (model, phase)), None)
        return self.newest(model, phase, spec_id) or self.newest(model, phase)


def gather(ledger: Ledger, config: RoutingConfig | None = None, audit: Iterable[AuditRecord] = ()) -> ReportData:
    """Reads what the reports need. Raises CorruptError if the ledger is damaged."""
    newest = {(baseline.model, baseline.phase): baseline for baseline in ledger.read(Baseline)}
    evaluations = {e.evaluation_id: e for e in ledger.read(Evaluation)}
    cycles = tuple(sorted(ledger.read(Cycle), key=lambda c: c.number))
    return ReportData(
        cycles=cycles,
        evaluations=evaluations,
        baselines=tuple(newest[key] for key in sorted(newest)),
        decisions={d.decision_id: d for d in ledger.read(Decision)},
        findings=tuple(ledger.read(Finding)),
        recommendations=tuple(ledger.read(Recommendation)),
        warm_ups=find_warm_up_pairs(ledger, evaluations.values()),
        # An enforcer returns version 0 before any rules were put in force.
        config=config if config is not None and config.version > 0 else None,
        audit=tuple(audit),
        searches=newest_searches(ledger, cycles),
        calibrations=newest_calibrations(ledger),
    )


def find_warm_up_pairs(ledger: Ledger, evaluations: Iterable[Evaluation] | None = None) -> tuple[WarmUpPair, ...]:
    """The newest warm-up pair of each model and phase, with the newest of all last.

    A pair is two evaluations that differ only in the warm-up: model, phase, suite, split and
    variant are equal. The arms of a validation win over two separate measurements.
    """
    purposes: dict[str, Purpose] = {run.run_id: run.purpose for run in ledger.read(Run)}
    every = list(ledger.read(Evaluation) if evaluations is None else evaluations)
    found = {
        (pair.warm.model, pair.warm.phase): pair
        for validation in (False, True)
        for pair in _pairs([e for e in every if _is_arm(e, purposes) is validation], validation=validation)
    }
    experiments = {
        (experiment.model, experiment.phase): experiment
        for experiment in sorted(ledger.read(WarmUpExperiment), key=lambda e: (e.conclusive, e.at))
    }
    pairs = (replace(pair, experiment=experiments.get(key)) for key, pair in found.items())
    return tuple(sorted(pairs, key=_recorded))


def _recorded(pair: WarmUpPair) -> tuple[bool, str, str, str]:
    return pair.validation, max(pair.cold.at, pair.warm.at), pair.warm.model, pair.warm.variant


def _is_arm(evaluation: Evaluation, purposes: Mapping[str, Purpose]) -> bool:
    found = {purposes.get(run_id) for run_id in evaluation.run_ids}
    return bool(found) and found <= {"warm_up_cold", "warm_up_warm"}


def _pairs(evaluations: list[Evaluation], *, validation: bool) -> list[WarmUpPair]:
    """The pairs among these evaluations, oldest first."""
    dated = sorted(whole_evaluations(evaluations), key=lambda e: e.at)
    cold, warm = (
        {(e.model, e.phase, e.suite_hash, e.split, e.variant): e for e in dated if e.warm_up is warmed}
        for warmed in (False, True)
    )
    return sorted((WarmUpPair(cold[key], warm[key], validation) for key in warm if key in cold), key=_recorded)
