"""Rules: which model may serve which phase, who decided it, why, and how to undo it."""

from .by_hand import HandRule
from .changes import RuleChange, check_rules, diff, fallback_cycle, merged, rule_id_of
from .enforcer import STEPS, Enforcer, RuleTrace
from .finer import check_escalations, check_finer
from .holding import THRESHOLD_VOID, ThresholdsHeld, void_event, voided_by
from .imports import imported_rules
from .in_force import InForce
from .matching import RouteOptions, format_routed_line, standby_decisions, validate_model_phase_compatibility
from .rules import RuleOptions, generate_routing_rules
from .store import SCHEMA_PATH, read_config, routing_config_schema
from .trail import differing_log, event_of, log_routing_decision, render_log
from .verifying import RulesReport
from .versions import VersionEntry, version_records

__all__ = [
    "SCHEMA_PATH",
    "STEPS",
    "THRESHOLD_VOID",
    "Enforcer",
    "HandRule",
    "InForce",
    "RouteOptions",
    "RuleChange",
    "RuleOptions",
    "RuleTrace",
    "RulesReport",
    "ThresholdsHeld",
    "VersionEntry",
    "check_escalations",
    "check_finer",
    "check_rules",
    "diff",
    "differing_log",
    "event_of",
    "fallback_cycle",
    "format_routed_line",
    "generate_routing_rules",
    "imported_rules",
    "log_routing_decision",
    "merged",
    "read_config",
    "render_log",
    "routing_config_schema",
    "rule_id_of",
    "standby_decisions",
    "validate_model_phase_compatibility",
    "version_records",
    "void_event",
    "voided_by",
]
