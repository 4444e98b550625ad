"""The composition root and the verbs: what commands, the Python API and the quickstart call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfopt.lazy import at_first_use

if TYPE_CHECKING:
    from selfopt.loop import LoopEvent, Target
    from selfopt.measure import Progress, ShownTrial, WarmUpValidation
    from selfopt.suites import SuiteWarning

    from .app import App
    from .bfcl import import_bfcl_suites, pull_bfcl_suites
    from .comparing import CompareRequest, compare_models, installed_ollama_models
    from .diagnosing import (
        Decided,
        Rescoring,
        decide_candidates,
        explained_decision,
        make_feedback,
        require_ledger,
        rescore_runs,
        shown_faults,
        shown_trial,
        standing_evaluations,
        warm_up_texts,
    )
    from .doctor import diagnose_installation, settings_in_use
    from .evidence import faults_of, verify_ledger
    from .foretelling import CycleForecast, RaceOdds
    from .inspecting import serve_script
    from .keys import add_key, list_keys, revoke_key
    from .looping import CyclePreview, parse_target, preview, roll_back_rules, run_loop
    from .making import MadeSuite, import_jsonl, import_promptfoo, new_suite
    from .measuring import Measured, MeasureRequest, measure_model, phase_of, route
    from .models import fetch_model, list_models, model_status, pull_model, remove_model
    from .quickstart import QuickstartResult, ServedLine, as_document, plan_lines, quickstart_home, run_quickstart
    from .reporting import differing_renderings, write_artefacts
    from .reviewing import AddedPrompts, add_from_ledger
    from .rules import (
        Enforced,
        Traced,
        audit_records,
        enforce_file,
        import_routes,
        set_route,
        trace_rule,
    )
    from .serving import serve
    from .simulating import simulate_worlds
    from .suites import SuiteCheck, check_suite, suite_document, suite_problems, suite_summaries, suite_warnings
    from .tools import load_tools, read_tools, tools_label
    from .trusting import TrustProposal, TrustRow, accept_trust, propose_trust, trusted_folders, withdraw_trust
    from .trying import Tried, render_variant, try_model
    from .verifying import HomeReport, Part, anchor_of, audit_anchor, verify_audit, verify_home, verify_requests
    from .warming import WarmUpShown, validate_model_warm_up, validate_under_rules
    from .words import audit_line, call_text, decision_lines, expected_text, tool_text, variant_lines

__all__ = [
    "AddedPrompts",
    "App",
    "CompareRequest",
    "CycleForecast",
    "CyclePreview",
    "Decided",
    "Enforced",
    "HomeReport",
    "LoopEvent",
    "MadeSuite",
    "MeasureRequest",
    "Measured",
    "Part",
    "Progress",
    "QuickstartResult",
    "RaceOdds",
    "Rescoring",
    "ServedLine",
    "ShownTrial",
    "SuiteCheck",
    "SuiteWarning",
    "Target",
    "Traced",
    "Tried",
    "TrustProposal",
    "TrustRow",
    "WarmUpShown",
    "WarmUpValidation",
    "accept_trust",
    "add_from_ledger",
    "add_key",
    "anchor_of",
    "as_document",
    "audit_anchor",
    "audit_line",
    "audit_records",
    "call_text",
    "check_suite",
    "compare_models",
    "decide_candidates",
    "decision_lines",
    "diagnose_installation",
    "differing_renderings",
    "enforce_file",
    "expected_text",
    "explained_decision",
    "faults_of",
    "fetch_model",
    "import_bfcl_suites",
    "import_jsonl",
    "import_promptfoo",
    "import_routes",
    "installed_ollama_models",
    "list_keys",
    "list_models",
    "load_tools",
    "make_feedback",
    "measure_model",
    "model_status",
    "new_suite",
    "parse_target",
    "phase_of",
    "plan_lines",
    "preview",
    "propose_trust",
    "pull_bfcl_suites",
    "pull_model",
    "quickstart_home",
    "read_tools",
    "remove_model",
    "render_variant",
    "require_ledger",
    "rescore_runs",
    "revoke_key",
    "roll_back_rules",
    "route",
    "run_loop",
    "run_quickstart",
    "serve",
    "serve_script",
    "set_route",
    "settings_in_use",
    "shown_faults",
    "shown_trial",
    "simulate_worlds",
    "standing_evaluations",
    "suite_document",
    "suite_problems",
    "suite_summaries",
    "suite_warnings",
    "tool_text",
    "tools_label",
    "trace_rule",
    "trusted_folders",
    "try_model",
    "validate_model_warm_up",
    "validate_under_rules",
    "variant_lines",
    "verify_audit",
    "verify_home",
    "verify_ledger",
    "verify_requests",
    "warm_up_texts",
    "withdraw_trust",
    "write_artefacts",
]

# A command loads only the files that it calls: `serve` is to be ready within a second, and the loop's files take one themselves.
__getattr__ = at_first_use(
    __name__,
    {
        "selfopt.loop": "LoopEvent Target",
        "selfopt.measure": "Progress ShownTrial WarmUpValidation",
        "selfopt.suites": "SuiteWarning",
        ".app": "App",
        ".bfcl": "import_bfcl_suites pull_bfcl_suites",
        ".comparing": "CompareRequest compare_models installed_ollama_models",
        ".diagnosing": "Decided Rescoring decide_candidates explained_decision make_feedback require_ledger rescore_runs shown_faults shown_trial standing_evaluations warm_up_texts",
        ".doctor": "diagnose_installation settings_in_use",
        ".evidence": "faults_of verify_ledger",
        ".foretelling": "CycleForecast RaceOdds",
        ".inspecting": "serve_script",
        ".keys": "add_key list_keys revoke_key",
        ".looping": "CyclePreview parse_target preview roll_back_rules run_loop",
        ".making": "MadeSuite import_jsonl import_promptfoo new_suite",
        ".measuring": "Measured MeasureRequest measure_model phase_of route",
        ".models": "fetch_model list_models model_status pull_model remove_model",
        ".quickstart": "QuickstartResult ServedLine as_document plan_lines quickstart_home run_quickstart",
        ".reporting": "differing_renderings write_artefacts",
        ".reviewing": "AddedPrompts add_from_ledger",
        ".rules": "Enforced Traced audit_records enforce_file import_routes set_route trace_rule",
        ".serving": "serve",
        ".simulating": "simulate_worlds",
        ".suites": "SuiteCheck check_suite suite_document suite_problems suite_summaries suite_warnings",
        ".tools": "load_tools read_tools tools_label",
        ".trusting": "TrustProposal TrustRow accept_trust propose_trust trusted_folders withdraw_trust",
        ".trying": "Tried render_variant try_model",
        ".verifying": "HomeReport Part anchor_of audit_anchor verify_audit verify_home verify_requests",
        ".warming": "WarmUpShown validate_model_warm_up validate_under_rules",
        ".words": "audit_line call_text decision_lines expected_text tool_text variant_lines",
    },
)
