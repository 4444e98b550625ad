"""Measure specs: trials, runs, supervision, blocks, evaluations. Everything is reached through Protocols of records."""

from .arena import Arena, judged_by, rendered
from .blocks import MeasureOptions, Reuse, measure_specs
from .budget import Budget, BudgetMeter
from .context import Backoff, Labels, MeasureContext, WarmUpCall
from .evaluate import EvaluationRequest, evaluate
from .executor import AsyncExecutor, Executor
from .progress import Progress, ProgressSink, ignore_progress
from .race_block import BlockOrder, BlockResult
from .race_evaluation import RaceTrials, evaluate_race
from .rescore import Rescored, rescore
from .resume import deliver, undelivered
from .show import ShownTrial, show_trial
from .supervisor import SuperviseOptions, SuperviseResult, run_suite, supervise
from .trial import JudgedTrial
from .unit import PassReport
from .warm_up_validation import ArmFigures, RunFigures, ValidateOptions, WarmUpValidation, validate_warm_up, validation_request

__all__ = [
    "Arena",
    "ArmFigures",
    "AsyncExecutor",
    "Backoff",
    "BlockOrder",
    "BlockResult",
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
    "RaceTrials",
    "Rescored",
    "Reuse",
    "RunFigures",
    "ShownTrial",
    "SuperviseOptions",
    "SuperviseResult",
    "ValidateOptions",
    "WarmUpCall",
    "WarmUpValidation",
    "deliver",
    "evaluate",
    "evaluate_race",
    "ignore_progress",
    "judged_by",
    "measure_specs",
    "rendered",
    "rescore",
    "run_suite",
    "show_trial",
    "supervise",
    "undelivered",
    "validate_warm_up",
    "validation_request",
]
