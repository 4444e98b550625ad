"""Decisions: promote, hold or reject a candidate spec against the baseline, with what every gate
saw.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Record
from .earlier import decision
from .race import PromptEvidence, RaceEvidence
from .spending import LookCost
from .suite import Phase

VerdictName = Literal["promote", "hold", "reject"]
Claim = Literal["this_suite", "this_suite_exact", "prompts_like_these", "plain_gates"]
"""What a decision claims. `this_suite`: it holds for the prompts of this suite only (`_exact`:
without doubt). `prompts_like_these`: held-out prompts show it. `plain_gates`: nothing bounds the
chance of a false promotion."""
ReasonCode = Literal[
    "gate_failed",
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
"""The reasons that the built-in gates give.

A gate of an installed package may give one of its own.
"""


class GateResult(Record):
    """What one gate saw."""

    name: str
    observed: float | str | None
    threshold: float | str | None
    passed: bool | None  # None: not enough data, which never promotes
    binding: bool = True  # False: it only advises
    on_fail: Literal["hold", "reject"] = "reject"  # what the failure of a binding gate leads to
    reason_code: str  # a `ReasonCode`, or one of an installed package's gate
    detail: str = ""


class NotRaced(Record):
    """Why there was no race about a candidate."""

    code: Literal["no_alpha_left", "not_enough_evidence"]
    detail: str = ""


class RestraintEvidence(Record):
    """The restraint of a candidate in a race: its answers to prompts that need no tool call,
    against the baseline's.

    The evidence is in natural logs.
    """

    log_e: float  # against "it is worse by the margin or more"
    log_worse: float  # against "it is not worse by the margin"
    log_e_needed: float  # what either must reach
    margin: float
    n_pairs: int


class ExactDifference(Record):
    """The difference, on this suite, of two specs whose repeats are copies."""

    gain: float  # mean over the prompts, in [-1, 1]
    prompts: int | None = None  # None: an earlier version did not store it


class EvidenceState(Record):
    """What is known about a candidate apart from its evaluations. Each part may be None.

    Attributes:
        claim: what the decision should claim; None: whatever the gates can show.
        race, not_raced: the race about it, or why there was none.
        heldout, not_tried: its test on held-out prompts, or why there was none, in plain words.
        restraint: its restraint in the race.
        exact: the exact difference on this suite, if it is known.
        costs: what the looks that it rests on cost; empty in decisions of earlier versions.
    """

    claim: Literal["this_suite", "prompts_like_these"] | None = None
    race: RaceEvidence | None = None
    not_raced: NotRaced | None = None
    heldout: RaceEvidence | PromptEvidence | None = None
    not_tried: str | None = None
    restraint: RestraintEvidence | None = None
    exact: ExactDifference | None = None
    costs: tuple[LookCost, ...] = ()


class Decision(
    Record,
    ledger_kind="decision",
    id_field="decision_id",
    index_fields=("candidate_spec_id", "baseline_spec_id", "model", "phase", "cycle_id", "verdict"),
):
    """The decision about one candidate.

    synthetic: it rests on prompts that a model or a template wrote, and on no others.
    """

    decision_id: str
    verdict: VerdictName
    model: str
    phase: Phase
    candidate_spec_id: str
    baseline_spec_id: str | None
    candidate_variant: str = ""
    claim: Claim
    estimate: float | None  # accuracy of the candidate minus the baseline's, in [-1, 1]; None unless both were measured
    interval: tuple[float, float] | None = None
    gates: tuple[GateResult, ...]
    reason_codes: tuple[str, ...]
    evidence: EvidenceState = EvidenceState()
    evaluation_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    cycle_id: str | None = None
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)
    at: str

    _of_an_earlier_form = model_validator(mode="before")(decision)
