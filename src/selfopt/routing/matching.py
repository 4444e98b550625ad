"""Which model serves a request: exactly as asked, a fallback, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.home import escape_control
from selfopt.records import Phase, RouteDecision, RoutingConfig, Rule
from selfopt.words.rules import not_allowed_text, refusal_text


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """How rules are applied.

    is_local: whether a model's requests stay on this machine (no default: a wrong guess would send private prompts away).
    unmeasured: what happens to a model that has no rule. allow_remote: a local model may fall back to a remote one. force:
    serve the named model whatever the rules say. enabled: False switches enforcement off.
    """

    is_local: Callable[[str], bool]
    unmeasured: Literal["allow", "refuse"] = "allow"
    allow_remote: bool = False
    force: bool = False
    enabled: bool = True


def format_routed_line(original: str, served: str) -> str:
    """The line that is logged when a fallback serves."""
    return f"Routed from {escape_control(original, 200)} to {escape_control(served, 200)}"


def validate_model_phase_compatibility(
    config: RoutingConfig | None, model: str, phase: Phase, *, options: RouteOptions
) -> RouteDecision:
    """What the rules say about this model and phase. Names match exactly: aliases are resolved by the caller.

    `forced` is only said where force overrides a rule; a model that may serve anyway is `allow`. Writes and logs nothing: see
    `log_routing_decision`. Never raises; a refusal is an outcome whose reason says what to do.
    """
    rules = config if config is not None else RoutingConfig()
    rule = rules.rule_for(model, phase)

    def decided(outcome: Literal["allow", "refuse", "forced"], reason: str, skipped: tuple[str, ...] = ()) -> RouteDecision:
        return RouteDecision(
            outcome=outcome,
            original_model=model,
            model=None if outcome == "refuse" else model,
            phase=phase,
            rule=rule,
            serving_rule=None if outcome == "refuse" else rule,
            config_version=rules.version,
            reason=reason,
            skipped=skipped,
        )

    if not options.enabled:
        return decided("allow", "enforcement is switched off")
    if rule is None and options.unmeasured == "allow":
        return decided("allow", "no rule for this model and phase; unmeasured models are allowed")
    if rule is not None and rule.allow:
        return decided("allow", rule.reason or "allowed by its rule")
    if options.force:
        return decided("forced", f"forced: {not_allowed_text(model, phase, rule)}")
    served, serving_rule, skipped = _follow(rules, rule, options) if rule is not None else (None, None, ())
    if served is None:
        return decided("refuse", refusal_text(model, phase, rule, skipped), skipped)
    crosses = options.is_local(model) and not options.is_local(served)
    return RouteDecision(
        outcome="fallback",
        original_model=model,
        model=served,
        phase=phase,
        rule=rule,
        serving_rule=serving_rule,
        config_version=rules.version,
        reason=not_allowed_text(model, phase, rule) + ("; leaves this machine, as allow_remote permits" if crosses else ""),
        skipped=skipped,
        crosses_to_remote=crosses,
    )


def _follow(rules: RoutingConfig, rule: Rule, options: RouteOptions) -> tuple[str | None, Rule | None, tuple[str, ...]]:
    """(the model that may serve or None, its rule, the fallbacks skipped with the reason), along the chain of fallbacks."""
    local = options.is_local(rule.model)
    seen, skipped = {rule.model}, []
    name = rule.fallback
    while name is not None:
        if name in seen:
            skipped.append(f"{name}: already tried")
            break
        seen.add(name)
        its_rule = rules.rule_for(name, rule.phase)
        problem = ""
        if its_rule is not None and not its_rule.allow:
            problem = f"not allowed for {rule.phase}"
        elif its_rule is None and options.unmeasured == "refuse":
            problem = f"not measured on {rule.phase}"
        elif local and not options.is_local(name) and not options.allow_remote:
            problem = "remote, and allow_remote is off"
        if not problem:
            return name, its_rule, tuple(skipped)
        skipped.append(f"{name}: {problem}")
        name = its_rule.fallback if its_rule is not None else None
    return None, None, tuple(skipped)


def standby_decisions(
    config: RoutingConfig, decision: RouteDecision, *, options: RouteOptions, candidates: Sequence[str] = ()
) -> tuple[RouteDecision, ...]:
    """Who may serve instead when the decided model fails, in order: the fallback that its rule names and theirs, then those
    candidates that a rule allows for this phase (they were measured on it). The reason is for the caller to fill in.

    Nobody when enforcement is off or the request is refused or forced. A local model asked for is not followed by a remote one without consent.
    """
    if not options.enabled or decision.model is None or decision.outcome == "forced":
        return ()
    found: list[RouteDecision] = []
    seen = {decision.original_model, decision.model}
    local = options.is_local(decision.original_model)
    chain = _chain(config, decision.serving_rule)
    measured = [n for n in candidates if (rule := config.rule_for(n, decision.phase)) is not None and rule.allow]
    for name in (*chain, *measured):
        rule = config.rule_for(name, decision.phase)
        crosses = local and not options.is_local(name)
        denied = (rule is None and options.unmeasured == "refuse") or (rule is not None and not rule.allow)
        if name in seen or denied or (crosses and not options.allow_remote):
            continue
        seen.add(name)
        update = {"outcome": "fallback", "model": name, "serving_rule": rule, "crosses_to_remote": crosses}
        found.append(decision.model_copy(update=update))
    return tuple(found)


def _chain(config: RoutingConfig, rule: Rule | None) -> list[str]:
    """The fallback that a rule names, the one that its rule names, and so on."""
    names: list[str] = []
    while rule is not None and rule.fallback is not None and rule.fallback not in names:
        names.append(rule.fallback)
        rule = config.rule_for(rule.fallback, rule.phase)
    return names
