"""Gates that decide whether a candidate replaces the baseline: promote, hold or reject, with every figure and reason."""

from .decide import decide
from .explain import BestHold, best_hold, deciding_gate, explain
from .gates import PLAIN_GATES, PLAIN_POLICY, Case, Gate, Policy
from .reasons import REASONS

__all__ = [
    "PLAIN_GATES",
    "PLAIN_POLICY",
    "REASONS",
    "BestHold",
    "Case",
    "Gate",
    "Policy",
    "best_hold",
    "decide",
    "deciding_gate",
    "explain",
]
