"""Judges tool calls against expectations, and aggregates the outcomes into metrics.

- `scorer_of(suite.judging)` gives the rules for the replies to a suite, and the hash of its
  verdicts.
- `compute_metrics()` aggregates outcomes.
- `trivial_policies()` computes what policies that look at nothing would score.
- `agent_counts()` and the figures over their sums compare models.
"""

from .agent import agent_counts, agent_score, argument_accuracy, call_accuracy, foreign_share, restraint
from .judge import Scored
from .metrics import ScoredTrial, compute_metrics, trivial_policies
from .scorer import Scorer, scorer_of

__all__ = [
    "Scored",
    "ScoredTrial",
    "Scorer",
    "agent_counts",
    "agent_score",
    "argument_accuracy",
    "call_accuracy",
    "compute_metrics",
    "foreign_share",
    "restraint",
    "scorer_of",
    "trivial_policies",
]
