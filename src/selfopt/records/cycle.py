"""One turn of the loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Prose, Record
from .suite import Phase

RemedyClaim = Literal["variant", "warm_up", "fallback"]
"""What a remedy in force claims to be better by."""


class Baseline(Record, ledger_kind="baseline", id_field="baseline_id", index_fields=("model", "phase", "spec_id")):
    """The promoted spec for one model and phase. The newest record counts.

    source `adapted`: the one before, as the rule in force (warm-up), the present suite or an off-switch make it.
    """

    baseline_id: str
    model: str
    phase: Phase
    spec_id: str
    previous_spec_id: str | None = None
    decision_id: str | None = None
    source: Literal["default", "flag", "promotion", "adapted", "withdrawn", "rollback"]
    at: str


class CycleTarget(Record):
    """One model and phase that a cycle works on, with the specs it measures (the baseline first)."""

    model: str
    phase: Phase
    baseline_spec_id: str
    candidate_spec_ids: tuple[str, ...] = ()


class LoopStart(Record, ledger_kind="loop_start", id_field="loop_id", index_fields=("request",)):
    """Several cycles were asked for by one command. request: hash of what was asked, by which the same command is known
    again; with no `LoopEnd` of the same id it was interrupted. adopted: an interrupted cycle of another command that is
    continued as the first one."""

    loop_id: str
    request: str
    cycles: int
    adopted: str | None = None
    at: str


class LoopEnd(Record, ledger_kind="loop_end", id_field="loop_id"):
    """All cycles of a loop are finished and its reports written."""

    loop_id: str
    at: str


class CycleStart(Record, ledger_kind="cycle_start", id_field="cycle_id", index_fields=("number",)):
    """A cycle has begun; with no `Cycle` or `CycleAbandoned` of the same id it was interrupted and is continued.
    loop_id: the `LoopStart` that it belongs to."""

    cycle_id: str
    number: int
    targets: tuple[CycleTarget, ...]
    config_version: int
    loop_id: str | None = None
    at: str


class CycleAbandoned(Record, ledger_kind="cycle_abandoned", id_field="cycle_id", index_fields=("number",)):
    """An interrupted cycle that nobody continues, and why. Its number is not used again, its trials stay."""

    cycle_id: str
    number: int
    reason: Prose
    at: str


class RemedyCheck(Record):
    """Whether a remedy enforced by an earlier cycle did what it claimed. helped None: it could not be told.
    evidence: ids of the evaluations compared."""

    recommendation_id: str
    model: str
    phase: Phase
    claim: RemedyClaim
    before: float | None
    after: float | None
    helped: bool | None
    withdrawn: bool = False
    detail: Prose = ""
    evidence: tuple[str, ...] = ()


class CyclePlan(Record, ledger_kind="cycle_plan", id_field="cycle_id"):
    """What a cycle tries after its baselines were measured and the remedies in force checked; kept so that a continued
    cycle tries the same and judges the rules that it began under."""

    cycle_id: str
    targets: tuple[CycleTarget, ...]
    changes: dict[str, str] = Field(default_factory=dict)
    remedies: tuple[RemedyCheck, ...] = ()
    at: str


class CandidateResult(Record):
    """How one candidate did."""

    spec_id: str
    variant: str
    changed: str
    accuracy: float | None
    call_accuracy: float | None
    restraint: float | None
    improvement: float | None
    verdict: Literal["promote", "hold", "reject"]
    reason_codes: tuple[str, ...]
    decision_id: str
    evaluation_id: str | None


class CycleTargetResult(Record):
    """The outcome for one model and phase."""

    model: str
    phase: Phase
    baseline_spec_id: str
    baseline_variant: str
    baseline_accuracy: float | None
    baseline_evaluation_id: str | None
    candidates: tuple[CandidateResult, ...]
    winner_spec_id: str | None
    winner_variant: str | None
    improvement: float | None
    new_baseline_spec_id: str


class Cycle(Record, ledger_kind="cycle", id_field="cycle_id", index_fields=("number",)):
    """A finished cycle."""

    cycle_id: str
    number: int
    started_at: str
    ended_at: str
    targets: tuple[CycleTargetResult, ...]
    remedies: tuple[RemedyCheck, ...] = ()
    findings: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    config_version: int
    trials: int
