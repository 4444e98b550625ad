"""Tool calls against expectations -> outcome; outcomes -> metrics.

judge() gives one reply its outcome and the reason; compute_metrics() aggregates; trivial_policies() says what policies
that look at nothing would score. SCORER_HASH changes whenever the same reply could be judged differently.
"""

from .judge import SCORER_HASH, Judgment, judge
from .metrics import ScoredTrial, compute_metrics, trivial_policies

__all__ = ["SCORER_HASH", "Judgment", "ScoredTrial", "compute_metrics", "judge", "trivial_policies"]
