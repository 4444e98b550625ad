#!/usr/bin/env python3
"""What a search finds at equal requests: ours, random search, Optuna with fixed runs, and GEPA alone.

All search the same scripted worlds, in which the truth is known (`selfopt.simulate.search_worlds`).
They were frozen before the search was tuned, and seeds below 1000 were never tuned on. A search is
worth the true accuracy of its pick on held-out prompts where the pick's true restraint meets the
floor, and that of the start elsewhere, as nothing would be promoted.

With `--replay` all search stored replies of a real model (`perf/data/replay_05b.json`, which
`perf/search_replay_export.py` writes). The truth is then how the replies to held-out tool sets were
judged, and a request is a reply that is looked up.

    python perf/search.py                             a short form: two worlds
    python perf/search.py --seeds 40 --budget 2400    the figures of docs/SEARCH.md
    python perf/search.py --replay --seeds 58         and those of stored replies
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import mean
from typing import Any

from search_parts.asking import CAPABILITIES, FLOOR, Asking
from search_parts.ours import ours, with_optuna, with_reflection
from search_parts.rivals import gepa_alone, optuna_points, optuna_ways, random_points, random_ways
from search_parts.stored import REPLAY, StoredRoom, StoredWorld, read
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


def places(budget: int) -> list[int]:
    """After how many requests it is looked at what a search would pick."""
    return [budget * (place + 1) // PLACES for place in range(PLACES)]


def searched(name: str, seed: int, budget: int) -> tuple[str, int, Row]:
    """One search in one scripted world: what its picks are worth along the way."""
    return _searched(name, seed, Asking(SearchWorld(seed), budget, seed))


def replayed(name: str, seed: int, world: str) -> tuple[str, int, Row]:
    """One search of stored replies. The seed also says which tool sets are held out."""
    stored = StoredWorld(world, seed)
    return _searched(name, seed, Asking(stored, stored.size, seed, StoredRoom(stored)))


def _searched(name: str, seed: int, asking: Asking) -> tuple[str, int, Row]:
    SEARCHES[name][0](asking)
    found = list(asking.curve(places(asking.budget)))
    last = found[-1][0]
    values = [truth.accuracy - max(0.0, FLOOR - truth.restraint) for truth, _ in found]
    return (
        name,
        seed,
        {
            "worth": [worth for _, worth in found],
            "values": values,
            "pick": [last.accuracy, last.call_accuracy, last.restraint, values[-1]],
        },
    )


def best_of(seed: int) -> float:
    """What the best point of a world is worth. Where none meets the floor, that is the start."""
    world = SearchWorld(seed)
    found = best_points(world, ways(CAPABILITIES, parts=WORLD_PARTS), restraint=FLOOR)
    return found[0][0] if found else world.truth({}).accuracy


def best_stored(seed: int, name: str) -> float:
    """The same in a world of stored replies."""
    world = StoredWorld(name, seed)
    truths = [world.truth(point) for point in world.points()]
    return max((one.accuracy for one in truths if one.restraint >= FLOOR), default=world.truth({}).accuracy)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean."""
    rng = random.Random("search")
    means = sorted(mean(rng.choices(values, k=len(values))) for _ in range(2000))
    return means[50], means[1949]


Rows = Mapping[str, Mapping[int, Row]]


def ahead(rows: Rows, name: str, place: int, figure: str = "worth") -> tuple[float, float, float]:
    """How far ours is ahead of a search after so many requests: the mean of the paired differences, and its interval."""
    values = [rows["ours"][seed][figure][place] - row[figure][place] for seed, row in rows[name].items()]
    return (mean(values), *interval(values))


def table(rows: Rows, heads: Sequence[int | str], at: Sequence[int]) -> list[str]:
    """The curve over requests, and the pick of each search beside ours.

    Args:
        heads: what stands above the places of the curve.
        at: the places at which ours is compared, such as the last one.
    """
    lines = [
        "| search | "
        + " | ".join(map(str, heads))
        + " | floor met | less shortfall | "
        + " | ".join(f"ours ahead by ({heads[place]})" for place in at)
        + " |",
        "|---" * (PLACES + 3 + len(at)) + "|",
    ]
    for name, by_seed in rows.items():
        curve = [mean(row["worth"][place] for row in by_seed.values()) for place in range(PLACES)]
        met = sum(row["pick"][2] >= FLOOR for row in by_seed.values())
        value = mean(row["pick"][3] for row in by_seed.values())
        beside = ["{:+.3f} ({:+.3f} to {:+.3f})".format(*ahead(rows, name, place)) if name != "ours" else "" for place in at]
        if "ours" not in rows:
            beside = [""] * len(at)
        cells = [name, *(f"{one:.3f}" for one in curve), f"{met} of {len(by_seed)}", f"{value:.3f}", *beside]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


