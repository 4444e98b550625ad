"""Several runs of one spec, supervised: warmed up once, watched, resumable, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.records import Evaluation, Prompt, Record, Spec, WarmUpResult, content_hash, new_id

from .arms import observed
from .budget import BudgetMeter
from .context import Desk, MeasureContext
from .options import MeasureOptions
from .resume import conclusion_of, open_groups, undelivered
from .unit import Unit, prompts_of


@dataclass(frozen=True, slots=True)
class SuperviseResult:
    """What came of it. status "stopped": a cap ended it, stop_reason says which, and the same call continues it.

    evaluation: over the complete passes, in the ledger only when status is "complete"; None when no pass was completed.
    warm_up: that of the first run, also when an earlier process made it.
    trials: committed by this process; resumed: taken over from earlier ones;
    abandoned: started by an earlier process, never committed, measured again.
    """

    spec_id: str
    group_id: str
    status: Literal["complete", "stopped"]
    stop_reason: str | None
    evaluation: Evaluation | None
    warm_up: WarmUpResult
    run_ids: tuple[str, ...]
    trials: int
    resumed: int
    abandoned: int


async def supervise(spec: Spec, *, context: MeasureContext, options: MeasureOptions | None = None) -> SuperviseResult:
    """Run a spec n times (7), or fewer when it is sampled to be deterministic.

    Raises EndpointError for what would befall every trial, StoreError when the ledger cannot be written, SuiteError when
    the suite is not the spec's. Cancelling leaves a state from which the same call continues. One supervisor at a time:
    the caller holds the lock of the home folder.
    """
    options = options or MeasureOptions()
    meter = options.meter or BudgetMeter(options.budget, context.clock)
    desk = Desk.of(context, meter)
    before = meter.trials
    async with desk.board.alive():
        unit = await Unit.open(desk, [spec], await _group(desk, spec, options), options)
        while await unit.advance():
            pass
        unfinished = unit.following() is not None
        # A group that was stopped stays open: only its conclusion, an evaluation that is kept, closes it.
        through: list[Record] = []
        if options.await_delivery and not unfinished:
            through = conclusion_of(context.ledger, unit.group_id, _request(unit.prompts, options, spec), context.now())
        evaluation = (await unit.conclude(keep=not unfinished, beside=through)).get(spec.spec_id)
    first = unit.first.runs
    return SuperviseResult(
        spec_id=spec.spec_id,
        group_id=unit.group_id,
        status="stopped" if unfinished else "complete",
        stop_reason=meter.stop_reason if unfinished else None,
        evaluation=evaluation,
        warm_up=first[0].warm_up if first else WarmUpResult(status="off"),
        run_ids=unit.run_ids(unit.purpose) + unit.run_ids("determinism"),
        trials=meter.trials - before,
        resumed=unit.resumed,
        abandoned=unit.abandoned,
    )


def _request(prompts: Sequence[Prompt], options: MeasureOptions, spec: Spec) -> str:
    """Hash of what was asked for, by which the same call is known again."""
    asked = [spec.spec_id, sorted(prompt.id for prompt in prompts), options.n_runs, options.sampling]
    return content_hash("supervise", asked)


async def _group(desk: Desk, spec: Spec, options: MeasureOptions) -> str:
    context = desk.context
    if options.labels.group_id is not None:
        return options.labels.group_id
    if options.resume:
        prompts = prompts_of(spec, context.suite_for(spec), options.limit)
        pending = undelivered(context.ledger, _request(prompts, options, spec)) if options.await_delivery else None
        groups = open_groups(context.ledger, spec, tuple(prompt.id for prompt in prompts), pending)
        if groups:
            present = await observed(desk, spec)
            for group_id, environment in groups:
                if environment is not None and environment.compatible_with(present):
                    return group_id
    return new_id("group")
