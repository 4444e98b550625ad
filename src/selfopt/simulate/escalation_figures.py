"""The figures of `selfopt simulate escalation`, world by world."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from selfopt.errors import UsageError
from selfopt.records import BoundClaim
from selfopt.stats import clopper_pearson_upper

from .escalation import ALPHAS, SimulatedEscalation
from .escalation_shift import MOST_REQUESTS, SimulatedShift
from .escalation_worlds import ESCALATION_WORLDS
from .many import repeat_rows

CLAIMS: tuple[BoundClaim, ...] = ("these_tools", "unseen_tools")
STILL_WORLDS = tuple(name for name in ESCALATION_WORLDS if name != "shifted")
_EACH_FIT = 40
_SHIFTS = 1000
_MANY_FITS = 25


def escalation_figures(
    replications: int = 2000,
    *,
    claims: Sequence[BoundClaim] = CLAIMS,
    seed: str = "0",
    processes: int | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Figures of each claim, world and alpha, and of the shifted world.

    Args:
        replications: calibrations of each claim and world, at least so many. Up to 40 share a fit.

    Raises:
        UsageError: for fewer than one replication or process.
    """
    if replications < 1:
        raise UsageError(f"{replications} replications: need at least 1")
    each = max(1, min(_EACH_FIT, replications // _MANY_FITS))
    fits = math.ceil(replications / each)
    found: dict[str, Any] = {"replications": fits * each, "claims": {}}
    for claim in claims:
        worlds = found["claims"].setdefault(claim, {})
        for world in STILL_WORLDS:
            progress(f"{claim.replace('_', ' ')}, world {world}")
            task = SimulatedEscalation(world, claim, calibrations=each)
            rows = repeat_rows(task, fits, seed=seed, processes=processes, chunk=5)
            worlds[world] = {f"{alpha:g}": _of_alpha(rows, alpha, fits * each) for alpha in ALPHAS}
    progress("world shifted")
    found |= {"shifts": min(_SHIFTS, replications), "most_requests": MOST_REQUESTS}
    found["shifted"] = {f"{alpha:g}": _of_shift(alpha, found["shifts"], seed, processes) for alpha in ALPHAS}
    return found


def _of_alpha(rows: Sequence[Mapping[str, float]], alpha: float, n: int) -> dict[str, float]:
    shown, broken, served, oracle = (
        math.fsum(row[f"{what} {alpha:g}"] for row in rows) for what in ("shown", "broken", "served", "oracle")
    )
    return {
        "shown": shown / n,
        "broken": broken / n,
        "broken_upper95": clopper_pearson_upper(round(broken), n),
        "served": served / n,
        "oracle": oracle / n,
    }


def _of_shift(alpha: float, n: int, seed: str, processes: int | None) -> dict[str, float]:
    rows = [row for row in repeat_rows(SimulatedShift(alpha), n, seed=seed, processes=processes) if not row["none"]]
    if not rows:
        return {"held_before": 0.0}
    means = {name: math.fsum(row[name] for row in rows) / len(rows) for name in ("bad_share", "served", "needless")}
    alarms = {name: sorted(row[name] for row in rows) for name in ("outcome_alarm", "share_alarm", "alarm")}
    found = {"held_before": len(rows) / n, **means}
    found["needless_upper95"] = clopper_pearson_upper(round(sum(row["needless"] for row in rows)), len(rows))
    for name, waits in alarms.items():
        # Some never come within the requests that are looked at, so a mean would say nothing.
        found[name] = median(waits)
        found[f"{name}_slow"] = waits[math.ceil(0.9 * len(waits)) - 1]
    return found
