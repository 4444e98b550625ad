"""Decides which model serves a request: the one that was asked for, a fallback, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.home import escape_control
from selfopt.records import NO_TOOLS, Phase, RouteDecision, RoutingConfig, Rule, ToolOffer
from selfopt.words.rules import not_allowed_text, refusal_text


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """How rules are applied.

    Attributes:
        is_local: whether requests to a model stay on this machine. There is no default, because a
            wrong guess would send private prompts away.
        unmeasured: what happens to a model without a rule.
        allow_remote: whether a local model may fall back to a remote one.
        force: serve the named model, whatever the rules say.
        enabled: False switches enforcement off.
        one_name: gives one name for all of a model.
        exists: whether a model can be asked at all, as far as the settings tell.
    """

    is_local: Callable[[str], bool]
    unmeasured: Literal["allow", "refuse"] = "allow"
    allow_remote: bool = False
    force: bool = False
    enabled: bool = True
    one_name: Callable[[str], str] = str
    exists: Callable[[str], bool] = lambda _: True


def format_routed_line(original: str, served: str) -> str:
    """The log line for a request that a fallback serves."""
    return f"Routed from {escape_control(original, 200)} to {escape_control(served, 200)}"


def validate_model_phase_compatibility(
    config: RoutingConfig | None, model: str, phase: Phase, *, options: RouteOptions, tools: ToolOffer = NO_TOOLS
) -> RouteDecision:
    """What the rules say about a model and phase, for requests that offer these tools.

    The caller resolves aliases. All names of one model match its rule. The outcome is `forced` only if force
    overrides a rule. Nothing is written or logged (see `log_routing_decision`), and nothing is
    raised: a refusal is an outcome, and its reason says what to do.
    """
    rules = config if config is not None else RoutingConfig()
    rule = rules.rule_for(model, phase, options.one_name, tools)

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
    served, serving_rule, skipped = _follow(rules, rule, options, tools) if rule is not None else (None, None, ())
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


def _follow(
    rules: RoutingConfig, rule: Rule, options: RouteOptions, tools: ToolOffer
) -> tuple[str | None, Rule | None, tuple[str, ...]]:
    """Follows the fallbacks: the first model that may serve (or None), its rule, and who was
    skipped.
    """
    local = options.is_local(rule.model)
    seen, skipped = {options.one_name(rule.model)}, []
    name = rule.fallback
    while name is not None:
        if options.one_name(name) in seen:
            skipped.append(f"{name}: already tried")
            break
        seen.add(options.one_name(name))
        its_rule = rules.rule_for(name, rule.phase, options.one_name, tools)
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
    config: RoutingConfig,
    decision: RouteDecision,
    *,
    options: RouteOptions,
    candidates: Sequence[str] = (),
    tools: ToolOffer = NO_TOOLS,
) -> tuple[RouteDecision, ...]:
    """Who may serve, in order, if the decided model fails.

    The chain of its fallbacks comes first, then the candidates that a rule allows for this phase.
    If the request asked for a local model, a remote one needs consent. The caller fills in the
    reason.

    Returns:
        Nobody if enforcement is off, or if the request is refused or forced.
    """
    if not options.enabled or decision.model is None or decision.outcome == "forced":
        return ()
    found: list[RouteDecision] = []
    one_name = options.one_name
    seen = {one_name(decision.original_model), one_name(decision.model)}
    local = options.is_local(decision.original_model)
    chain = _chain(config, decision.serving_rule, one_name, tools)
    rules = {name: config.rule_for(name, decision.phase, one_name, tools) for name in (*chain, *candidates)}
    measured = [n for n in candidates if (known := rules[n]) is not None and known.allow]
    for name in (*chain, *measured):
        rule = rules[name]
        crosses = local and not options.is_local(name)
        denied = (rule is None and options.unmeasured == "refuse") or (rule is not None and not rule.allow)
        if one_name(name) in seen or denied or (crosses and not options.allow_remote):
            continue
        seen.add(one_name(name))
        update = {"outcome": "fallback", "model": name, "serving_rule": rule, "crosses_to_remote": crosses}
        found.append(decision.model_copy(update=update))
    return tuple(found)


def _chain(config: RoutingConfig, rule: Rule | None, one_name: Callable[[str], str], tools: ToolOffer) -> list[str]:
    """The fallback of a rule, the fallback of its rule, and so on."""
    names: list[str] = []
    while rule is not None and rule.fallback is not None and rule.fallback not in names:
        names.append(rule.fallback)
        rule = config.rule_for(rule.fallback, rule.phase, one_name, tools)
    return names
