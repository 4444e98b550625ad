"""Runs the oracles for some minutes of processor time.

    python -m tests.fuzz [--minutes 10] [--seed N] [--only "no call"] [--untimed]

Says the seed first; the same seed makes the same inputs. Tries first what was found before. An input with a fault is made smaller and printed as a line for
`tests/fuzz/found.json`. Ends with exit code 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from .oracles import ORACLES, cost
from .shrinking import shrunk

FOUND = Path(__file__).with_name("found.json")
MOST_TOLD = 2  # faults of one oracle, and of one family, that are told; further ones are only counted


def main(argv: list[str] | None = None) -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the reading of replies.")
    parser.add_argument("--minutes", type=float, default=10.0, help="processor time in all; 10 by default")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="repeats a run")
    parser.add_argument("--only", choices=sorted(ORACLES), action="append", help="one oracle; may come several times")
    parser.add_argument("--untimed", action="store_true", help="leave time out: its figures depend on what else runs")
    arguments = parser.parse_args(argv)
    names = [name for name in arguments.only or ORACLES if name != "time" or not arguments.untimed]
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes: {', '.join(names)}", flush=True)
    return Run(arguments.seed, names).until(time.process_time() + 60 * arguments.minutes)


class Run:
    """One run: its counts, its faults, and the slowest text that was met."""

    def __init__(self, seed: int, names: list[str]) -> None:
        self._seed = seed
        self._turns = [name for name in names for _ in range(ORACLES[name].weight)]
        self._counts: Counter[str] = Counter()
        self._faults: Counter[tuple[str, str]] = Counter()
        self._slowest: tuple[float, Any] = (0.0, None)

    def until(self, end: float) -> int:
        """Go on until the processor time is used. Returns the exit code."""
        for known in json.loads(FOUND.read_text("utf-8")):
            if known["oracle"] in self._turns:
                self._try(known["oracle"], known["input"])
        number = 0
        while time.process_time() < end:
            self.one(self._turns[number % len(self._turns)], Random(f"{self._seed} {number}"))
            number += 1
        self._report()
        return 1 if self._faults.total() else 0

    def one(self, name: str, random: Random) -> None:
        """One input of an oracle."""
        self._try(name, ORACLES[name].make(random))

    def _try(self, name: str, made: dict[str, Any]) -> None:
        oracle = ORACLES[name]
        self._counts[name] += 1
        if "pieces" in made:
            self._slowest = max(self._slowest, (cost(made), made), key=lambda one: one[0])
        if not oracle.fault(made):
            return
        kind = (name, str(made.get("family", "")))
        self._faults[kind] += 1
        if self._faults[kind] > MOST_TOLD:
            return
        least = shrunk(made, oracle.smaller, lambda candidate: bool(oracle.fault(candidate)))
        print(f"\nFAULT ({' '.join(kind).strip()}): {oracle.fault(least)[:2000]}", flush=True)
        print(json.dumps({"oracle": name, "input": least}), flush=True)

    def _report(self) -> None:
        print()
        for name, count in self._counts.items():
            faults = sum(number for (its, _), number in self._faults.items() if its == name)
            print(f"{name}: {count} inputs, {faults} faults")
        if self._slowest[1] is not None:
            print(f"slowest text: {self._slowest[0]:.2f} ms a KB; {json.dumps(self._slowest[1])[:300]}")


if __name__ == "__main__":
    sys.exit(main())
