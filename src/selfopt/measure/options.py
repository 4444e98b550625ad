"""The options of a measurement, the same for everything that measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from selfopt.records import Spec

from .budget import Budget, BudgetMeter
from .context import Labels

Order = Literal["auto", "file", "shuffled"]


@dataclass(frozen=True, slots=True)
class Reuse:
    """When a finished evaluation of the same requests stands for a new one.

    Attributes:
        exclude_run_ids: evaluations with one of these runs are not taken. The runs that promoted a
            baseline are no reference for its successors.
        unknown_max_age_s: when the endpoint hides what it serves (no digest), older evidence has
            expired. The default is a day.
    """

    enabled: bool = False
    exclude_run_ids: frozenset[str] = frozenset()
    unknown_max_age_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What to measure of each spec, and what it may cost.

    Attributes:
        n_runs: how many passes a spec gets unless it is found deterministic.
        sampling: find out whether a spec is deterministic, with an isolated sample.
        sample_size: how many prompts the sample has.
        runs_for, sample_for: n_runs and sample_size by spec; None: the same for all specs.
        repeat: False: one pass and the sample, whatever the sample says.
        limit: only the first so many prompts.
        order: the order of prompts in a pass. "auto" keeps the suite's order when there is one
            slot, because neighbours share prompt prefixes that the server has cached. Otherwise it
            shuffles, seeded by pass.
        shuffle_specs: shuffle the specs within a block, seeded by group and block.
        labels: what runs record. labels.group_id names what is continued after an interruption;
            when several specs are measured, labels.cycle_id does too.
        resume: when labels name no group, continue the newest group of the same spec that was not
            concluded.
        reuse: whether a finished evaluation stands for a new one.
        budget: the caps of this measurement.
        meter: a meter that is shared with other measurements, in place of the budget.
        await_delivery: the result counts as taken once `deliver` was called. Until then the same
            call returns it again and asks nothing.
        carries_on: a server that only fails ends the passes of its specs, and not the command.
    """

    n_runs: int = 7
    sampling: bool = False
    sample_size: int = 4
    runs_for: Callable[[Spec], int] | None = None
    sample_for: Callable[[Spec], int] | None = None
    repeat: bool = True
    limit: int | None = None
    order: Order = "auto"
    shuffle_specs: bool = True
    labels: Labels = field(default_factory=Labels)
    resume: bool = True
    reuse: Reuse = field(default_factory=Reuse)
    budget: Budget = field(default_factory=Budget)
    meter: BudgetMeter | None = None
    await_delivery: bool = False
    carries_on: bool = False

    def of(self, spec: Spec) -> MeasureOptions:
        """These options with the figures of one spec."""
        return replace(
            self,
            n_runs=self.n_runs if self.runs_for is None else self.runs_for(spec),
            sample_size=self.sample_size if self.sample_for is None else self.sample_for(spec),
        )
