"""The cycle: the composer of the stages; candidates, baseline, verification."""

from .context import LoopContext, LoopEvent, Target
from .cycle import effective_baseline, run_cycle
from .remedies import withdrawn_types
from .store import baselines, current_baseline, evaluations, finished_cycles, newest_evaluation, spec_by_id, unfinished_cycle

__all__ = [
    "LoopContext",
    "LoopEvent",
    "Target",
    "baselines",
    "current_baseline",
    "effective_baseline",
    "evaluations",
    "finished_cycles",
    "newest_evaluation",
    "run_cycle",
    "spec_by_id",
    "unfinished_cycle",
    "withdrawn_types",
]
