"""Rules that a person sets or removes, and thresholds that are voided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.errors import UsageError
from selfopt.home import ChainedFile, escape_control
from selfopt.records import Phase, RoutingConfig, Rule, RuleLimits, RuleReason, ServeWhen, Spec, ToolMatch, Voided
from selfopt.words.rules import rule_text

from .changes import known_key, rule_id_of

VOID = "void"
"""The cause of a version in which a threshold is voided."""


@dataclass(frozen=True, slots=True)
class HandRule:
    """What a person says about a model, phase and tools.

    Attributes:
        warm_up: None keeps the present value.
        when: the requests that it is about; None for all others of the model and phase.
        serve_when: how sure an answer has to be; None where all are served.
        spec: what was calibrated, and so what serves; None keeps what serves.
    """

    allow: bool
    fallback: str | None = None
    reason: str = ""
    warm_up: bool | None = None
    when: ToolMatch | None = None
    serve_when: ServeWhen | None = None
    spec: Spec | None = None


def set_by_hand(
    current: RoutingConfig, model: str, phase: Phase, hand: HandRule, one_name: Callable[[str], str]
) -> Sequence[Rule]:
    """The whole new set of rules. Variant and limits of a rule stay; a new finer one begins with those of its model."""
    name, _ = known_key(current.rules, model, phase, one_name)
    known = {rule.key: rule for rule in current.rules}
    key = (name, phase, "" if hand.when is None else hand.when.key)
    whole = known.get((name, phase, ""))
    new = Rule(rule_id=rule_id_of(*key[:2], hand.when), model=name, phase=phase, allow=hand.allow, when=hand.when)
    if whole is not None:
        new = new.model_copy(update={n: getattr(whole, n) for n in ("variant", "spec_id", "limits", "warm_up")})
    update = _told(hand)
    if hand.warm_up is not None:
        update["warm_up"] = hand.warm_up
    mine = one_name(model), phase, key[2]
    others = [rule for rule in current.rules if (one_name(rule.model), *rule.key[1:]) != mine]
    return [*others, known.get(key, new).model_copy(update=update)]


def _told(hand: HandRule) -> dict[str, Any]:
    why = hand.reason or ("allowed by hand" if hand.allow else "denied by hand")
    surely, spec = hand.serve_when, hand.spec
    served: dict[str, Any] = {}
    if spec is not None:
        limits = RuleLimits(timeout_s=spec.timeout_s, retries=spec.retries, context_size=spec.context_size, isolate=spec.isolate)
        served = {"variant": spec.variant, "spec_id": spec.spec_id, "limits": limits}
    return served | {
        "allow": hand.allow,
        "fallback": hand.fallback,
        "source": "manual",
        "reason": why,
        "reasons": (RuleReason(kind="manual", text=why, ids=() if surely is None else (surely.calibration_id,)),),
        "confirmation": None,
        "recommendation_ids": (),
        "evidence": () if surely is None else (surely.calibration_id, *(() if spec is None else (spec.spec_id,))),
        "serve_when": surely,
        "voided": None,
    }


def without(
    current: RoutingConfig, model: str, phase: Phase, when: ToolMatch | None, one_name: Callable[[str], str]
) -> Sequence[Rule]:
    """The rules without the one of this model, phase and tools. UsageError if there is none."""
    wanted = (one_name(model), phase, "" if when is None else when.key)
    kept = [rule for rule in current.rules if (one_name(rule.model), *rule.key[1:]) != wanted]
    if len(kept) == len(current.rules):
        mine = [r for r in current.rules if (one_name(r.model), r.phase) == wanted[:2]]
        known = "; ".join(f"{rule_text(rule)} ({rule.rule_id})" for rule in mine[:10]) or "none"
        shown = rule_text(Rule(rule_id="", model=model, phase=phase, allow=True, when=when))
        raise UsageError(f"no rule of {shown}; the rules of this model and phase: {known}")
    return kept


def with_voided(current: RoutingConfig, rule_id: str, voided: Voided) -> Sequence[Rule]:
    """The rules, one of them with a void threshold. One that is void already stays as it is.

    Raises:
        UsageError: there is no such rule, or it has no threshold, or the threshold of another
            calibration.
    """
    rule = next((r for r in current.rules if r.rule_id == rule_id), None)
    if rule is None or rule.serve_when is None:
        what = "no rule" if rule is None else "no threshold in the rule"
        raise UsageError(f"{what} {escape_control(rule_id, 80)}; `selfopt routes show` lists the rules with their ids")
    if rule.serve_when.calibration_id != voided.calibration_id:
        raise UsageError(f"the rule {rule_id} was calibrated anew meanwhile; its new threshold stays")
    if rule.voided is not None:
        return current.rules
    return [r if r is not rule else r.model_copy(update={"voided": voided}) for r in current.rules]


def still_voided(rules: Sequence[Rule], trail: ChainedFile) -> Sequence[Rule]:
    """The rules, with every threshold void that was voided before: only a new calibration lifts that.

    Raises AuditError if the trail is damaged.
    """
    asked = {r.serve_when.calibration_id for r in rules if r.serve_when is not None and r.voided is None}
    found = _voided(trail, asked) if asked else {}
    return [
        r.model_copy(update={"voided": found[r.serve_when.calibration_id]})
        if r.serve_when is not None and r.voided is None and r.serve_when.calibration_id in found
        else r
        for r in rules
    ]


def _voided(trail: ChainedFile, asked: Collection[str]) -> Mapping[str, Voided]:
    """What the trail says about the voided ones of these calibrations."""
    found: dict[str, Voided] = {}
    for record in trail.newest_first(b'"cause":"void"'):
        body = (record.details.get("after") or {}).get("voided")
        if record.details.get("cause") == VOID and body and body.get("calibration_id") in asked:
            found.setdefault(body["calibration_id"], Voided.model_validate(body))
    return found
