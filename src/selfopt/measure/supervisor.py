"""Runs one spec several times: warmed up once, watched, resumable, under caps."""

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
    """The result of supervised runs.

    Attributes:
        status: "stopped" when a cap ended the measurement. The same call continues it.
        stop_reason: the cap.
        evaluation: over the complete passes; None when there is none. It is in the ledger only when
            the status is "complete".
        warm_up: that of the first run, even if an earlier process made it.
        trials: how many this process committed.
        resumed: how many were taken over from earlier processes.
        abandoned: how many earlier processes started but never committed. They are measured again.
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
    """Run a spec n times, or less often when a sample shows that it is deterministic.

    When it is cancelled, the same call continues it. The caller holds the lock of the home folder,
    so that there is one supervisor at a time.

    Raises:
        EndpointError: an error that every trial would meet.
        StoreError: the ledger cannot be written.
        SuiteError: the suite is not the spec's.
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
        # A group that was stopped stays open until an evaluation of it is stored.
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
    """Hash of what was asked for. It recognises the same call."""
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
