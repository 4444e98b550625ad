"""Short ways to make the records that routing works on."""

from __future__ import annotations

from typing import Any

from selfopt.records import Phase, Recommendation, Requirements, RoutingConfig, Rule, Spec, Variant, WarmUp
from selfopt.routing import RouteOptions, rule_id_of


def rule(model: str, *, allow: bool = True, phase: Phase = "extended", **fields: Any) -> Rule:
    return Rule(rule_id=rule_id_of(model, phase), model=model, phase=phase, allow=allow, **fields)


def config(*rules: Rule, version: int = 1) -> RoutingConfig:
    return RoutingConfig(version=version, rules=rules)


def options(**fields: Any) -> RouteOptions:
    return RouteOptions(**{"is_local": lambda model: not model.startswith("cloud/"), **fields})


def advice(number: int, model: str, *, phase: Phase = "extended", **fields: Any) -> Recommendation:
    body: dict[str, Any] = {"type": "phase_gate", "action": "disable", "reason": f"why {number}", "evidence": (f"run-{number}",)}
    return Recommendation(id=f"rec-{number}", model=model, phase=phase, **{**body, **fields})


def warm_up_advice(number: int, model: str, *, phase: Phase = "extended", on: bool = True) -> Recommendation:
    return advice(number, model, phase=phase, type="warm_up", action="enable_warm_up", requirements=Requirements(warm_up=on))


def spec(model: str, *, variant: str = "few_shot", phase: Phase = "extended", warm_up: bool = False) -> Spec:
    return Spec(
        endpoint="local", model=model, phase=phase, suite="extended", suite_hash="suite-1",
        variant=Variant(name=variant, tag=variant), timeout_s=30, retries=2, warm_up=WarmUp(enabled=warm_up),
    )  # fmt: skip
