"""What a whole search promotes falsely, and what it finds: 200 candidates that equal the baseline on average, half of them better on some
prompts and worse on as many, are screened; the finalists race; the winner is looked at on held-out prompts. All rules are those of the policy.

    python perf/search_null.py --json                  1,000 searches of each kind, about three minutes of CPU on one core
    python perf/search_null.py --replications 50

- suite: a promotion claims something about the 200 search prompts alone.
- sample: 150 search and 150 held-out prompts are drawn from prompts without end, and a promotion claims something about those.
- exact: the same with deterministic specs, of which the best on the search prompts is looked at on the held-out ones.

Null: nothing is better, and one search spends the whole alpha of 0.05, the most that it can ever be given. Found: one more candidate is 10
points better, and the search has the half of alpha that a first search gets. Limits are exact (Clopper-Pearson, 95 %).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

from selfopt.simulate import Means, SearchOptions, SimulatedSearch, repeat
from selfopt.stats import clopper_pearson_interval

ALPHA, FIRST = 0.05, 0.025
GAIN = 0.10
WORLDS = {
    "suite": SearchOptions(prompts=200),
    "sample": SearchOptions(prompts=150, sample=True),
    "exact": SearchOptions(prompts=150, sample=True, flaky=0.0, deterministic=True),
}
MOST, UPPER, LEAST = 0.05, 0.065, 0.8


def searched(options: SearchOptions, replications: int, seed: str, processes: int) -> dict[str, float]:
    """The figures of so many searches."""
    means = repeat(SimulatedSearch(options), replications, seed=seed, processes=processes)
    found: dict[str, float] = {}
    for name in ("promoted", "better", "not_better"):
        found |= _share(name, means, replications)
    return (
        found | {name: round(means[name].value, 3) for name in ("screened", "proposed")} | {"calls": round(means["calls"].value)}
    )


def _share(name: str, means: Means, replications: int) -> dict[str, float]:
    exact = clopper_pearson_interval(round(means[name].value * replications), replications)
    return {name: means[name].value, f"{name}_low95": round(exact.low, 4), f"{name}_high95": round(exact.high, 4)}


def judged(worlds: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """What is asked of the figures. Deterministic specs have one outcome for a prompt, so for their power no limit is set."""
    rows: list[dict[str, Any]] = []
    for name, figures in worlds.items():
        null, found = figures["null"], figures["found"]
        rows.append({"figure": f"{name}: nothing better, promoted", "value": null["promoted"], "limit": MOST, "least": False})
        upper = f"{name}: nothing better, promoted, exact upper limit"
        rows.append({"figure": upper, "value": null["promoted_high95"], "limit": UPPER, "least": False})
        if name != "exact":
            rows.append({"figure": f"{name}: found at +10 points", "value": found["better"], "limit": LEAST, "least": True})
    return [{**row, "met": row["value"] >= row["limit"] if row["least"] else row["value"] <= row["limit"]} for row in rows]


def main() -> int:
    """Simulate and print; exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="what a search promotes falsely, and what it finds")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--world", action="append", choices=WORLDS, help="only this; may be repeated")
    parser.add_argument("--seed", default="search")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    began, worlds = time.perf_counter(), {}
    for name in given.world or WORLDS:
        shape = replace(WORLDS[name], candidates=given.candidates)
        kinds = {"null": replace(shape, alpha=ALPHA), "found": replace(shape, alpha=FIRST, gain=GAIN)}
        worlds[name] = {
            label: searched(options, given.replications, f"{given.seed} {name} {label}", given.processes)
            for label, options in kinds.items()
        }
        print(f"{name}: {json.dumps(worlds[name])}", file=sys.stderr, flush=True)
    rows = judged(worlds)
    print(
        json.dumps(
            {
                "replications": given.replications,
                "worlds": worlds,
                "limits": rows,
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    )
    if not given.json:
        for row in rows:
            print(f"{'met   ' if row['met'] else 'MISSED'} {row['figure']}: {row['value']}, limit {row['limit']}")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
