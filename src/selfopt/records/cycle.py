"""One turn of the loop."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from .base import Record
from .suite import Phase

__all__ = ["Baseline", "CandidateResult", "Cycle", "CyclePlan", "CycleStart", "CycleTarget", "CycleTargetResult", "RemedyCheck"]


class Baseline(Record):
    """The promoted spec for one model and phase. The newest record counts."""

    ledger_kind: ClassVar[str] = "baseline"
    id_field: ClassVar[str] = "baseline_id"
    index_fields: ClassVar[tuple[str, ...]] = ("model", "phase", "spec_id")

    baseline_id: str
    model: str
    phase: Phase
    spec_id: str
    previous_spec_id: str | None = None
    decision_id: str | None = None
    source: Literal["default", "flag", "promotion", "withdrawn", "rollback"]
    at: str


class CycleTarget(Record):
    """One model and phase that a cycle works on, with the specs it measures (the baseline first)."""

    model: str
    phase: Phase
    baseline_spec_id: str
    candidate_spec_ids: tuple[str, ...] = ()


class CycleStart(Record):
    """A cycle has begun; with no `Cycle` of the same id it was interrupted and is continued."""

    ledger_kind: ClassVar[str] = "cycle_start"
    id_field: ClassVar[str] = "cycle_id"
    index_fields: ClassVar[tuple[str, ...]] = ("number",)

    cycle_id: str
    number: int
    targets: tuple[CycleTarget, ...]
    config_version: int
    at: str


class CyclePlan(Record):
    """What a cycle tries after its baselines were diagnosed; kept so that a continued cycle tries the same."""

    ledger_kind: ClassVar[str] = "cycle_plan"
    id_field: ClassVar[str] = "cycle_id"
    index_fields: ClassVar[tuple[str, ...]] = ()

    cycle_id: str
    targets: tuple[CycleTarget, ...]
    changes: dict[str, str] = Field(default_factory=dict)
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


class RemedyCheck(Record):
    """Whether a remedy enforced by an earlier cycle did what it claimed."""

    recommendation_id: str
    model: str
    phase: Phase
    claim: str
    before: float | None
    after: float | None
    helped: bool | None
    withdrawn: bool = False
    detail: str = ""


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


class Cycle(Record):
    """A finished cycle."""

    ledger_kind: ClassVar[str] = "cycle"
    id_field: ClassVar[str] = "cycle_id"
    index_fields: ClassVar[tuple[str, ...]] = ("number",)

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
