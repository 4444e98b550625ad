"""What a race will take, said beforehand: by running it on worlds like the one at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from selfopt.errors import UsageError
from selfopt.records import RaceSettings

from .many import repeat_rows
from .once import DEFAULTS, MAX_TRIALS, Searching
from .worlds import WorldOptions


@dataclass(frozen=True, slots=True)
class Forecast:
    """trials: with so many the better candidate is promoted with the power asked for; None where even without a cap it is found
    less often. typical_trials: what a race takes on average when the gain is there; trials_without: when nothing is better.
    power: the share of races that promote it at all. All rounded from `replications` simulated races."""

    trials: int | None
    typical_trials: int
    trials_without: int
    power: float
    replications: int


def forecast(
    options: WorldOptions,
    *,
    power: float = 0.9,
    alpha: float = 0.05,
    settings: RaceSettings = DEFAULTS,
    replications: int = 200,
    processes: int | None = None,
) -> Forecast:
    """For a race of `options.candidates` on `options.prompts` prompts of which one candidate has `options.gain`; a second or two.

    flaky and churn are guesses unless earlier runs tell them; both together decide how noisy the suite is. UsageError for a power
    outside (0, 1) or a gain of at most 0.
    """
    if not 0 < power < 1:
        raise UsageError(f"power {power}: need a share strictly between 0 and 1, such as 0.9")
    if options.gain <= 0:
        raise UsageError(f"gain {options.gain}: need a difference above 0 that is to be found, such as 0.05")
    with_gain = repeat_rows(Searching(options, alpha, settings, MAX_TRIALS, rivals=False), replications, processes=processes)
    without = repeat_rows(
        Searching(replace(options, gain=0.0), alpha, settings, MAX_TRIALS, rivals=False),
        replications,
        seed="1",
        processes=processes,
    )
    found = sorted(row["calls"] for row in with_gain if row["better"])
    wanted = math.ceil(power * replications)
    return Forecast(
        trials=_round(found[wanted - 1]) if len(found) >= wanted else None,
        typical_trials=_round(sum(row["calls"] for row in with_gain) / replications),
        trials_without=_round(sum(row["calls"] for row in without) / replications),
        power=len(found) / replications,
        replications=replications,
    )


def _round(trials: float) -> int:
    """To two digits: it is a forecast."""
    unit: int = 10 ** max(0, len(str(int(trials))) - 2)
    return round(trials / unit) * unit
