"""The cycle: composes the stages, tries candidates, and verifies what it enforced."""

from .begin import effective_baseline
from .contest import outcomes_of, shares_of
from .context import Listener, LoopContext, LoopEvent, Stages, Target
from .cycle import run_cycle
from .diagnosis import present_feedback
from .enforce import keep_feedback, served_specs, synthetic_specs
from .remedies import withdrawn_remedies
from .rollback import note_rollback, rollback_records
from .series import run_cycles
from .store import (
    baselines,
    current_baseline,
    evaluations,
    finished_cycles,
    newest_evaluation,
    plan_of,
    spec_by_id,
    unfinished_cycles,
)
from .taken_back import bans, lift_bans, withdrawn_specs

__all__ = [
    "Listener",
    "LoopContext",
    "LoopEvent",
    "Stages",
    "Target",
    "bans",
    "baselines",
    "current_baseline",
    "effective_baseline",
    "evaluations",
    "finished_cycles",
    "keep_feedback",
    "lift_bans",
    "newest_evaluation",
    "note_rollback",
    "outcomes_of",
    "plan_of",
    "present_feedback",
    "rollback_records",
    "run_cycle",
    "run_cycles",
    "served_specs",
    "shares_of",
    "spec_by_id",
    "synthetic_specs",
    "unfinished_cycles",
    "withdrawn_remedies",
    "withdrawn_specs",
]
