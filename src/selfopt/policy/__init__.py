"""Gates that decide whether a candidate replaces the baseline: promote, hold or reject, with every figure and reason."""

from .account import REMEDIES, Account, account
from .decide import decide
from .evidence import Advised, EvidenceGate, HeldoutGate, RestraintGate, evidence_figures, evidence_policy
from .explain import BestHold, best_hold, deciding_gate, explain
from .gates import PLAIN_GATES, PLAIN_POLICY, Case, Gate, Policy, is_exact
from .heldout import (
    CLAIM_LIKE_THESE,
    CLAIM_THIS_SUITE,
    MIN_HELDOUT_PROMPTS,
    heldout_claim,
    heldout_settings,
    prompt_steps,
    prompt_test,
)
from .options import EvidenceOptions
from .race import Race, void_because
from .race_plan import Ask, BlockPlan, Draws
from .reasons import REASONS
from .restraint import RestraintEvidence, restraint_evidence
from .resume import PastRace, VoidEvidence, with_held_evidence
from .spending import AlphaPlan, AlphaShare, heldout_family, next_share, search_family

__all__ = [
    "CLAIM_LIKE_THESE",
    "CLAIM_THIS_SUITE",
    "MIN_HELDOUT_PROMPTS",
    "PLAIN_GATES",
    "PLAIN_POLICY",
    "REASONS",
    "REMEDIES",
    "Account",
    "Advised",
    "AlphaPlan",
    "AlphaShare",
    "Ask",
    "BestHold",
    "BlockPlan",
    "Case",
    "Draws",
    "EvidenceGate",
    "EvidenceOptions",
    "Gate",
    "HeldoutGate",
    "PastRace",
    "Policy",
    "Race",
    "RestraintEvidence",
    "RestraintGate",
    "VoidEvidence",
    "account",
    "best_hold",
    "decide",
    "deciding_gate",
    "evidence_figures",
    "evidence_policy",
    "explain",
    "heldout_claim",
    "heldout_family",
    "heldout_settings",
    "is_exact",
    "next_share",
    "prompt_steps",
    "prompt_test",
    "restraint_evidence",
    "search_family",
    "void_because",
    "with_held_evidence",
]
