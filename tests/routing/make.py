"""Short ways to make the records that routing works on."""

from __future__ import annotations

from typing import Any

from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Phase,
    Recommendation,
    Requirements,
    RoutingConfig,
    Rule,
    ServedBound,
    ServeWhen,
    Spec,
    Variant,
    WarmUp,
)
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


def serve_when(calibration_id: str = "calibration-1", least: float = 0.8) -> ServeWhen:
    """A threshold that a calibration of 200 prompts found."""
    chance = ConfidenceTerms(intercept=0.0)
    bound = ServedBound(
        claim="these_tools", max_bad_share=0.1, confidence=0.95, n=200, tool_sets=10, served=100, bad=3, upper=0.076
    )
    return ServeWhen(
        calibration_id=calibration_id, model=ConfidenceModel(calls=chance, text=chance), least=least, bound=bound,
        fitted_on="suite-1 search", calibrated_on="suite-1 heldout", evidence_key="spec-1 env-1",
    )  # fmt: skip
