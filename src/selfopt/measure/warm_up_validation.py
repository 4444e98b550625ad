"""Measures what warm-up is worth: cold runs (after a forced unload) against warm ones."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from selfopt.errors import EndpointError
from selfopt.records import (
    Evaluation,
    LoadEvidence,
    Purpose,
    Record,
    Spec,
    Trial,
    WarmUpExperiment,
    WarmUpResult,
    content_hash,
    new_id,
)

from .budget import BudgetMeter
from .context import Desk, Labels, MeasureContext
from .options import MeasureOptions
from .reload_experiment import ReloadRuns, reload_experiment
from .resume import conclusion_of
from .unit import Unit


class RunFigures(Record):
    """One run of one arm.

    Attributes:
        first_call_ms: latency of the first scored trial.
        first_call_load: its load evidence.
        residency_before: state of the model just before the run.
        unloaded: whether the forced unload took place; None when none was asked for.
    """

    run_id: str
    run_index: int
    accuracy: float
    first_call_ms: float
    first_call_load: LoadEvidence
    residency_before: str
    unloaded: bool | None = None
    warm_up: WarmUpResult


class ArmFigures(Record):
    """One arm.

    Attributes:
        accuracies: by run.
        variance: of the accuracies (population form).
        first_call_ms: median over the runs.
        rows: outcomes by prompt id as letters in the order of time, such as FFPPPPP.
    """

    spec_id: str
    evaluation_id: str | None
    accuracy: float
    accuracies: tuple[float, ...]
    variance: float
    first_call_ms: float
    rows: dict[str, str]
    runs: tuple[RunFigures, ...]


class WarmUpValidation(Record):
    """The result of a warm-up validation.

    Attributes:
        status: "stopped" when a cap ended it; the figures are then over the runs there are.
        forced_unload: whether every unload that was asked for took place. Otherwise the cold arm
            was not cold.
        before, after: accuracy of the cold arm and of the warm one.
        experiment: what the arms prove; None when they did not alternate or are not complete.
    """

    model: str
    phase: str
    variant: str
    status: Literal["complete", "stopped"]
    stop_reason: str | None = None
    unload: UnloadWhen
    forced_unload: bool
    before: float
    after: float
    improvement: float
    variance_before: float
    variance_after: float
    first_call_before_ms: float
    first_call_after_ms: float
    cold: ArmFigures
    warm: ArmFigures
    experiment: WarmUpExperiment | None = None


UnloadWhen = Literal["each_run", "once_per_arm"]
"""When the model is unloaded.

