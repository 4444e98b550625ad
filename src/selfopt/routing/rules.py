"""Turns recommendations and promoted specs into rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.records import (
    Confirmation,
    Phase,
    ReasonKind,
    Recommendation,
    RoutingConfig,
    Rule,
    RuleLimits,
    RuleReason,
    ServeWhen,
    Spec,
    Voided,
)
from selfopt.words.rules import broken_text, no_fallback_text, reason_text, served_text

from .changes import fallback_cycle, known_key, rule_id_of

# What a rule does; reasons, ids and evidence only explain it.
_SERVED = ("variant", "spec_id", "limits")
_EFFECT = {"allow", "fallback", "warm_up", "serve_when", "voided", *_SERVED}


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """How rules are generated.

    Attributes:
        override_manual: whether recommendations may change the `allow` and `fallback` of manual
            rules.
        warm_up: False generates no warm-up.
        one_name: gives one name for all of a model. A rule keeps the name that it has.
        synthetic: the ids of specs that were measured on synthetic prompts alone.
        serve_when: from which confidence on answers are served, by the id of the calibration.
        broken: the ids of calibrations whose bound fresh replies have broken.
    """

    override_manual: bool = False
    warm_up: bool = True
    one_name: Callable[[str], str] = str
    synthetic: frozenset[str] = frozenset()
    serve_when: Mapping[str, ServeWhen] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()


def generate_routing_rules(
    recommendations: Sequence[Recommendation],
    current: RoutingConfig | None = None,
    *,
    promoted: Mapping[tuple[str, Phase], Spec] | None = None,
    options: RuleOptions | None = None,
) -> tuple[Rule, ...]:
    """The whole new set of rules: the current ones, merged with recommendations and promoted specs.

    For each model and phase:

    - A recommendation to disable wins over one to allow. Only a disabled model has a fallback, and one
      that serves when it is sure.
    - Its own recommendation or the promoted spec switches warm-up on, in a rule that is there. A
      remedy alone makes no rule, because a rule allows or refuses, and only a gate decides that.
    - The variant, spec and limits are those of the promoted spec.
    - A recommendation that a rule cannot carry out, such as to investigate, changes nothing.
    - A rule whose effect stays the same keeps its reason and evidence. Only the confirmation of its
      warm-up is updated.
    - A manual rule keeps `allow` and `fallback`, unless the options say otherwise.
    - A fallback that would close a circle is left out, and the reason says so.
    - A recommendation to escalate brings a threshold with a fallback. It is left out where it would
      close a circle. Judged as a whole again, the model loses both, unless a person brought them.
    - Rules that look at tools stay. One that serves what the rule of its model and phase served
      follows that, unless a threshold rests on it.
    """
    chosen = options or RuleOptions()
    every = current.rules if current else ()
    known = tuple(rule for rule in every if rule.when is None)
    finer = tuple(rule for rule in every if rule.when is not None)
    specs = {known_key(known, *key, chosen.one_name): spec for key, spec in (promoted or {}).items()}
    rules = {(rule.model, rule.phase): rule for rule in known}
    grouped: dict[tuple[str, Phase], list[Recommendation]] = {key: [] for key in specs}
    for recommendation in recommendations:
        key = known_key(known, recommendation.model, recommendation.phase, chosen.one_name)
        grouped.setdefault(key, []).append(recommendation)
    for key, advice in grouped.items():
        rule = _merge(key, rules.get(key), advice, specs.get(key), chosen)
        if rule is not None:
            rules[key] = rule
    for key in sorted(grouped):
        rule = rules.get(key)
        if rule is None or rule.source == "manual" or not fallback_cycle((*rules.values(), *finer), rule):
            continue
        if rule.serve_when is not None:
            _put_back(rules, known, key)
            continue
        note = RuleReason(kind="circle", text=no_fallback_text(str(rule.fallback)))
        reasons = (*_reasons(rule, but="circle"), note)
        told = reason_text(reasons, rule.confirmation)
        open_ended = rule.model_copy(update={"fallback": None, "reasons": reasons, "reason": told})
        before = next((r for r in known if (r.model, r.phase) == key), None)
        rules[key] = before if before is not None and _same_effect(before, open_ended) else open_ended
    return (*(rules[key] for key in sorted(rules)), *(_following(rule, known, rules) for rule in finer))


def _put_back(rules: dict[tuple[str, Phase], Rule], before: Sequence[Rule], key: tuple[str, Phase]) -> None:
    """Leave the rule of a model and phase as it was, or away. Without its fallback it would serve everything."""
    old = next((rule for rule in before if (rule.model, rule.phase) == key), None)
    if old is None:
        del rules[key]
    else:
        rules[key] = old


def _following(finer: Rule, before: Sequence[Rule], after: Mapping[tuple[str, Phase], Rule]) -> Rule:
    """A rule that looks at tools, with what now serves its model and phase, if it served that before."""
    old = next((rule for rule in before if (rule.model, rule.phase) == (finer.model, finer.phase)), None)
    new = after.get((finer.model, finer.phase))
    if old is None or new is None or finer.serve_when is not None or finer.spec_id != old.spec_id:
        return finer
    return finer.model_copy(update={name: getattr(new, name) for name in _SERVED})


def _same_effect(one: Rule, other: Rule) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _EFFECT)


def _has_threshold(advice: Recommendation, options: RuleOptions) -> bool:
    """Whether advice can be carried out. Without its threshold, a rule that escalates would serve everything."""
    asked = advice.requirements.calibration_id
    return asked is None or asked in options.serve_when


def _merge(
    key: tuple[str, Phase], old: Rule | None, advice: Sequence[Recommendation], spec: Spec | None, options: RuleOptions
) -> Rule | None:
    """The new rule of a model and phase; None if there is none and nothing asks for one."""
    base = old or Rule(rule_id=rule_id_of(*key), model=key[0], phase=key[1], allow=True)
    pinned = old is not None and old.source == "manual" and not options.override_manual
    gates = [] if pinned else [r for r in advice if _allows(r) is not None and _has_threshold(r, options)]
    warm = [r for r in advice if options.warm_up and _warms_up(r) is not None]
    update: dict[str, Any] = {}
    if gates:
        denials = [r for r in gates if _allows(r) is False]
        gates = denials or gates
        update["allow"] = not denials
        asked = next((r.requirements.calibration_id for r in gates if r.requirements.calibration_id), None)
        when = None if asked is None else options.serve_when[asked]
        if when is not None or denials or base.serve_when is None or base.source != "import":
            update["fallback"] = next((r.fallback for r in gates if r.fallback), None)
            update |= {"serve_when": when, "voided": None} if when != base.serve_when else {}
    elif not pinned and base.serve_when is not None and base.serve_when.calibration_id in options.broken:
        update["voided"] = Voided(kind="replies", calibration_id=base.serve_when.calibration_id, why=broken_text())
    if spec is not None and not (pinned and base.serve_when is not None):  # a threshold is of what it was measured with
        update |= {
            "variant": spec.variant,
            "spec_id": spec.spec_id,
            "limits": RuleLimits(
                timeout_s=spec.timeout_s, retries=spec.retries, context_size=spec.context_size, isolate=spec.isolate
            ),
            "warm_up": base.warm_up or (spec.warm_up.enabled and options.warm_up),
        }
    if warm:
        update["warm_up"] = _warms_up(warm[-1])
    if not update or (old is None and spec is None and not gates):
        return old  # a remedy alone permits nothing
    rule = base.model_copy(update=update)
    if old is not None and _same_effect(old, rule):
        return _with_confirmation(old, warm)
    synthetic = spec is not None and spec.spec_id in options.synthetic
    return rule.model_copy(update=_explanation(base, gates, warm, spec, pinned=pinned, synthetic=synthetic))


def _explanation(
    base: Rule,
    gates: Sequence[Recommendation],
    warm: Sequence[Recommendation],
    spec: Spec | None,
    *,
    pinned: bool,
    synthetic: bool,
) -> dict[str, Any]:
    """The reasons, source, ids and evidence of a rule.

    A new judgment on `allow` replaces everything. A new one on warm-up, or a new promotion,
    replaces the one before. Anything else is added.
    """
    used = (*gates, *warm)
    kept = not gates
    reasons = list(_reasons(base, but="warm_up" if warm else None)) if kept else []
    # A gate for a model that was measured with warm-up also asks for warm-up.
    reasons += [_told(r, "gate") for r in gates] + [_told(r, "warm_up") for r in warm if r not in gates]
    evidence = (base.evidence if kept else ()) + tuple(item for r in used for item in r.evidence)
    if spec is not None:
        text = served_text(spec, synthetic=synthetic)
        served = RuleReason(kind="promotion", text=text, ids=(spec.spec_id,), synthetic=synthetic)
        reasons = [*(reason for reason in reasons if reason.kind != "promotion"), served]
        evidence = (*(item for item in evidence if item != base.spec_id), spec.spec_id)
    ids = (base.recommendation_ids if kept else ()) + tuple(r.id for r in used)
    confirmation = _confirmation(warm) if warm else base.confirmation if kept else None
    return {
        "reasons": tuple(dict.fromkeys(reasons)),
        "reason": reason_text(reasons, confirmation),
        "confirmation": confirmation,
        "source": "manual" if pinned else "recommendation" if used else "promotion",
        "recommendation_ids": tuple(dict.fromkeys(ids)),
        "evidence": tuple(dict.fromkeys(evidence)),
    }


def _reasons(rule: Rule, *, but: ReasonKind | None = None) -> tuple[RuleReason, ...]:
    """The reasons of a rule, without those of one kind."""
    known = rule.reasons or ((RuleReason(kind="other", text=rule.reason),) if rule.reason else ())
    return tuple(reason for reason in known if reason.kind != but)


def _told(recommendation: Recommendation, kind: ReasonKind) -> RuleReason:
    ids = (recommendation.id, *recommendation.evidence)
    return RuleReason(kind=kind, text=recommendation.advice, ids=ids, synthetic=recommendation.synthetic)


def _confirmation(warm: Sequence[Recommendation]) -> Confirmation | None:
    """The newest confirmation of a warm-up."""
    return next((r.confirmation for r in reversed(warm) if r.confirmation is not None), None)


def _with_confirmation(rule: Rule, warm: Sequence[Recommendation]) -> Rule:
    """The rule with the newest confirmation of its warm-up."""
    advice = next((r for r in reversed(warm) if r.confirmation is not None), None)
    if rule.source == "manual" or advice is None or advice.confirmation is None:
        return rule
    known = rule.confirmation
    if known is not None and known.model_copy(update={"evidence": advice.confirmation.evidence}) == advice.confirmation:
        return rule
    update = {
        "confirmation": advice.confirmation,
        "reasons": _reasons(rule),
        "reason": reason_text(_reasons(rule), advice.confirmation),
        "recommendation_ids": tuple(dict.fromkeys((*rule.recommendation_ids, advice.id))),
        "evidence": tuple(dict.fromkeys((*rule.evidence, *advice.evidence))),
    }
    return rule.model_copy(update=update)


def _allows(recommendation: Recommendation) -> bool | None:
    """Whether a recommendation allows serving; None if it says nothing about it."""
    if recommendation.allow is not None:
        return recommendation.allow
    return {"allow": True, "disable": False}.get(recommendation.action)


def _warms_up(recommendation: Recommendation) -> bool | None:
    """Whether a recommendation asks for warm-up; None if it says nothing about it."""
    if recommendation.requirements.warm_up is not None:
        return recommendation.requirements.warm_up
    return True if recommendation.action == "enable_warm_up" else None
