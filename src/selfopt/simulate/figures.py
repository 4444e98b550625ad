"""Tables of figures: what each rule promotes falsely in a world, finds and takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from selfopt.errors import UsageError
from selfopt.home import counted
from selfopt.records import RaceSettings

from .lower_bound import LowerBound
from .many import Mean, Means, repeat
from .once import DEFAULTS, MAX_TRIALS, Cycles, Deterministic, Searching
from .rivals import PLAIN_RUNS, fixed_n_runs
from .worlds import WorldOptions

WORLDS = MappingProxyType(
    {
        "12x4": WorldOptions(prompts=12, candidates=4),
        "200x4": WorldOptions(prompts=200, candidates=4),
        "200x16": WorldOptions(prompts=200, candidates=16),
        "det150x4": WorldOptions(prompts=150, candidates=4, deterministic=True),
    }
)
"""The worlds by name (prompts x candidates).

The specs of the last are deterministic, and it has as many held-out prompts.
"""

CYCLES = "cycles"
"""The name under which ten cycles in a row are simulated, on the first of these worlds."""


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """How to simulate.

    Attributes:
        replications: how many worlds are drawn for each figure.
        alpha: the chance of a false promotion that is allowed, in (0, 0.5].
        gains: gains of the first candidate, each in (0, 1]. A world without a gain is always
            simulated too.
        settings: how races are run.
        max_trials: the cap of a race.
        seed: everything follows from it.
        processes: how many processes share the work; None: one for each core.
        bound_worlds: over how many worlds the lower bound is averaged; 0: no lower bound.
        progress: told what is being simulated.

    Raises:
        UsageError: a figure is out of range.
    """

    replications: int = 200
    alpha: float = 0.05
    gains: tuple[float, ...] = (0.05, 0.10)
    settings: RaceSettings = DEFAULTS
    max_trials: int = MAX_TRIALS
    seed: str = "0"
    processes: int | None = None
    bound_worlds: int = 0
    progress: Callable[[str], None] = field(default=lambda text: None)

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise UsageError(f"alpha {self.alpha}: need a number above 0 and at most 0.5, such as 0.05")
        for gain in self.gains:
            if not 0 < gain <= 1:
                raise UsageError(f"gain {gain}: need a difference above 0 and at most 1, such as 0.05")
        if self.replications < 1 or self.max_trials < 1:
            raise UsageError(f"{self.replications} replications of at most {self.max_trials} trials: need at least 1 of both")


def points(gain: float) -> str:
    """A gain in points, as the name of a figure has it: 5, 7.5."""
    return f"{gain * 100:g}"


def world_figures(name: str, options: WorldOptions, plan: SimulationPlan) -> dict[str, object]:
    """The figures of one world, by name.

    - null_*: nothing is better (churn only).
    - identical_*, worse_*: all candidates are copies of the baseline, or 3 points worse.
    - power_G: how often a truly better candidate is promoted when the first is better by G points.
    - calls_*: trials. No rule can do with fewer than lower_bound_calls_G.
    - plain_rule, fixed_n: the same figures for the rivals; for deterministic specs also mcnemar and
      bets_alone.
    - *_se: the standard error of a figure. *_upper95: the exact upper limit of a share.
    """
    # Deterministic specs are looked at with 15 points too: that is what a split of 150 prompts finds reliably.
    gains = (*plan.gains, 0.15) if options.deterministic and plan.gains == (0.05, 0.10) else plan.gains
    runs: dict[str, Means] = {}
    for label, changed, rivals in _scenarios(options, gains):
        plan.progress(f"{name}: {label}, {plan.replications} replications")
        task = (
            Deterministic(changed, plan.alpha)
            if options.deterministic
            else Searching(changed, plan.alpha, plan.settings, plan.max_trials, rivals=rivals)
        )
        runs[label] = repeat(task, plan.replications, seed=f"{plan.seed} {name} {label}", processes=plan.processes)
    labels = ["null", *map(points, gains)]
    figures: dict[str, object] = {"replications": plan.replications, "alpha": plan.alpha}
    figures |= _rule(runs, labels, "")
    for label in ("identical", "worse"):
        figures |= _false(label, runs[label], "") | _calls(label, runs[label], "")
    if not options.deterministic:
        figures["held"] = round(runs["null"]["held"].value, 4)
    figures["plain_rule"] = {"runs": 1 if options.deterministic else PLAIN_RUNS, **_rule(runs, labels, "plain_")}
    if options.deterministic:
        figures["mcnemar"] = _rule(runs, labels, "mcnemar_", calls=False)
        figures["bets_alone"] = _rule(runs, labels, "bets_", calls=False)
    else:
        figures["fixed_n"] = {"runs": fixed_n_runs(options, plan.alpha), **_rule(runs, labels, "fixed_")}
    return figures | _bounds(name, options, plan, gains)


def _scenarios(options: WorldOptions, gains: Sequence[float]) -> list[tuple[str, WorldOptions, bool]]:
    """The scenarios of a world: label, options, and whether the rivals run too."""
    still = replace(options, gain=0.0)
    return [
        ("null", still, True),
        ("identical", replace(still, churn=0.0), False),
        ("worse", replace(still, gain=-0.03, others=-0.03), False),
        *((points(gain), replace(options, gain=gain), True) for gain in gains),
    ]


def _rule(runs: Mapping[str, Means], labels: Sequence[str], prefix: str, *, calls: bool = True) -> dict[str, float]:
    found = _false("null", runs["null"], prefix)
    for label in labels[1:]:
        found |= _with_se(f"power_{label}", runs[label][f"{prefix}better"])
        found[f"not_better_{label}"] = round(runs[label][f"{prefix}not_better"].value, 4)
    for label in labels if calls else ():
        found |= _calls(label, runs[label], prefix)
    return found


def _calls(label: str, many: Means, prefix: str) -> dict[str, float]:
    return _with_se(f"calls_{label}", many[f"{prefix}calls"], digits=1)


def _false(label: str, many: Means, prefix: str) -> dict[str, float]:
    """How often a candidate was promoted that is not better."""
    return _share(f"{label}_promoted", many[f"{prefix}not_better"])


def _share(name: str, mean: Mean) -> dict[str, float]:
    return _with_se(name, mean) | {f"{name}_upper95": round(mean.upper95, 4)}


def _with_se(name: str, mean: Mean, *, digits: int = 4, unit: float = 1.0) -> dict[str, float]:
    """A figure beside its standard error, both times `unit`."""
    return {name: round(mean.value * unit, digits), f"{name}_se": round(mean.se * unit, digits)}


def _bounds(name: str, options: WorldOptions, plan: SimulationPlan, gains: Sequence[float]) -> dict[str, float]:
    """The lower bound for the smallest gain.

    A world takes seconds, so the other gains are left out.
    """
    if plan.bound_worlds < 1 or options.deterministic or not gains:
        return {}
    plan.progress(f"{name}: lower bound, {plan.bound_worlds} worlds")
    gain = min(gains)
    bound = repeat(
        LowerBound(replace(options, gain=gain)),
        plan.bound_worlds,
        seed=f"{plan.seed} {name} bound",
        processes=plan.processes,
        chunk=1,
    )["calls"]
    return _with_se(f"lower_bound_calls_{points(gain)}", bound, digits=1) if math.isfinite(bound.value) else {}


def cycle_figures(plan: SimulationPlan, options: WorldOptions = WORLDS["12x4"], cycles: int = 10) -> dict[str, object]:
    """The figures of several cycles in a row, with alpha shared out evenly over them.

    - promoted_not_better, promoted_worse: the share of histories in which such a candidate was
      promoted. Worse is worse by more than half a point.
    - ended_worse: the share of histories whose last baseline is worse than the first.
    - promotions, gain_points, calls_per_cycle: means over the histories.
    - plain_rule: the same figures for the plain gates, on the same candidates.
    """
    plan.progress(f"{CYCLES}: {counted(cycles, 'cycle')}, {counted(plan.replications, 'history')}")
    task = Cycles(options, cycles, plan.alpha, plan.settings)
    many = repeat(task, plan.replications, seed=f"{plan.seed} cycles", processes=plan.processes)
    head: dict[str, object] = {"replications": plan.replications, "alpha": plan.alpha, "cycles": cycles}
    head |= {"prompts": options.prompts, "candidates": options.candidates}
    return {**head, **_history(many, ""), "plain_rule": _history(many, "plain_")}


def _history(many: Means, prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, key in (("not_better", "promoted_not_better"), ("worse", "promoted_worse"), ("ended_worse", "ended_worse")):
        found |= _share(key, many[prefix + name])
    found |= _with_se("gain_points", many[prefix + "gain"], digits=2, unit=100)
    found["promotions"] = round(many[prefix + "promotions"].value, 2)
    return found | _with_se("calls_per_cycle", many[prefix + "calls_per_cycle"], digits=1)
