"""A baseline, a catalogue, and findings to propose for."""

from __future__ import annotations

from typing import Any

from selfopt.records import Finding, FindingKind, Sampling, SearchSpace, Spec, Variant
from tests.feedback.world import NOW

NAMES = (
    "native_api",
    "native_parsed",
    "restrained",
    "atomic",
    "extended",
    "few_shot",
    "constrained",
    "few_shot_constrained",
    "my_own",
)
VARIANTS = {name: Variant(name=name, tag=name, sampling=Sampling(max_tokens=160)) for name in NAMES}
BASE = Spec(endpoint="local", model="local/small", phase="atomic", suite="atomic", suite_hash="s", variant=VARIANTS["native_api"])
SPACE = SearchSpace(VARIANTS)
SHARE = {"of": 10, "share": 0.5}
FIGURES: dict[FindingKind, dict[str, Any]] = {
    "cold_start": {
        **{"prompts": 4, "of": 8, "failures": 8, "p_value": 0.01, "example": "FFPPPPP", "loads": 2, "waited": 0, "called": 8},
        **{"loads_in_cold_runs": 2, "no_load_in_cold_runs": 0},
    },
    "capability_limit": {
        **{
            "accuracy": 0.2,
            "upper_bound": 0.4,
            "confidence": 0.95,
            "minimum": 0.8,
            "n": 20,
            "faults": 0,
            "cold_start_failures": 0,
        },
        **{"mute": 0, "wrong_share": 0.0, "uncalled_for_share": 0.0, "missed_share": 0.0},
    },
    "mixed_capability": {
        **{"calibration_id": "calibration-1", "n": 200, "served": 100, "bad": 3, "upper": 0.076, "confidence": 0.95},
        **{"max_bad_share": 0.1, "tool_sets": 5, "unserved": 1},
    },
    "flaky": {"prompts": 1, "of": 8, "variance": 0.1, "example": "PFP"},
    "unread_format": {"unparsed": 5, "format": "fenced json", **SHARE},
    "call_in_thinking": {"thought": 5, **SHARE},
    "truncation": {"truncated": 5, "calls_right": 3, **SHARE},
    "drift": {"before": 1.0, "after": 0.5, "drop": 0.5},
    "ceiling": {"n": 8, "runs": 1},
    "refused": {"cause": "no_tools", "refused": 1, "said": "400: m does not support tools", **SHARE},
    "infrastructure": {"errors": 1, "timeouts": 1, **SHARE},
    "other": {"cause": "too chatty", "median_output_tokens": 900.0},
}
SLOW = {"case": "latency", "first_call_ms": 900.0, "p50_ms": 70.0, "load_ms": 830.0, "evaluations": 1}


def finding(kind: FindingKind, **figures: Any) -> Finding:
    """A finding with these figures, and any others that its kind has."""
    whole = SLOW if figures.get("case") == "latency" else FIGURES[kind] | figures
    return Finding.model_validate(
        {
            "finding_id": kind,
            "type": kind,
            "model": BASE.model,
            "phase": "atomic",
            "spec_id": BASE.spec_id,
            "summary": kind,
            "figures": whole,
            "at": NOW,
        }
    )
