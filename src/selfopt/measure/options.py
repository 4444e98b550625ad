"""What a measurement is asked for: one set of options for all that measures."""

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
    """When a finished evaluation of the same spec (or of the same requests, judged again) stands for a new one.

    exclude_run_ids: evaluations that hold one of these runs are not taken (the runs that promoted a baseline are no
    reference for its successors). unknown_max_age_s: where the endpoint hides what it serves (no digest), evidence
    older than this has expired; a day.
    """

    enabled: bool = False
    exclude_run_ids: frozenset[str] = frozenset()
    unknown_max_age_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What is measured of each spec, and what may be spent on it.

    Attributes:
        n_runs: passes when a spec is not found deterministic.
        sampling: look whether it is, with an isolated sample.
        sample_size: prompts of the sample.
        runs_for, sample_for: n_runs and sample_size of one spec; None: the same for all.
        repeat: False: one pass and the sample, whatever it says.
        limit: only the first so many prompts.
        order: of the prompts in a pass. "auto" keeps the suite's where there is one slot (neighbours share prompt prefixes,
            which the server has cached) and shuffles otherwise, seeded by pass.
        shuffle_specs: the order of specs within a block is shuffled, seeded by group and block.
        labels: what is written into the runs. labels.group_id, where several specs are measured also labels.cycle_id, names
            what is continued when it was cut off.
        resume: where nothing is named, go on with the newest group of the same spec that was not concluded.
        reuse: whether a finished evaluation stands for a new one.
        budget, meter: what may be spent; a meter is shared with other measurements.
        await_delivery: the result counts as taken when `deliver` has been called, and until then the same call takes it over
            and asks nothing.
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

    def of(self, spec: Spec) -> MeasureOptions:
        """The same with the figures of one spec."""
        return replace(
            self,
            n_runs=self.n_runs if self.runs_for is None else self.runs_for(spec),
            sample_size=self.sample_size if self.sample_for is None else self.sample_for(spec),
        )
