"""Measures for the loop: decides how often each spec is run, under the caps of one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from selfopt.measure.arena import Arena
from selfopt.measure.attempt import status_of
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Desk, Labels, MeasureContext
from selfopt.measure.options import MeasureOptions
from selfopt.records import Evaluation, RaceSettings, Spec
from selfopt.settings import Settings

Depth = Literal["runs", "once", "pass", "repeats"]
"""How often specs are measured.

runs: in as many runs as are needed. once: in one pass, with the sample that tells whether repeats
are copies. pass: in one pass alone. repeats: in as many passes as the settings give a stochastic
spec, whatever the first ones show.
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The evaluations by spec id.

    stopped: the cap that ended the measurement early; None when every spec is through.
    """

    evaluations: Mapping[str, Evaluation]
    stopped: str | None = None


class Measuring:
    """Measures specs interleaved. All calls of a command share one meter."""

    def __init__(self, settings: Settings, world: Callable[[], MeasureContext]) -> None:
        self._settings = settings
        self._world = world

    @cached_property
    def _meter(self) -> BudgetMeter:
        limits = self._settings.limits
        return BudgetMeter(Budget(limits.max_trials, limits.max_minutes, limits.max_tokens, limits.max_cost), self._world().clock)

    @cached_property
    def arena(self) -> Arena:
        """Where the command's races are measured."""
        return Arena(Desk.of(self._world(), self._meter))

    async def __call__(self, specs: Sequence[Spec], cycle_id: str, depth: Depth = "runs") -> Measurement:
        """Measure specs, continuing what an interrupted call with the same cycle_id began."""
        options = MeasureOptions(
            n_runs=1 if depth == "pass" else self._settings.loop.n_runs,
            runs_for=self._runs if depth == "runs" else None,
            sampling=depth in ("runs", "once"),
            sample_for=self._sample,
            repeat=depth in ("runs", "repeats"),
            labels=Labels(cycle_id=cycle_id),
            meter=self._meter,
        )
        found = await measure_specs(specs, context=self._world(), options=options)
        whole = all(s.spec_id in found and self._is_through(s, found[s.spec_id], depth) for s in specs)
        return Measurement(found, None if whole else self._meter.stop_reason)

    async def has_tools(self, spec: Spec) -> bool | None:
        """Whether the model of a spec takes tools, as its server says; None when it does not say."""
        world = self._world()
        return (await status_of(world.residency_for(spec), world.model_name_for(spec))).tools

    def _runs(self, spec: Spec) -> int:
        """How many runs a stochastic spec gets.

        Races ask for what decisions need, so a large suite is run only as often as rules require.
        """
        runs, policy = self._settings.loop.n_runs, self._settings.policy
        large = self._prompts(spec) > RaceSettings().small_suite
        return min(runs, policy.min_runs) if policy.evidence and large else runs

    def _sample(self, spec: Spec) -> int:
        return self._settings.loop.sample_of(self._prompts(spec))

    def _prompts(self, spec: Spec) -> int:
        return len(self._world().suite_for(spec).select(spec.split))

    def _is_through(self, spec: Spec, evaluation: Evaluation, depth: Depth) -> bool:
        """Whether a spec has all the runs that it would have without a cap."""
        if depth == "pass" or evaluation.determinism == "refused":
            return True
        if depth == "repeats":
            return evaluation.n_runs >= self._settings.loop.n_runs
        return evaluation.has_copies or (
            evaluation.determinism != "unknown" if depth == "once" else evaluation.n_runs >= self._runs(spec)
        )
