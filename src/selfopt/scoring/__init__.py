"""Tool calls against expectations -> outcome; outcomes -> metrics.

judge() gives one reply its outcome and the reason; compute_metrics() aggregates; trivial_policies() says what policies
that look at nothing would score; agent_counts() and the figures over their sums compare models. SCORER_HASH changes whenever
the same reply could be judged differently.
"""

from .agent import agent_counts, agent_score, argument_accuracy, call_accuracy, foreign_share, restraint
from .judge import SCORER_HASH, Judgment, judge
from .metrics import ScoredTrial, compute_metrics, trivial_policies

__all__ = [
    "SCORER_HASH",
    "Judgment",
    "ScoredTrial",
    "agent_counts",
    "agent_score",
    "argument_accuracy",
    "call_accuracy",
    "compute_metrics",
    "foreign_share",
    "judge",
    "restraint",
    "trivial_policies",
]