@dataclass(frozen=True, slots=True)
class Comparison:
    """Searches of worlds of one kind.

    Attributes:
        job: makes a search of a name with a seed; the last argument is `what`.
        best: what the best point of a world is worth.
        start: what its start is worth.
        what: the budget, or the name of the world.
        heads: the places of the curve.
        at: the places at which ours is compared.
    """

    job: Callable[..., tuple[str, int, Row]]
    best: Callable[[int], float]
    start: Callable[[int], float]
    what: int | str
    heads: Sequence[int | str]
    at: tuple[int, ...] = (-1,)

    def run(self, pool: ProcessPoolExecutor, names: Sequence[str], seeds: range, *, best: bool) -> dict[str, Any]:
        """The rows of every search, by seed, with what the start and the best are worth."""
        rows: dict[str, dict[int, Row]] = {name: {} for name in names}
        for one in [pool.submit(self.job, name, seed, self.what) for seed in seeds for name in names]:
            name, seed, row = one.result()
            rows[name][seed] = row
        return {"rows": rows, "start": mean(map(self.start, seeds)), "best": list(map(self.best, seeds)) if best else []}

    def lines(self, result: Mapping[str, Any]) -> list[str]:
        """What is printed of it."""
        best = f"; the best there is: {mean(result['best']):.3f}" if result["best"] else ""
        return [*table(result["rows"], self.heads, self.at), f"the start: {result['start']:.3f}{best}"]


def scripted(budget: int) -> Comparison:
    """Searches of the scripted worlds."""
    return Comparison(searched, best_of, lambda seed: SearchWorld(seed).truth({}).accuracy, budget, places(budget))


def stored(world: str) -> Comparison:
    """Searches of stored replies. Which share of the replies a search has looked up is a place of its curve."""
    heads = [f"{100 * (place + 1) // PLACES} %" for place in range(PLACES)]
    return Comparison(
        replayed,
        partial(best_stored, name=world),
        lambda seed: StoredWorld(world, seed).truth({}).accuracy,
        world,
        heads,
        (3, 5, -1),
    )


def behind(rows: Rows) -> bool:
    """Whether a rival found more in the end."""
    rivals = [name for name in rows if not name.startswith("ours")]
    return "ours" in rows and any(ahead(rows, name, -1)[0] <= 0 for name in rivals)


def main() -> int:
    """Search and print; exit code 1 where a rival found as much in five scripted worlds or more. Fewer tell little."""
    parser = argparse.ArgumentParser(description="what a search finds at equal requests, in worlds with known truth")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed; tune on 1000 and above alone")
    parser.add_argument("--budget", type=int, default=1200, help="requests of each search")
    parser.add_argument("--replay", action="store_true", help="search stored replies; each search may look up all of them")
    parser.add_argument("--search", action="append", choices=SEARCHES, help="only this; may be repeated")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--best", action="store_true", help="also what the best point of each world is worth")
    options = parser.parse_args()
    began, seeds = time.perf_counter(), range(options.first, options.first + options.seeds)
    wanted = options.search or list(SEARCHES)
    left_out = [name for name in wanted if (package := SEARCHES[name][1]) is not None and find_spec(package) is None]
    names = [name for name in wanted if name not in left_out]
    worlds = {name: stored(name) for name in read(REPLAY)["worlds"]} if options.replay else {"scripted": scripted(options.budget)}
    with ProcessPoolExecutor(options.processes) as pool:
        results = {name: one.run(pool, names, seeds, best=options.best) for name, one in worlds.items()}
    about = {"left_out": left_out, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps((results if options.replay else results["scripted"]) | about))
    if not options.json:
        for name, one in worlds.items():
            print("\n".join([*([f"{name}:"] if options.replay else []), *one.lines(results[name])]))
        for name in left_out:
            print(f"left out: {name}; install {SEARCHES[name][1]}")
    return 1 if not options.replay and options.seeds >= 5 and behind(results["scripted"]["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