each_run: cold and warm runs alternate, with a forced unload before each cold run and a warm-up
before each warm one. once_per_arm: one arm after the other, with an unload before the first run of
each arm and a warm-up before the first warm run.
"""


async def validate_warm_up(
    spec: Spec,
    *,
    context: MeasureContext,
    options: MeasureOptions | None = None,
    unload: UnloadWhen = "each_run",
    suspected: Sequence[str] = (),
) -> WarmUpValidation | None:
    """Measure a spec cold (warm-up off) and warm (warm-up on), in n_runs each.

    Args:
        options: labels.group_id makes the validation resumable.
        unload: when the model is unloaded.
        suspected: prompts that a finding named as hit by cold starts before the experiment.

    Returns:
        None when a cap left an arm without a whole run.

    Raises:
        Whatever `supervise` raises.
    """
    options = options or MeasureOptions()
    meter = options.meter or BudgetMeter(options.budget, context.clock)
    desk = Desk.of(context, meter)
    async with desk.board.alive():
        arms = _Arms(desk, spec, options, unload, suspected)
        await arms.open()
        await arms.run()
        cold, warm = await arms.figures(arms.cold), await arms.figures(arms.warm)
        experiment = await arms.experiment(cold, warm)
    if cold is None or warm is None:
        return None
    asked = [run.unloaded for run in (*cold.runs, *warm.runs) if run.unloaded is not None]
    return WarmUpValidation(
        model=spec.model,
        phase=spec.phase,
        variant=spec.variant.name,
        status="complete" if arms.through else "stopped",
        stop_reason=None if arms.through else meter.stop_reason,
        unload=unload,
        forced_unload=bool(asked) and all(asked),
        before=cold.accuracy,
        after=warm.accuracy,
        improvement=warm.accuracy - cold.accuracy,
        variance_before=cold.variance,
        variance_after=warm.variance,
        first_call_before_ms=cold.first_call_ms,
        first_call_after_ms=warm.first_call_ms,
        cold=cold,
        warm=warm,
        experiment=experiment,
    )


def validation_request(spec: Spec, options: MeasureOptions, unload: UnloadWhen) -> str:
    """Hash of what was asked for. It recognises the same call; see `undelivered`."""
    return content_hash("validate", [spec.spec_id, options.n_runs, unload, options.limit])


class _Arms:
    """Both arms of a validation under way."""

    cold: Unit
    warm: Unit

    def __init__(self, desk: Desk, spec: Spec, options: MeasureOptions, unload: UnloadWhen, suspected: Sequence[str]) -> None:
        self._desk = desk
        self._spec = spec
        self._options = options
        self._each = unload == "each_run"
        self._suspected = suspected
        self._group = options.labels.group_id or new_id("group")
        self._request = validation_request(spec, options, unload)
        self._unloads: dict[tuple[str, int], bool] = {}
        self._evaluations: dict[str, Evaluation] = {}

    async def open(self) -> None:
        """Read what the ledger has of both arms."""
        self.cold = await self._open("warm_up_cold", enabled=False)
        self.warm = await self._open("warm_up_warm", enabled=True)

    async def _open(self, purpose: Purpose, *, enabled: bool) -> Unit:
        arm = self._spec.model_copy(update={"warm_up": self._spec.warm_up.model_copy(update={"enabled": enabled})})
        said = self._options.labels
        labels = Labels(self._group, said.requested_model, said.cycle_id, purpose=purpose)
        options = replace(self._options, sampling=False, order="file", labels=labels)
        return await Unit.open(
            self._desk,
            [arm],
            f"{self._group}/{purpose}",
            options,
            before_pass=self._unload,
            warm_up_each=enabled and self._each,
        )

    @property
    def through(self) -> bool:
        """Whether both arms have all their runs."""
        return self.cold.following() is None and self.warm.following() is None

    async def run(self) -> None:
        """Alternate between the arms, another one first in each pair; or do them one by one."""
        arms = [self.cold, self.warm]
        if self._each:
            while any([await arm.advance() for arm in arms]):
                arms.reverse()
            return
        for arm in arms:
            while await arm.advance():
                pass

    async def _unload(self, spec: Spec, run_index: int) -> None:
        if spec.warm_up.enabled if self._each else run_index > 0:
            return
        context = self._desk.context
        try:
            done = await context.residency_for(spec).unload(context.model_name_for(spec))
        except EndpointError as error:
            self._desk.board.tell("note", f"the forced unload failed: {error}")
            done = False
        self._unloads[spec.spec_id, run_index] = done

    async def figures(self, unit: Unit) -> ArmFigures | None:
        """The figures of one arm; None without a complete run."""
        context = self._desk.context
        beside: list[Record] = []
        if self._options.await_delivery and unit is self.warm and self.through:
            beside = conclusion_of(context.ledger, self._group, self._request, context.now())
        found = await unit.conclude(keep=unit.following() is None, beside=beside)
        evaluation = found.get(unit.lead.spec_id)
        if evaluation is None:
            return None
        self._evaluations |= found
        runs = self._runs(unit, evaluation)
        return ArmFigures(
            spec_id=unit.lead.spec_id,
            evaluation_id=evaluation.evaluation_id,
            accuracy=evaluation.metrics.accuracy,
            accuracies=evaluation.metrics.run_accuracies,
            variance=evaluation.metrics.variance,
            first_call_ms=statistics.median(run.first_call_ms for run in runs),
            rows={row.prompt_id: row.letters for row in evaluation.rows},
            runs=tuple(runs),
        )

    async def experiment(self, cold: ArmFigures | None, warm: ArmFigures | None) -> WarmUpExperiment | None:
        """What the arms prove, stored in the ledger.

        None when they did not alternate or are not complete.
        """
        if cold is None or warm is None or not self.through or not self._each:
            return None
        # An interrupted process does not remember its unloads, but a load in the first call shows that one took place.
        unloads = sum(run.unloaded is True or run.first_call_load.loaded is True for run in cold.runs)
        found = reload_experiment(
            ReloadRuns(self._evaluations[cold.spec_id], [run.first_call_ms for run in cold.runs], unloads),
            ReloadRuns(self._evaluations[warm.spec_id], [run.first_call_ms for run in warm.runs]),
            asked=[prompt.id for prompt in self.cold.prompts],
            suspected=self._suspected,
        )
        await self._desk.context.ledger.append([found])
        return found

    def _runs(self, unit: Unit, evaluation: Evaluation) -> Sequence[RunFigures]:
        figures = []
        for index, one in enumerate(unit.complete_passes()):
            first: Trial = min(one.trials.values(), key=lambda trial: (trial.started_at, trial.position))
            run = one.runs[0]
            figures.append(
                RunFigures(
                    run_id=run.run_id,
                    run_index=run.run_index,
                    accuracy=evaluation.metrics.run_accuracies[index],
                    first_call_ms=first.latency_ms,
                    first_call_load=first.load,
                    residency_before=unit.residency.get(run.run_id, "unknown"),
                    unloaded=self._unloads.get((unit.lead.spec_id, run.run_index)),
                    warm_up=run.warm_up,
                )
            )
        return figures
