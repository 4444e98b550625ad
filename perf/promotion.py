"""What the evidence gate promotes falsely, finds, and costs: the real policy on synthetic worlds, beside the plain gates, a paired test with
a fixed number of runs, and the lower bound. Prints one JSON object (`--json`: nothing else), and says which limits are met.

    python perf/promotion.py --json                    2,000 replications of everything, about ten minutes on two cores
    python perf/promotion.py --replications 100 --world 12x4
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from selfopt.simulate import CYCLES, WORLDS, SimulationPlan, cycle_figures, world_figures

# Worlds of the lower bound: a large one takes five to twenty seconds each.
BOUND_WORLDS = {"12x4": 40, "200x4": 6, "200x16": 2}


def limits(worlds: Mapping[str, Any], cycles: Mapping[str, Any] | None) -> list[tuple[str, float, float, bool]]:
    """(what, figure, limit, whether at least) for what was simulated."""
    found: list[tuple[str, float, float, bool]] = []
    for name, figures in worlds.items():
        for kind in ("null", "identical", "worse"):
            found.append((f"{name}: promoted falsely, {kind}, upper 95 %", figures[f"{kind}_promoted_upper95"], 0.05, False))
        if name.startswith("200"):
            found.append((f"{name}: power at +5", figures["power_5"], 0.9, True))
            share = 1 / 3 if name == "200x4" else 1 / 4
            found.append((f"{name}: trials at +5", figures["calls_5"], share * figures["plain_rule"]["calls_5"], False))
        if name in ("12x4", "200x4"):
            found.append((f"{name}: trials at +5, tuned", figures["calls_5"], 1600 if name == "12x4" else 1900, False))
        if name == "12x4":
            found.append((f"{name}: power at +5", figures["power_5"], 0.9, True))
            found.append(
                (
                    f"{name}: trials at +5 against a fixed paired test",
                    figures["calls_5"],
                    figures["fixed_n"]["calls_5"] / 2,
                    False,
                )
            )
    if cycles is not None:
        found.append(("ten cycles: promoted something worse", cycles["promoted_worse"], 0.01, False))
        found.append(("ten cycles: promoted something not better", cycles["promoted_not_better"], 0.05, False))
    return found


def main() -> int:
    """Simulate and print; exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="what the evidence gate promotes falsely, finds and costs")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--world", action="append", choices=[*WORLDS, CYCLES], help="only this; may be repeated")
    parser.add_argument("--seed", default="promotion")
    parser.add_argument("--processes", type=int)
    options = parser.parse_args()
    wanted, began = options.world or [*WORLDS, CYCLES], time.perf_counter()

    def plan(bound_worlds: int) -> SimulationPlan:
        return SimulationPlan(
            replications=options.replications,
            seed=options.seed,
            processes=options.processes,
            bound_worlds=bound_worlds,
            progress=lambda text: print(text, file=sys.stderr, flush=True),
        )

    worlds = {
        name: world_figures(name, WORLDS[name], plan(min(options.replications, BOUND_WORLDS.get(name, 0))))
        for name in wanted
        if name != CYCLES
    }
    cycles = cycle_figures(plan(0)) if CYCLES in wanted else None
    judged = [
        {"figure": what, "value": value, "limit": round(limit, 4), "met": value >= limit if least else value <= limit}
        for what, value, limit, least in limits(worlds, cycles)
    ]
    result: dict[str, Any] = {"worlds": worlds}
    if cycles is not None:
        result["cycles"] = cycles
    result |= {"limits": judged, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(result))
    if not options.json:
        for row in judged:
            print(f"{'met   ' if row['met'] else 'MISSED'} {row['figure']}: {row['value']}, limit {row['limit']}")
    return 0 if all(row["met"] for row in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
