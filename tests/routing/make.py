"""Short ways to make the records that routing works on."""

from __future__ import annotations

from typing import Any

from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    Phase,
    Recommendation,
    Requirements,
    RoutingConfig,
    Rule,
    ServedBound,
    ServeWhen,
    Spec,
    ToolMatch,
    Variant,
    WarmUp,
    evidence_key,
)
from selfopt.routing import RouteOptions, rule_id_of


def rule(model: str, *, allow: bool = True, phase: Phase = "extended", when: ToolMatch | None = None, **fields: Any) -> Rule:
    return Rule(rule_id=rule_id_of(model, phase, when), model=model, phase=phase, allow=allow, when=when, **fields)


def environment(**fields: Any) -> Environment:
    return Environment(
        **{"endpoint": "a", "model": "a/1", "digest": "sha256:1", "engine": "llama.cpp", "engine_build": "b1", **fields}
    )


def surely(calibration_id: str = "calibration-1", *, spec_id: str = "spec-1", **fields: Any) -> ServeWhen:
    """A threshold that holds for a spec in `environment()`."""
    bound = ServedBound(
        claim="these_tools", max_bad_share=0.1, confidence=0.95, n=200, tool_sets=3, served=120, bad=5, upper=0.0857
    )
    some: dict[str, Any] = {
        "model": ConfidenceModel(calls=ConfidenceTerms(intercept=0), text=ConfidenceTerms(intercept=0)),
        "least": 0.83,
        "bound": bound,
        "fitted_on": "fit (suite-1)",
        "calibrated_on": "own (suite-2)",
        "evidence_key": evidence_key(spec_id, environment()),
        "environment": environment(),
    }
    return ServeWhen(calibration_id=calibration_id, **{**some, **fields})


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
