"""Rules in force, and the audit record of each change and each diverted or refused request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from .base import Prose, Record
from .finding import Confirmation
from .suite import Phase
from .variant import Variant

ROUTING_SCHEMA_VERSION = 2
ReasonKind = Literal["gate", "warm_up", "promotion", "circle", "manual", "import", "other"]
"""`gate`: a recommendation to allow or disable; `warm_up`: one to warm up or not; `promotion`: the
spec that it is served with; `circle`: why it has no fallback; `manual`, `import`: what a person
wrote; `other`: a sentence of an earlier form that nobody knows."""


_NEWER_FIELDS = ("fallback_on_unparsed", "reasons", "confirmation")


class RuleLimits(Record):
    """The promoted spec's limits. Times in seconds; None: the settings' value."""

    timeout_s: float | None = None
    retries: int | None = None
    context_size: int | None = None
    isolate: bool | None = None


class RuleReason(Record):
    """One reason for what a rule says. ids: of the recommendation, the spec and the evidence behind it."""

    kind: ReasonKind
    text: Prose
    ids: tuple[str, ...] = ()


class Rule(Record):
    """An enforced routing entry for exactly one model and phase.

    Attributes:
        fallback_on_unparsed: live requests whose reply holds a call that no parser of the variant
            reads are asked of the fallback instead.
        reasons: why the rule is what it is. reason: the same as one text for people.
        confirmation: what an experiment says of its warm-up; None: nothing is claimed.
    """

    rule_id: str
    model: str
    phase: Phase
    allow: bool
    fallback: str | None = None
    warm_up: bool = False
    variant: Variant | None = None
    spec_id: str | None = None
    limits: RuleLimits = RuleLimits()
    reasons: tuple[RuleReason, ...] = ()
    reason: Prose = ""
    confirmation: Confirmation | None = None
    source: Literal["recommendation", "promotion", "manual", "import", "rollback"] = "recommendation"
    recommendation_ids: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    since_version: int = 0
    fallback_on_unparsed: bool = False

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Rules that do not use a newer field are written, and hashed, as before there was one."""
        body: dict[str, Any] = handler(self)
        return {name: value for name, value in body.items() if name not in _NEWER_FIELDS or value}


class RoutingConfig(Record):
    """The content of routing_config.json. version counts up by one with every change.

    schema_version: of the form in which it was written, and sealed. In schema 1 a rule has no
    `reasons` and no `confirmation`; they are made when it is read, and left out when it is written.
    """

    schema_version: int = ROUTING_SCHEMA_VERSION
    version: int = 0
    generated_at: str = ""
    audit_hash: str = Field(default="", description="hash of the audit record written before this version was put in force")
    rules: tuple[Rule, ...] = ()

    @model_serializer(mode="wrap")
    def _in_its_schema(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = handler(self)
        for rule in body.get("rules", ()) if self.schema_version < 2 else ():
            rule.pop("reasons", None)
            rule.pop("confirmation", None)
        return body

    def rule_for(self, model: str, phase: str) -> Rule | None:
        """The rule of exactly this model and phase."""
        return next((r for r in self.rules if r.model == model and r.phase == phase), None)


class RouteDecision(Record):
    """What the rules say about one request: served as asked, diverted to a fallback, or refused. skipped: fallbacks that may
    not serve, with the reason. crosses_to_remote: a local model's request goes to a remote fallback, by the user's consent."""

    outcome: Literal["allow", "fallback", "refuse", "forced"]
    original_model: str
    model: str | None
    phase: Phase
    rule: Rule | None = None
    serving_rule: Rule | None = None
    config_version: int = 0
    reason: str = ""
    skipped: tuple[str, ...] = ()
    crosses_to_remote: bool = False


class AuditRecord(Record, ledger_kind="audit", id_field="hash"):
    """One line of the audit trail. hash covers every other field, previous_hash the line before (64 zeros at the start)."""

    timestamp: str
    event: str
    original_model: str | None = None
    fallback: str | None = None
    phase: str | None = None
    reason: str = ""
    rule_id: str | None = None
    config_version: int | None = None
    evidence: tuple[str, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)
    previous_hash: str
    hash: str
