"""What a check of a build decides, and what that takes: builds are drawn whose truth is known, and the very policy of `selfopt check` decides.

    python perf/check.py                       2,000 unchanged builds and 500 of each shape of a loss
    python perf/check.py --replications 100 --json

300 prompts, 40 % of them flaky (pass rates from Beta(1.3, 1.3)); a loss of 5 points has to be ruled out; alpha 0.01, beta 0.05. A build is
decided right when it fails although it lost 5 points, or passes although it lost nothing. Beside it is what seven fixed runs of both builds
take. Limits are exact (Clopper-Pearson, 95 %).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

from selfopt.simulate import CheckWorld, LossShape, SimulatedCheck, repeat
from selfopt.stats import clopper_pearson_interval

LOSS, RUNS = 0.05, 7
SHAPES: tuple[LossShape, ...] = ("stable_broken", "flaky_worse", "mixed")
WORLD = CheckWorld(prompts=300, flaky=0.4)
FALSE_ALARMS, FALSE_ALARMS_UPPER, RIGHT = 0.01, 0.015, 0.9


def checked(world: CheckWorld, replications: int, seed: str, processes: int) -> dict[str, Any]:
    """The figures of so many checks."""
    means = repeat(SimulatedCheck(world), replications, seed=seed, processes=processes)
    failed = clopper_pearson_interval(round(means["failed"].value * replications), replications)
    shares = {name: round(means[name].value, 4) for name in ("failed", "passed", "undecided")}
    return {
        "shape": world.shape,
        "against": f"{world.recorded} recorded runs" if world.recorded else "asked again",
        "loss": round(means["loss"].value, 4),
        "replications": replications,
        **shares,
        "failed_low95": round(failed.low, 4),
        "failed_high95": round(failed.high, 4),
        "calls": round(means["calls"].value),
        "fixed_calls": RUNS * world.prompts * (1 if world.recorded else 2),
    }


def judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is asked of the figures of builds that are asked again."""
    found = []
    for row in (row for row in rows if row["against"] == "asked again"):
        if row["shape"] == "none":
            found.append({"figure": "unchanged: failed", "value": row["failed"], "limit": FALSE_ALARMS, "least": False})
            upper = {"figure": "unchanged: failed, exact upper limit", "value": row["failed_high95"]}
            found.append({**upper, "limit": FALSE_ALARMS_UPPER, "least": False})
        else:
            found.append({"figure": f"{row['shape']}: decided right", "value": row["failed"], "limit": RIGHT, "least": True})
        found.append(
            {"figure": f"{row['shape']}: trials", "value": row["calls"], "limit": row["fixed_calls"] // 2, "least": False}
        )
    return [{**one, "met": one["value"] >= one["limit"] if one["least"] else one["value"] <= one["limit"]} for one in found]


def main() -> int:
    """Simulate and print; exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="what a check of a build decides, and what that takes")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument(
        "--replications", type=int, default=500, help="of each loss; unchanged builds are drawn four times as often"
    )
    parser.add_argument("--recorded", action="store_true", help="also against seven recorded runs")
    parser.add_argument("--seed", default="check")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    began, rows = time.perf_counter(), []
    for recorded in (0, RUNS) if given.recorded else (0,):
        against = replace(WORLD, recorded=recorded)
        rows.append(checked(against, 4 * given.replications, given.seed, given.processes))
        for shape in SHAPES:
            rows.append(checked(replace(against, loss=LOSS, shape=shape), given.replications, given.seed, given.processes))
    limits = judged(rows)
    if given.json:
        print(json.dumps({"rows": rows, "limits": limits, "took_s": round(time.perf_counter() - began, 1)}))
        return 0 if all(one["met"] for one in limits) else 1
    print(f"{'build':<15}{'against':<18}{'failed':>8}{'passed':>8}{'undecided':>11}{'trials':>8}{'seven runs':>12}")
    for row in rows:
        shares = f"{row['failed']:>8.3f}{row['passed']:>8.3f}{row['undecided']:>11.3f}"
        print(f"{row['shape']:<15}{row['against']:<18}{shares}{row['calls']:>8}{row['fixed_calls']:>12}")
    for one in limits:
        sign = "at least" if one["least"] else "at most"
        print(f"{'ok  ' if one['met'] else 'MISS'} {one['figure']}: {one['value']:g} ({sign} {one['limit']:g})")
    return 0 if all(one["met"] for one in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
