#!/usr/bin/env python3
"""What a search finds at equal requests: ours, random search, Optuna with fixed runs, and GEPA alone.

All search the same scripted worlds, in which the truth is known (`selfopt.simulate.search_worlds`).
They were frozen before the search was tuned, and seeds below 1000 were never tuned on. A search is
worth the true accuracy of its pick on held-out prompts where the pick's true restraint meets the
floor, and that of the start elsewhere, as nothing would be promoted.

    python perf/search.py                 a short form: two worlds
    python perf/search.py --seeds 20      the figures of docs/SEARCH.md
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from statistics import mean

from search_parts.asking import CAPABILITIES, FLOOR, Asking
from search_parts.ours import ours, with_optuna, with_reflection
from search_parts.rivals import gepa_alone, optuna_points, optuna_ways, random_points, random_ways
from selfopt.simulate.search_worlds import WORLD_PARTS, SearchWorld, best_points
from selfopt.variants.space import ways

SEARCHES: Mapping[str, tuple[Callable[[Asking], None], str | None]] = {
    "ours": (ours, None),
    "ours and optuna": (with_optuna, "optuna"),
    "ours and reflection": (with_reflection, None),
    "random points": (random_points, None),
    "random ways": (random_ways, None),
    "optuna points": (optuna_points, "optuna"),
    "optuna ways": (optuna_ways, "optuna"),
    "gepa alone": (gepa_alone, "gepa"),
}
"""Every search, and the package that it needs."""

Row = Mapping[str, Sequence[float]]
PLACES = 8


def searched(name: str, seed: int, budget: int) -> tuple[str, int, Row]:
    """One search in one world: what its picks are worth along the way."""
    asking = Asking(SearchWorld(seed), budget, seed)
    SEARCHES[name][0](asking)
    found = list(asking.curve(budget * (place + 1) // PLACES for place in range(PLACES)))
    last = found[-1][0]
    return (
        name,
        seed,
        {
            "worth": [worth for _, worth in found],
            "pick": [last.accuracy, last.call_accuracy, last.restraint, last.accuracy - max(0.0, FLOOR - last.restraint)],
        },
    )


def best_of(seed: int) -> float:
    """What the best point of a world is worth. Where none meets the floor, that is the start."""
    world = SearchWorld(seed)
    found = best_points(world, ways(CAPABILITIES, parts=WORLD_PARTS), restraint=FLOOR)
    return found[0][0] if found else world.truth({}).accuracy


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean."""
    rng = random.Random("search")
    means = sorted(mean(rng.choices(values, k=len(values))) for _ in range(2000))
    return means[50], means[1949]


def table(rows: Mapping[str, Mapping[int, Row]], budget: int) -> list[str]:
    """The curve over requests, and the last pick of each search beside ours."""
    places = [budget * (place + 1) // PLACES for place in range(PLACES)]
    lines = [
        "| search | " + " | ".join(map(str, places)) + " | floor met | less shortfall | ours ahead by |",
        "|---" * (PLACES + 4) + "|",
    ]
    for name, by_seed in rows.items():
        curve = [mean(row["worth"][place] for row in by_seed.values()) for place in range(PLACES)]
        met = sum(row["pick"][2] >= FLOOR for row in by_seed.values())
        ahead = [rows["ours"][seed]["worth"][-1] - row["worth"][-1] for seed, row in by_seed.items()] if "ours" in rows else []
        low, high = interval(ahead) if ahead else (0.0, 0.0)
        value = mean(row["pick"][3] for row in by_seed.values())
        beside = f"{mean(ahead):+.3f} ({low:+.3f} to {high:+.3f})" if ahead and name != "ours" else ""
        lines.append(
            f"| {name} | " + " | ".join(f"{one:.3f}" for one in curve) + f" | {met} of {len(by_seed)} | {value:.3f} | {beside} |"
        )
    return lines


def main() -> int:
    """Search and print; exit code 1 where a rival found more in five worlds or more. Fewer tell little."""
    parser = argparse.ArgumentParser(description="what a search finds at equal requests, in worlds with known truth")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed; tune on 1000 and above alone")
    parser.add_argument("--budget", type=int, default=1200, help="requests of each search")
    parser.add_argument("--search", action="append", choices=SEARCHES, help="only this; may be repeated")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--best", action="store_true", help="also what the best point of each world is worth")
    options = parser.parse_args()
    began, seeds = time.perf_counter(), range(options.first, options.first + options.seeds)
    wanted = options.search or list(SEARCHES)
    left_out = [name for name in wanted if (package := SEARCHES[name][1]) is not None and find_spec(package) is None]
    rows: dict[str, dict[int, Row]] = {name: {} for name in wanted if name not in left_out}
    with ProcessPoolExecutor(options.processes) as pool:
        best = list(pool.map(best_of, seeds)) if options.best else []
        jobs = [pool.submit(searched, name, seed, options.budget) for seed in seeds for name in rows]
        for job in jobs:
            name, seed, row = job.result()
            rows[name][seed] = row
    start = mean(SearchWorld(seed).truth({}).accuracy for seed in seeds)
    result = {"rows": rows, "start": start, "best": best, "left_out": left_out, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(result))
    if not options.json:
        print("\n".join(table(rows, options.budget)))
        print(f"the start: {start:.3f}" + (f"; the best there is: {mean(best):.3f}" if best else ""))
        for name in left_out:
            print(f"left out: {name}; install {SEARCHES[name][1]}")
    rivals = [name for name in rows if not name.startswith("ours")]
    ends = {name: mean(row["worth"][-1] for row in by_seed.values()) for name, by_seed in rows.items()}
    behind = "ours" in ends and any(ends[name] >= ends["ours"] for name in rivals)
    return 1 if behind and options.seeds >= 5 else 0


if __name__ == "__main__":
    sys.exit(main())
