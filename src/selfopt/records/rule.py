"""Rules in force, and the audit records of their changes and of diverted or refused requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from .base import Prose, Record
from .confidence import ServeWhen
from .finding import Confirmation
from .suite import Phase
from .tool_match import NO_TOOLS, ToolMatch, ToolOffer
from .variant import Variant

ROUTING_SCHEMA_VERSION = 3
"""The newest form that is read. Rules that say nothing about tools and thresholds are written in form 2."""
_PLAIN_SCHEMA = 2
VoidedBy = Literal["environment", "escalations", "outcomes", "replies", "drift"]
"""Why a threshold does not hold any more:

- `environment`: another model, template, engine or spec serves than the one that was measured;
- `escalations`: more live requests escalate, since the answer is not sure enough, than in the calibration;
- `outcomes`: of served answers whose outcome was told, more are wrong than the bound allows;
- `replies`: fresh replies of a cycle break the bound;
- `drift`: answers are not like those of the calibration any more, as somebody says.
"""
ReasonKind = Literal["gate", "warm_up", "promotion", "circle", "manual", "import", "other"]
"""`gate`: a recommendation to allow or disable the model. `warm_up`: one to warm up or not.
`promotion`:
the spec that serves. `circle`: why there is no fallback. `manual`, `import`: what a person wrote.
`other`: an unknown sentence of an earlier version."""


_NEWER_FIELDS = ("fallback_on_unparsed", "reasons", "confirmation", "when", "serve_when", "voided")


class ShareRise(Record):
    """A share that has risen in live traffic.

    Attributes:
        usual: what it is at most, by the calibration or the bound.
        of, risen: requests, or told outcomes, since it seems to have risen, and how many of them count.
        seen: how many were looked at in all.
    """

    usual: float = Field(ge=0, le=1)
    of: int = Field(ge=0)
    risen: int = Field(ge=0)
    seen: int = Field(ge=0)


class Voided(Record):
    """Why a rule's threshold does not hold any more. Until it is calibrated anew, everything escalates.

    Attributes:
        calibration_id: the calibration whose threshold it was.
        differs: the observed facts that differ, for `environment`.
        rise: what live traffic showed, for `escalations` and `outcomes`.
    """

    kind: VoidedBy
    calibration_id: str
    why: Prose
    differs: tuple[str, ...] = ()
    at: str = ""
    rise: ShareRise | None = Field(default=None, exclude_if=lambda rise: rise is None)


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
    """An enforced routing entry for exactly one model and phase, or for some of its requests.

    Attributes:
        fallback_on_unparsed: the fallback answers a live request when the model's reply holds a
            tool call that no parser of the variant reads.
        reasons: why the rule is as it is. reason: the same as one text for people.
        confirmation: what experiments say about its warm-up; None when nothing is claimed.
        when: the requests that it is about, by their tools; None for all of its model and phase.
        serve_when: how sure an answer has to be; None where all answers are served.
        voided: why `serve_when` does not hold any more; None while nothing speaks against it.
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
    voided: Voided | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about: model, phase and tools. A configuration has one rule of each key."""
        return self.model, self.phase, "" if self.when is None else self.when.key

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
    no `confirmation`: reading makes them, and writing leaves them out. In schema 3 a rule may have
    `when`, `serve_when` and `voided`.
    """

    schema_version: int = _PLAIN_SCHEMA
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

    @cached_property
    def finer(self) -> bool:
        """Whether a rule looks at the tools of a request."""
        return any(rule.when is not None for rule in self.rules)

    def rule_for(self, model: str, phase: str, one_name: Callable[[str], str] = str, tools: ToolOffer = NO_TOOLS) -> Rule | None:
        """Returns the rule for this model, phase and these tools, or None.

        The most specific rule comes first (`ToolMatch.precedence`), a rule that looks at no tools
        last. A request without tools has such a rule or none. Of equal ones, a rule of exactly this
        name comes first, then one that denies.

        one_name: gives one name for all of a model.
        """
        if self.finer:
            return self._finest(model, phase, one_name, tools)
        mine = [r for r in self.rules if r.phase == phase and (r.model == model or one_name is not str)]
        exact = next((r for r in mine if r.model == model), None)
        if exact is not None or not mine:
            return exact
        name = one_name(model)
        return min((r for r in mine if one_name(r.model) == name), key=lambda r: r.allow, default=None)

    def _finest(self, model: str, phase: str, one_name: Callable[[str], str], tools: ToolOffer) -> Rule | None:
        name = one_name(model)
        mine = (r for r in self.rules if r.phase == phase and (r.model == model or one_name(r.model) == name))
        found = [r for r in mine if r.when is None or r.when.matches(tools)]
        # Of what is equal so far, the names decide, so that the order of rules never does.
        found.sort(key=lambda r: (r.model != model, r.allow, r.model))
        return max(found, key=lambda r: (r.when is not None, r.when.precedence if r.when else ()), default=None)


def schema_of(rules: Iterable[Rule]) -> int:
    """The form in which these rules are written: the oldest that has words for them."""
    newer = any(rule.when is not None or rule.serve_when is not None or rule.voided is not None for rule in rules)
    return ROUTING_SCHEMA_VERSION if newer else _PLAIN_SCHEMA


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
