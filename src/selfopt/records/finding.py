"""Findings and recommendations: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer, model_validator

from .base import Prose, Record
from .earlier import recommendation_before_confirmations
from .figures import Figures, FindingKind, read_figures
from .suite import Phase

Confidence = Literal["low", "medium", "high", "exact"]
ConfirmationStatus = Literal["confirmed", "not_confirmed_yet", "not_confirmed"]
RemedyKind = Literal[
    "phase_gate", "warm_up", "stronger_model", "variant", "output_budget", "investigate", "fallback", "escalation"
]
Action = Literal[
    "allow",
    "disable",
    "enable_warm_up",
    "prefer_stronger",
    "change_variant",
    "raise_max_tokens",
    "withdraw",
    "investigate",
    "escalate",
]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What can be done about one model and phase."""

    model: str
    phase: Phase
    kind: RemedyKind
    fallback: str | None = None  # for kind `fallback`: the model that takes over


class Finding(Record, ledger_kind="finding", id_field="finding_id", index_fields=("model", "phase", "spec_id", "cycle_id")):
    """A diagnosed cause with its evidence. Callers match on the type of `figures`.

    synthetic: it rests on prompts that a model or a template wrote.
    """

    finding_id: str
    type: FindingKind
    model: str
    phase: Phase
    spec_id: str
    summary: Prose
    figures: Figures
    prompt_ids: tuple[str, ...] = ()
    evaluation_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    trial_ids: tuple[str, ...] = ()
    confidence: Confidence = "medium"
    confirmed: bool = False  # by an experiment
    cycle_id: str | None = None
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)
    at: str

    @field_validator("figures", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type")
        if kind is not None and isinstance(value, Mapping):
            return read_figures(kind, value)
        if getattr(value, "kind", kind) not in (kind, "other"):
            raise ValueError(f"figures of a finding of another kind than {kind}: {type(value).__name__}")
        return value


class Confirmation(Record):
    """What experiments say about a remedy. It changes with new experiments, while the rest of a
    rule stays.

    Attributes:
        status: `confirmed`: it helps. `not_confirmed`: a conclusive experiment showed that it does
            not.
            `not_confirmed_yet`: there was no conclusive experiment.
        gain: what gets better, if it is confirmed.
        told: the same in words, with the figures of the experiment.
        evidence: ids of findings and evaluations; empty for `not_confirmed_yet`.
    """

    status: ConfirmationStatus
    gain: Literal["outcomes", "latency"] | None = None
    told: Prose
    evidence: tuple[str, ...] = ()


class Requirements(Record):
    """What must hold for a rule to allow the model. None means no requirement.

    calibration_id: only answers are served that are as sure as this calibration asks.
    """

    warm_up: bool | None = None
    variant: str | None = None
    spec_id: str | None = None
    min_max_tokens: int | None = None
    calibration_id: str | None = Field(default=None, exclude_if=lambda value: value is None)


class Recommendation(Record, ledger_kind="recommendation", id_field="id", index_fields=("model", "phase", "cycle_id")):
    """What to do about findings, for one model and phase.

    Attributes:
        allow: whether the model may serve the phase; None when the recommendation does not say.
        fallback: a model that was measured on this phase.
        reason: ends with `confirmation.told`, if there is a confirmation.
        evidence: ids of evaluations, runs and findings.
        synthetic: it rests on prompts that a model or a template wrote.
    """

    id: str
    type: RemedyKind
    model: str
    phase: Phase
    action: Action
    allow: bool | None = None
    fallback: str | None = None
    requirements: Requirements = Requirements()
    reason: Prose
    confirmation: Confirmation | None = None
    evidence: tuple[str, ...] = ()
    confidence: Confidence = "medium"
    cycle_id: str | None = None
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_before(cls, body: Any) -> Any:
        return recommendation_before_confirmations(body) if isinstance(body, Mapping) else body

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = handler(self)
        return body if self.confirmation is not None else {k: v for k, v in body.items() if k != "confirmation"}

    @property
    def advice(self) -> str:
        """The reason without the text of the confirmation, which can change while the advice stays."""
        return self.reason if self.confirmation is None else self.reason.removesuffix(f"; {self.confirmation.told}")

    @property
    def remedy(self) -> Remedy:
        """What it recommends. Identifies the recommendation after it was withdrawn."""
        return Remedy(self.model, self.phase, self.type)


class HotFailure(Record):
    """A prompt that keeps failing."""

    model: str
    phase: Phase
    prompt_id: str
    prompt_kind: str
    failures: int
    of: int
    outcomes: dict[str, int]


class PhaseSummary(Record):
    """The newest results of one model in one phase."""

    model: str
    phase: Phase
    spec_id: str
    variant: str
    evaluations: int
    accuracy: float
    call_accuracy: float | None
    restraint: float | None
    variance: float
    evaluation_id: str
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)


class Feedback(Record):
    """The content of harness_feedback.json. `rendering` explains the file to people who open it."""

    schema_version: int = 1
    generated_at: str
    accuracy: tuple[PhaseSummary, ...] = ()
    hot_failures: tuple[HotFailure, ...] = ()
    findings: tuple[Finding, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    rendering: str = "written from the ledger, which alone counts; `selfopt feedback` writes it anew"
