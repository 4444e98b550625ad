"""Rules in force, and the audit records of their changes and of diverted or refused requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from .base import Prose, Record
from .confidence import ServeWhen
from .finding import Confirmation
from .suite import Phase
from .variant import Variant

ROUTING_SCHEMA_VERSION = 2
ReasonKind = Literal["gate", "warm_up", "promotion", "circle", "manual", "import", "other"]
"""`gate`: a recommendation to allow or disable the model. `warm_up`: one to warm up or not.
`promotion`:
the spec that serves. `circle`: why there is no fallback. `manual`, `import`: what a person wrote.
`other`: an unknown sentence of an earlier version."""


_NEWER_FIELDS = ("fallback_on_unparsed", "reasons", "confirmation", "when", "serve_when")


class ToolMatch(Record):
    """Which requests a rule is about, by the tools that they offer. What is None or empty matches all.

    Attributes:
        tool_set: the content name of the set of tools offered (`tool_set_name`).
        names: a pattern, such as `calendar_*`, that every name of an offered tool matches.
        least, most: how many tools may be offered.
    """

    tool_set: str | None = None
    names: str = ""
    least: int | None = Field(default=None, ge=1)
    most: int | None = Field(default=None, ge=1)


class RuleLimits(Record):
    """The limits of the promoted spec.

    Times are in seconds. None means the value of the settings.
    """

    timeout_s: float | None = None
    retries: int | None = None
    context_size: int | None = None
    isolate: bool | None = None


class RuleReason(Record):
    """One reason for a rule. synthetic: it rests on prompts that a model or a template wrote, and on no others."""

    kind: ReasonKind
    text: Prose
    ids: tuple[str, ...] = ()  # of the recommendation, the spec and the evidence behind it
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)


class Rule(Record):
    """An enforced routing entry for exactly one model and phase.

    Attributes:
        fallback_on_unparsed: the fallback answers a live request when the model's reply holds a
            tool call that no parser of the variant reads.
        reasons: why the rule is as it is. reason: the same as one text for people.
        confirmation: what experiments say about its warm-up; None when nothing is claimed.
        when: the requests that it is about, by their tools; None for all of its model and phase.
        serve_when: how sure an answer has to be; None where all answers are served.
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
    when: ToolMatch | None = None
    serve_when: ServeWhen | None = None

    @property
    def synthetic(self) -> bool:
        """Whether a reason rests on prompts that a model or a template wrote, and on no others."""
        return any(reason.synthetic for reason in self.reasons)

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A rule that does not use a newer field is written, and hashed, as before that field
        existed.
        """
        body: dict[str, Any] = handler(self)
        return {name: value for name, value in body.items() if name not in _NEWER_FIELDS or value}


class RoutingConfig(Record):
    """The content of routing_config.json. Each change increases `version` by one.

    schema_version: of the form that was written and sealed. In schema 1 a rule has no `reasons` and
    no `confirmation`: reading makes them, and writing leaves them out.
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

    def rule_for(self, model: str, phase: str, one_name: Callable[[str], str] = str) -> Rule | None:
        """Returns the rule for this model and phase, or None.

        one_name: gives one name for all of a model. A rule of exactly this name comes first, then
        one that denies.
        """
        mine = [r for r in self.rules if r.phase == phase and (r.model == model or one_name is not str)]
        exact = next((r for r in mine if r.model == model), None)
        if exact is not None or not mine:
            return exact
        name = one_name(model)
        return min((r for r in mine if one_name(r.model) == name), key=lambda r: r.allow, default=None)


class RouteDecision(Record):
    """What the rules say about one request: serve it as asked, divert it to a fallback, or refuse
    it.
    """

    outcome: Literal["allow", "fallback", "refuse", "forced"]
    original_model: str
    model: str | None
    phase: Phase
    rule: Rule | None = None
    serving_rule: Rule | None = None
    config_version: int = 0
    reason: str = ""
    skipped: tuple[str, ...] = ()  # fallbacks that may not serve, with the reasons
    crosses_to_remote: bool = False  # with the user's consent, a request for a local model goes to a remote fallback


class AuditRecord(Record, ledger_kind="audit", id_field="hash"):
    """One line of the audit trail."""

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
    previous_hash: str  # of the line before; 64 zeros in the first line
    hash: str  # covers every other field
