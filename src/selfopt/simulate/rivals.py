"""The rules that a race is compared with: the plain gates and a paired test after fixed runs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from statistics import NormalDist

from selfopt.policy import decide
from selfopt.records import Evaluation, Metrics, Outcome, OutcomeRow, PolicyThresholds, TrivialPolicy

from .bench import AT, Bench, spec_names
from .worlds import World, WorldOptions, make_world

PLAIN_RUNS = 7
_THRESHOLDS = PolicyThresholds()


def plain_rule(world: World, bench: Bench, *, runs: int = PLAIN_RUNS, exact: bool = False) -> str | None:
    """The candidate that the plain gates promote after so many runs of every spec.

    When several pass the gates, the one with the largest gain is promoted, as in the loop.

    Args:
        runs: of every spec.
        exact: the specs are known to be deterministic.
    """
    positions = range(len(world.chances[0]))
    passed = {name: [bench.passes(name, positions, 1) for _ in range(runs)] for name in spec_names(world)}
    baseline, *candidates = (_evaluation(name, rows, world.restraint, exact) for name, rows in passed.items())
    decisions = [decide(candidate, baseline, _THRESHOLDS, now=AT) for candidate in candidates]
    promoted = [d for d in decisions if d.verdict == "promote"]
    return max(promoted, key=lambda d: d.estimate or 0.0).candidate_spec_id if promoted else None


def fixed_n(world: World, bench: Bench, runs: int, alpha: float) -> str | None:
    """The candidate with the largest gain among those whose gain is significant after so many runs.

    Each of K candidates is tested once at alpha / K, by a z-test on the mean paired difference
    with the variances of the prompts added up.
    """
    m = len(world.chances[0])
    counts = {name: bench.passes(name, range(m), runs) for name in spec_names(world)}
    variance = {name: sum([_variance(c, runs) for c in passes]) / (m * m) for name, passes in counts.items()}
    baseline, *candidates = counts
    wanted = NormalDist().inv_cdf(1 - alpha / len(candidates))
    gains = {name: (sum(counts[name]) - sum(counts[baseline])) / (m * runs) for name in candidates}
    shown = [n for n in gains if gains[n] > 0 and gains[n] >= wanted * math.sqrt(variance[n] + variance[baseline])]
    return max(shown, key=lambda name: gains[name], default=None)


def _variance(passes: int, runs: int) -> float:
    """The estimated variance of a prompt's share of passes.

    A single run counts as if half a pass and half a failure had been seen too.
    """
    share = (passes + 0.5) / 2 if runs == 1 else passes / runs
    return share * (1 - share) / max(1, runs - 1)


@cache
def fixed_n_runs(options: WorldOptions, alpha: float, gain: float = 0.05, power: float = 0.9) -> int:
    """How many runs of every spec the fixed test needs to find a gain with this power: at least 2.

    Computed from the mean variance of drawn worlds, at alpha / K for K candidates.
    """
    rng, still = random.Random("variance"), replace(options, candidates=1, gain=0.0, others=0.0, churn=0.0)
    worlds = max(20, 8000 // options.prompts)
    total = sum(sum(p * (1 - p) for p in make_world(still, rng).chances[0]) for _ in range(worlds)) / options.prompts
    z = NormalDist().inv_cdf(1 - alpha / options.candidates) + NormalDist().inv_cdf(power)
    return max(2, math.ceil(2 * total / worlds / options.prompts * (z / gain) ** 2))


def _evaluation(name: str, runs: Sequence[Sequence[int]], restraint: int, exact: bool) -> Evaluation:
    """The evaluation of a spec's runs."""
    n, m = len(runs), len(runs[0])
    fails = [Outcome.UNCALLED_FOR if j < restraint else Outcome.WRONG for j in range(m)]
    rows = tuple(
        OutcomeRow.model_construct(
            prompt_id=f"p{j}",
            prompt_kind="synthetic",
            needs_call=j >= restraint,
            outcomes=tuple([Outcome.PASS if run[j] else fails[j] for run in runs]),
            trial_ids=(),
        )
        for j in range(m)
    )
    accuracies = tuple([sum(run) / m for run in runs])
    mean = sum(accuracies) / n
    quiet = sum(sum(run[:restraint]) for run in runs)
    called = sum(sum(run[restraint:]) for run in runs)
    metrics = Metrics(
        n=n * m,
        accuracy=mean,
        call_accuracy=called / (n * (m - restraint)) if m > restraint else None,
        restraint=quiet / (n * restraint) if restraint else None,
        capability=mean,
        run_accuracies=accuracies,
        variance=sum((a - mean) ** 2 for a in accuracies) / n,
        counts={Outcome.PASS: quiet + called, Outcome.WRONG: n * m - quiet - called},
        p50_ms=None,
        p95_ms=None,
        first_call_ms=None,
        silent=TrivialPolicy(accuracy=restraint / m, call_accuracy=0.0, restraint=1.0),
        always_calling=TrivialPolicy(accuracy=0.0, call_accuracy=0.0, restraint=0.0),
    )
    return Evaluation(
        evaluation_id=f"evaluation-{name}",
        spec_id=name,
        request_id=name,
        environment_id="world",
        parser_hash="",
        scorer_hash="",
        model="synthetic/world",
        phase="atomic",
        suite="synthetic",
        suite_hash="synthetic",
        scope="sample",
        split="search",
        variant=name,
        run_ids=tuple([f"{name}-{i}" for i in range(n)]),
        n_runs=n,
        determinism="complete" if exact else "stochastic",
        warm_up=False,
        metrics=metrics,
        rows=rows,
        at=AT,
    )
