"""What the specification's scripts need, under the specification's names."""

from __future__ import annotations

from selfopt.feedback import analyze, load_feedback
from selfopt.home import LockOwner, ProcessLock
from selfopt.loop import evaluations, finished_cycles, newest_evaluation
from selfopt.measure.supervisor import supervise
from selfopt.policy import decide
from selfopt.records import Cycle, Evaluation, Phase, RouteDecision
from selfopt.routing import (
    generate_routing_rules,
    log_routing_decision,
    read_config,
    routing_config_schema,
    validate_model_phase_compatibility,
)
from selfopt.settings import load_settings
from selfopt.suites import load_suite
from selfopt.wiring.app import App

__all__ = [
    "LockOwner",
    "ProcessLock",
    "analyze",
    "decide",
    "full_name",
    "generate_routing_rules",
    "kept_cycles",
    "kept_evaluations",
    "load_feedback",
    "load_settings",
    "load_suite",
    "log_routing_decision",
    "newest_by_spec",
    "read_config",
    "route_of",
    "routing_config_schema",
    "supervise",
    "unload",
    "validate_model_phase_compatibility",
]


def full_name(app: App, model: str) -> str:
    """Return the full name of a model as typed. UnknownModelError when no endpoint has it."""
    return app.resolve_model(model)


def kept_evaluations(app: App) -> list[Evaluation]:
    """Return the home's evaluations, oldest first. Empty when nothing was measured."""
    return evaluations(app.ledger) if app.has_ledger else []


def newest_by_spec(app: App, model: str, phase: Phase) -> list[Evaluation]:
    """Return the newest evaluation of each spec of a model and phase."""
    specs = dict.fromkeys(e.spec_id for e in kept_evaluations(app) if (e.model, e.phase) == (model, phase))
    return [e for e in (newest_evaluation(app.ledger, spec_id) for spec_id in specs) if e is not None]


def kept_cycles(app: App) -> list[Cycle]:
    """Return the finished cycles in order."""
    return finished_cycles(app.ledger)


def route_of(app: App, model: str, phase: Phase) -> RouteDecision:
    """Return what the rules in force say about a request. Logs nothing."""
    return validate_model_phase_compatibility(app.enforcer.load(), model, phase, options=app.route_options())


async def unload(app: App, model: str) -> bool:
    """Unload a model from its server's memory. Returns whether that worked."""
    return await app.sender.residency(model, asked=model).unload(app.sender.server_model(model))
