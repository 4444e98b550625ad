"""Promote, hold or reject: a candidate spec against the baseline, with what every gate saw."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from .base import Record
from .earlier import decision
from .race import PromptEvidence, RaceEvidence
from .suite import Phase

VerdictName = Literal["promote", "hold", "reject"]
Claim = Literal["this_suite", "this_suite_exact", "prompts_like_these", "plain_gates"]
"""What a verdict is about. `this_suite`: the prompts of this suite and no others (`_exact`: known
without doubt); `prompts_like_these`: shown on held-out prompts; `plain_gates`: nothing bounds the
chance of a false promotion."""
ReasonCode = Literal[
    "improved",
    "first_baseline",
    "no_data",
    "mostly_errors",
    "not_enough_runs",
    "baseline_not_enough_runs",
    "not_comparable",
    "ceiling",
    "below_margin",
    "not_enough_evidence",
    "not_shown_on_heldout",
    "not_tried_on_heldout",
    "no_alpha_left",
    "high_variance",
    "futile",
    "behind",
    "worse_on_heldout",
    "restraint_worse",
    "regression",
    "low_restraint",
    "extended_minimum",
    "not_above_silent",
    "not_above_always_calling",
]
"""The reasons that our own gates give. A gate of somebody else may give one of its own."""


class GateResult(Record):
    """What one gate saw. passed None: not enough data, which never promotes. binding: whether it
    decides or only advises. on_fail: what a binding failure means. reason_code: a `ReasonCode` of
    ours, or one of somebody else's gate."""

    name: str
    observed: float | str | None
    threshold: float | str | None
    passed: bool | None
    binding: bool = True
    on_fail: Literal["hold", "reject"] = "reject"
    reason_code: str
    detail: str = ""


class NotRaced(Record):
    """Why there was no race about a candidate. detail: in plain words."""

    code: Literal["no_alpha_left", "not_enough_evidence"]
    detail: str = ""


class RestraintEvidence(Record):
    """How a candidate keeps quiet in a race, against the baseline, on prompts that need no call.

    log_e: natural log of the evidence against "it is worse by the margin or more"; log_worse: of
    that against "it is not worse by the margin". Both compare with log_e_needed.
    """

    log_e: float
    log_worse: float
    log_e_needed: float
    margin: float
    n_pairs: int


class ExactDifference(Record):
    """The difference on this suite of two specs whose repeats are copies. gain: in [-1, 1]; prompts:
    how many it is the mean of (None: not kept by the writer)."""

    gain: float
    prompts: int | None = None


class EvidenceState(Record):
    """What is known about a candidate beside its evaluations; every part is there or is None.

    Attributes:
        claim: what the decision is to be about; None: whatever the gates can say.
        race, not_raced: the race about it, or why there was none.
        heldout, not_tried: its test on held-out prompts, or why there was none, in plain words.
        restraint: how it keeps quiet in the race.
        exact: the difference on this suite, where it is known.
    """

    claim: Literal["this_suite", "prompts_like_these"] | None = None
    race: RaceEvidence | None = None
    not_raced: NotRaced | None = None
    heldout: RaceEvidence | PromptEvidence | None = None
    not_tried: str | None = None
    restraint: RestraintEvidence | None = None
    exact: ExactDifference | None = None


class Decision(
    Record,
    ledger_kind="decision",
    id_field="decision_id",
    index_fields=("candidate_spec_id", "baseline_spec_id", "model", "phase", "cycle_id", "verdict"),
):
    """The verdict on one candidate. estimate: candidate accuracy minus baseline accuracy, in
    [-1, 1]; None when not both were measured."""

    decision_id: str
    verdict: VerdictName
    model: str
    phase: Phase
    candidate_spec_id: str
    baseline_spec_id: str | None
    candidate_variant: str = ""
    claim: Claim
    estimate: float | None
    interval: tuple[float, float] | None = None
    gates: tuple[GateResult, ...]
    reason_codes: tuple[str, ...]
    evidence: EvidenceState = EvidenceState()
    evaluation_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    cycle_id: str | None = None
    at: str

    _of_an_earlier_form = model_validator(mode="before")(decision)
