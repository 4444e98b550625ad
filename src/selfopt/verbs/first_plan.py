"""How much a quickstart measures: as much as the machine manages within the time that it promises.

Everything here is arithmetic. `quickstart` measures the pace and does what the plan says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

LIMIT_S = 360.0
"""What a quickstart takes at most, without its downloads."""
_RESERVE_S = 20.0  # for the requests under the rules, and the reports
_VALIDATION_TRIALS = 8  # of one prompt of one model, cold and warm
_RELOAD_S = 1.0
_ASKING = 0.75  # the share of candidates that ask anything; the others read the same replies in another way

Step = Literal["cycle_1", "cycle_2", "extended", "warm_up"]
STEPS: tuple[Step, ...] = ("cycle_1", "cycle_2", "extended", "warm_up")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a model is on this machine, in tokens a second."""

    reads: float
    writes: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        prompts: single requests of each model.
        sample: how many of them are repeated in isolation, which tells whether replies repeat
            themselves.
        candidates: of each model, at most.
        conversations: of each model; 0 leaves this step out.
        warm_ups: how many models, the smallest first, show what a warm-up is worth.
        models: how many are measured, the smallest first.
    """

    prompts: int
    sample: int
    candidates: int
    conversations: int
    warm_ups: int
    models: int = 2


LADDER = (
    Plan(12, 4, 2, 18, 2),
    Plan(12, 4, 2, 18, 1),
    Plan(12, 2, 2, 18, 1),
    Plan(12, 2, 2, 9, 1),
    Plan(12, 2, 2, 9, 0),
    Plan(12, 2, 2, 6, 0),
    Plan(8, 2, 2, 6, 0),
    Plan(6, 2, 2, 6, 0),
    Plan(6, 2, 2, 0, 0),
    Plan(6, 1, 2, 0, 0),
    Plan(6, 1, 2, 0, 0, models=1),
)
"""The plans, the whole one first. What tells least for its time goes first."""


@dataclass(frozen=True, slots=True)
class _Work:
    """Tokens of a trial: read when nothing is cached, read after others like it, and written."""

    cold: int
    read: int
    written: int


# Medians of whole quickstarts on both models.
_FIRST, _TRIED, _TALK = _Work(570, 40, 60), _Work(850, 130, 40), _Work(460, 195, 80)


def _pass(work: _Work, pace: Pace, trials: int, cold: int) -> float:
    """The seconds of so many trials, of which some find nothing cached."""
    read = work.read * (trials - cold) + work.cold * cold
    return read / pace.reads + trials * work.written / pace.writes


def _model_seconds(plan: Plan, step: Step, pace: Pace) -> float:
    repeated = plan.sample
    match step:
        case "cycle_1":
            first = _pass(_FIRST, pace, plan.prompts + repeated, repeated + 1)
            return first + _ASKING * plan.candidates * _pass(_TRIED, pace, plan.prompts + repeated, repeated + 1)
        case "cycle_2":
            return _pass(_TRIED, pace, plan.prompts, 1)
        case "extended":
            return _pass(_TALK, pace, plan.conversations + repeated, repeated + 1) if plan.conversations else 0.0
        case "warm_up":
            return _pass(_TRIED, pace, _VALIDATION_TRIALS, _VALIDATION_TRIALS) + _VALIDATION_TRIALS * _RELOAD_S


def seconds(plan: Plan, paces: Sequence[Pace], steps: Sequence[Step] = STEPS) -> float:
    """About how long these steps take, for all models together.

    paces: of each model, the smallest first.
    """
    return sum(
        _model_seconds(plan, step, pace)
        for step in steps
        for pace in paces[: plan.warm_ups if step == "warm_up" else plan.models]
    )


def at_pace(paces: Sequence[Pace], factor: float) -> tuple[Pace, ...]:
    """The paces of a machine that takes so many times as long as these say, within reason."""
    within = min(10.0, max(0.3, factor))
    return tuple(Pace(p.reads / within, p.writes / within) for p in paces)


def choose(paces: Sequence[Pace], spent_s: float, whole: Plan, begun: Plan | None = None, steps: Sequence[Step] = STEPS) -> Plan:
    """The largest plan whose remaining steps fit into what is left of the time.

    The smallest one where none fits. Without paces, the largest.

    Args:
        whole: what there is to measure at most.
        begun: the plan so far. What its first cycle measures stays, and so do the conversations once
            their step is over.
        steps: those that are left.
    """
    rungs = [whole, *(_within(rung, whole) for rung in LADDER)]
    if begun is not None:
        names = ("prompts", "candidates", "sample", "models", *(() if "extended" in steps else ("conversations",)))
        kept = {name: getattr(begun, name) for name in names}
        rungs = [replace(rung, **kept, warm_ups=min(rung.warm_ups, begun.models)) for rung in rungs]
    left_s = LIMIT_S - _RESERVE_S - spent_s
    return next((rung for rung in rungs if not paces or seconds(rung, paces, steps) <= left_s), rungs[-1])


def _within(plan: Plan, most: Plan) -> Plan:
    return Plan(
        min(plan.prompts, most.prompts),
        min(plan.sample, most.sample),
        min(plan.candidates, most.candidates),
        min(plan.conversations, most.conversations),
        min(plan.warm_ups, most.warm_ups),
        min(plan.models, most.models),
    )
