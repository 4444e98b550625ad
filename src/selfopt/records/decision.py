"""Promote, hold or reject: a candidate spec against the baseline, with what every gate saw."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from .base import Record
from .suite import Phase

__all__ = ["Decision", "EvidenceState", "GateResult", "VerdictName"]

VerdictName = Literal["promote", "hold", "reject"]


class GateResult(Record):
    """What one gate saw. passed None: not enough data, which never promotes. binding: whether it decides or only advises.
    on_fail: what a binding failure means."""

    name: str
    observed: float | str | None
    threshold: float | str | None
    passed: bool | None
    binding: bool = True
    on_fail: Literal["hold", "reject"] = "reject"
    reason_code: str
    detail: str = ""


class EvidenceState(Record):
    """The place of the sequential evidence gate: figures by name (log_e, log_f, n_pairs, level ...). Empty under the plain
    policy."""

    figures: dict[str, float | int | str] = Field(default_factory=dict)


class Decision(Record):
    """The verdict on one candidate. claim: what the verdict is about ("this suite only", "prompts like these").
    estimate: candidate accuracy minus baseline accuracy, in [-1, 1]; None when not both were measured."""

    ledger_kind: ClassVar[str] = "decision"
    id_field: ClassVar[str] = "decision_id"
    index_fields: ClassVar[tuple[str, ...]] = ("candidate_spec_id", "baseline_spec_id", "model", "phase", "cycle_id", "verdict")

    decision_id: str
    verdict: VerdictName
    model: str
    phase: Phase
    candidate_spec_id: str
    baseline_spec_id: str | None
    candidate_variant: str = ""
    claim: str
    estimate: float | None
    interval: tuple[float, float] | None = None
    gates: tuple[GateResult, ...]
    reason_codes: tuple[str, ...]
    evidence: EvidenceState = EvidenceState()
    evaluation_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    cycle_id: str | None = None
    at: str
