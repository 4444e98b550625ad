"""Measure specs: trials, runs, supervision, blocks, evaluations. Everything is reached through Protocols of records."""

from .blocks import MeasureOptions, Reuse, measure_specs
from .budget import Budget, BudgetMeter
from .context import Backoff, Labels, MeasureContext, WarmUpCall
from .evaluate import EvaluationRequest, evaluate
from .executor import AsyncExecutor, Executor
from .progress import Progress, ProgressSink, ignore_progress
from .rescore import Rescored, rescore
from .show import ShownTrial, show_trial
from .supervisor import SuperviseOptions, SuperviseResult, run_suite, supervise
from .trial import JudgedTrial
from .unit import PassReport
from .warm_up_validation import ArmFigures, RunFigures, ValidateOptions, WarmUpValidation, validate_warm_up

__all__ = [
    "ArmFigures",
    "AsyncExecutor",
    "Backoff",
    "Budget",
    "BudgetMeter",
    "EvaluationRequest",
    "Executor",
    "JudgedTrial",
    "Labels",
    "MeasureContext",
    "MeasureOptions",
    "PassReport",
    "Progress",
    "ProgressSink",
    "Rescored",
    "Reuse",
    "RunFigures",
    "ShownTrial",
    "SuperviseOptions",
    "SuperviseResult",
    "ValidateOptions",
    "WarmUpCall",
    "WarmUpValidation",
    "evaluate",
    "ignore_progress",
    "measure_specs",
    "rescore",
    "run_suite",
    "show_trial",
    "supervise",
    "validate_warm_up",
]
