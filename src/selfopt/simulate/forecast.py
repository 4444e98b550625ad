"""A forecast of what a race will take, from simulated races on worlds like the one at hand."""

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
    """What simulated races took. Trials are rounded to two digits.

    Attributes:
        trials: how many trials promote the better candidate with the power asked for. None when
            even races without a cap promote it less often.
        typical_trials: what a race takes on average when a candidate is better.
        trials_without: what it takes on average when none is.
        power: share of the races that promote the better candidate.
        replications: how many races were simulated.
    """

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
    """Forecast a race in which one candidate is better by `options.gain`. Takes a second or two.

    The flaky share and the churn of the options decide how noisy the suite is. They are guesses
    unless earlier runs tell them.

    Raises:
        UsageError: a power outside (0, 1), or a gain that is not above 0.
    """
    if not 0 < power < 1:
        raise UsageError(f"power {power}: need a share strictly between 0 and 1, such as 0.9")
    if options.gain <= 0:
        raise UsageError(f"gain {options.gain}: need a difference above 0, such as 0.05")
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
    """Round to two digits; more would claim a precision that a forecast does not have."""
    unit: int = 10 ** max(0, len(str(int(trials))) - 2)
    return round(trials / unit) * unit
