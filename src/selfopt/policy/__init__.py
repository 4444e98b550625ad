"""Decides whether a candidate replaces the baseline, and records every figure and reason."""

from .check import CheckRace
from .check_exact import EXACT_SHARE, LEAST_RUNS, MOST_RUNS, answers_needed, least_runs, sample_size, varying_runs
from .check_plan import CheckPlan
from .check_tracks import MeanTrack, PromptTrack
from .confidence_fit import Judged, confidence_model
from .decide import best_hold, decide
from .gates import GATES, Gate, GateCase, Look
from .heldout import MIN_HELDOUT_PROMPTS, heldout_claim, heldout_settings, prompt_steps, prompt_test
from .race import Race, void_because
from .race_plan import BlockPlan, Draws
from .restraint import restraint_evidence
from .resume import PastRace, VoidEvidence, with_held_evidence
from .screening import FINALISTS, Rung, rungs
from .served import ServedTable
from .serving import Calibrated, Thresholds, calibrated, threshold_steps
from .spending import AlphaPlan, AlphaShare, Spender, heldout_family, next_share, search_family, shared_heldout_family

__all__ = [
    "EXACT_SHARE",
    "FINALISTS",
    "GATES",
    "LEAST_RUNS",
    "MIN_HELDOUT_PROMPTS",
    "MOST_RUNS",
    "AlphaPlan",
    "AlphaShare",
    "BlockPlan",
    "Calibrated",
    "CheckPlan",
    "CheckRace",
    "Draws",
    "Gate",
    "GateCase",
    "Judged",
    "Look",
    "MeanTrack",
    "PastRace",
    "PromptTrack",
    "Race",
    "Rung",
    "ServedTable",
    "Spender",
    "Thresholds",
    "VoidEvidence",
    "answers_needed",
    "best_hold",
    "calibrated",
    "confidence_model",
    "decide",
    "heldout_claim",
    "heldout_family",
    "heldout_settings",
    "least_runs",
    "next_share",
    "prompt_steps",
    "prompt_test",
    "restraint_evidence",
    "rungs",
    "sample_size",
    "search_family",
    "shared_heldout_family",
    "threshold_steps",
    "varying_runs",
    "void_because",
    "with_held_evidence",
]
