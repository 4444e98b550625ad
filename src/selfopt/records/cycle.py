"""The loop: baselines, cycles, and what they tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from .base import Prose, Record
from .suite import Phase

RemedyClaim = Literal["variant", "warm_up", "fallback", "escalation"]
BanCause = Literal["rollback", "did_not_help"]


@dataclass(frozen=True, slots=True)
class Ban:
    """One thing that was taken back, and that the loop does not try again.

    Attributes:
        ban_id: of what took it back. Taking the same back once more is another ban.
        what: the variant or the fallback; "" for a warm-up.
        spec_id: the spec that is not proposed; None for remedies.
        at: when it was taken back; None where that is not recorded.
    """

    ban_id: str
    model: str
    phase: Phase
    kind: RemedyClaim
    what: str
    because: BanCause
    spec_id: str | None = None
    at: str | None = None


class BanLifted(Record, ledger_kind="ban_lifted", id_field="lifting_id", index_fields=("model", "phase")):
    """Somebody let things be tried again."""

    lifting_id: str
    model: str
    phase: Phase
    ban_ids: tuple[str, ...]
    at: str


"""What makes things better, according to a remedy in force."""


class Baseline(Record, ledger_kind="baseline", id_field="baseline_id", index_fields=("model", "phase", "spec_id")):
    """The promoted spec for one model and phase. The newest record counts.

    source: `adapted` is the spec before, changed to fit the warm-up of the rule in force, the
    present suite, or a setting that switches something off.
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
    """One model and phase that a cycle works on, with the specs it measures (the baseline first).

    screened: how many candidates were ranked on search prompts, to choose these. 0: no screening.
    """

    model: str
    phase: Phase
    baseline_spec_id: str
    candidate_spec_ids: tuple[str, ...] = ()
    screened: int = Field(default=0, ge=0)


class LoopStart(Record, ledger_kind="loop_start", id_field="loop_id", index_fields=("request",)):
    """One command asked for several cycles.

    Without a `LoopEnd` of the same id it was interrupted.
    """

    loop_id: str
    request: str  # hash of what was asked, which identifies the same command later
    cycles: int
    adopted: str | None = None  # an interrupted cycle of another command, continued as the first one
    at: str


class LoopEnd(Record, ledger_kind="loop_end", id_field="loop_id"):
    """All cycles of a loop are finished, and its reports are written."""

    loop_id: str
    at: str


class CycleStart(Record, ledger_kind="cycle_start", id_field="cycle_id", index_fields=("number",)):
    """A cycle has begun.

    Without a `Cycle` or `CycleAbandoned` of the same id it was interrupted, and is continued.
    """

    cycle_id: str
    number: int
    targets: tuple[CycleTarget, ...]
    config_version: int
    loop_id: str | None = None
    at: str


class CycleAbandoned(Record, ledger_kind="cycle_abandoned", id_field="cycle_id", index_fields=("number",)):
    """An interrupted cycle that nobody continues.

    Its number is not used again, and its trials stay.
    """

    cycle_id: str
    number: int
    reason: Prose
    at: str


class RemedyCheck(Record):
    """Whether a remedy that an earlier cycle enforced did what it claimed."""

    recommendation_id: str
    model: str
    phase: Phase
    claim: RemedyClaim
    before: float | None
    after: float | None
    helped: bool | None  # None: the evidence does not tell
    withdrawn: bool = False
    detail: Prose = ""
    evidence: tuple[str, ...] = ()  # ids of the compared evaluations


class CyclePlan(Record, ledger_kind="cycle_plan", id_field="cycle_id"):
    """What a cycle tries, once its baselines are measured and the remedies in force are checked.

    It is kept so that a continued cycle tries the same, and judges the rules under which it began.
    """

    cycle_id: str
    targets: tuple[CycleTarget, ...]
    changes: dict[str, str] = Field(default_factory=dict)
    remedies: tuple[RemedyCheck, ...] = ()
    at: str


class CandidateResult(Record):
    """The result of one candidate. synthetic: its decision rests on synthetic prompts alone."""

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
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)


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
