"""Loads models and warms them up before anything is scored."""

from .process import WarmUpAnswer, WarmUpJob, run_job, warm_up_separately
from .warm_up import WARM_UP_PROMPT, Resident, ensure_resident, warm_up

__all__ = [
    "WARM_UP_PROMPT",
    "Resident",
    "WarmUpAnswer",
    "WarmUpJob",
    "ensure_resident",
    "run_job",
    "warm_up",
    "warm_up_separately",
]
