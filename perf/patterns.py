"""How often outcome rows are read rightly: simulated rows through the real classifier, simulated reloads through the real Bayes
factor. Limits: of flaky prompts (p = .7) at most 0.2 % called cold start at 200 prompts, 2 % at 12; at least 70 % of real cold
starts found from the rows, 90 % confirmed by the experiment. Missing one is said, and ends with exit code 1.

    python perf/patterns.py [--json] [--scale 1.0] [--seed 1]

Rows of 7 runs. Pass rates: stable .985, incapable .015, flaky uniform in (.1, .9) or fixed, cold starts .10 in the first run
(60 %) or two and .98 after, drift .97 up to a change point and .08 after. A run shows a load with probability .85 in cold runs,
else .25 in the first two runs and .03 later. Shares of prompts: 45 % stable, 15 % incapable, 25 % flaky, 8 % cold start, 7 % drift
("mixed"; more cold starts come out of the stable ones), or 45 % stable, 15 % incapable, 40 % flaky ("no cold start").
Standard errors and 95 % limits (one-sided) are clustered by suite. One process, one core, about a minute.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from selfopt.stats import (
    CONFIRMING_BAYES_FACTOR,
    CONFIRMING_RUNS,
    PassRow,
    RowPattern,
    classify_rows,
    clopper_pearson_upper,
    reload_log_bayes_factor,
    suite_log_bayes_factor,
)

RUNS = 7
KINDS = (RowPattern.STABLE, RowPattern.INCAPABLE, RowPattern.FLAKY, RowPattern.COLD_START, RowPattern.DRIFT)
NO_COLD = (0.45, 0.15, 0.40, 0.0, 0.0)
ONE_SIDED = 1.645
CONFIRMING = math.log(CONFIRMING_BAYES_FACTOR)
Shares = tuple[float, ...]


def mixed(cold: float) -> Shares:
    """The shares of the mixed suite with another share of cold starts, which come out of the stable prompts first."""
    shares = [0.45 - (cold - 0.08), 0.15, 0.25, cold, 0.07]
    shares[0] = max(0.05, shares[0])
    return tuple(share / sum(shares) for share in shares)


@dataclass(slots=True)
class Share:
    """A share over suites: hits and totals of each, for an estimate with a standard error clustered by suite."""

    pairs: list[tuple[float, float]] = field(default_factory=list)

    def add(self, hits: float, of: float) -> None:
        """One suite."""
        self.pairs.append((hits, of))

    def figures(self) -> dict[str, float]:
        """share, se (linearised ratio estimator), low95 and high95 (one-sided 95 % limits), of.

        The limits are the normal ones, but nowhere closer than the exact ones of independent hits: a share of 0 has no spread."""
        of = sum(n for _, n in self.pairs)
        if of == 0:
            return {"share": math.nan, "se": math.nan, "of": 0}
        hits = sum(h for h, _ in self.pairs)
        share = hits / of
        spread = sum((h - share * n) ** 2 for h, n in self.pairs)
        k = len(self.pairs)
        se = math.sqrt(spread * k / max(1, k - 1)) / of
        low = min(share - ONE_SIDED * se, 1 - clopper_pearson_upper(round(of - hits), round(of)))
        high = max(share + ONE_SIDED * se, clopper_pearson_upper(round(hits), round(of)))
        figures = {"share": share, "se": se, "low95": max(0.0, low), "high95": min(1.0, high)}
        return {**{name: round(value, 6) for name, value in figures.items()}, "of": int(of)}


@dataclass(frozen=True, slots=True)
class World:
    """prompts in a suite; shares of the classes; flaky: their pass rate (None: uniform); loads: whether the server tells of them."""

    name: str
    prompts: int
    shares: Shares
    flaky: float | None = None
    loads: bool = True
    suites: int = 400


def rates_of(kind: RowPattern, world: World, source: random.Random) -> tuple[list[float], int]:
    """The pass rate of every run, and how many of the first runs are cold."""
    if kind is RowPattern.COLD_START:
        k = 1 if source.random() < 0.6 else 2
        return [0.10] * k + [0.98] * (RUNS - k), k
    if kind is RowPattern.DRIFT:
        change = source.randrange(3, RUNS - 1)
        return [0.97] * change + [0.08] * (RUNS - change), 0
    if kind is RowPattern.FLAKY:
        return [source.uniform(0.1, 0.9) if world.flaky is None else world.flaky] * RUNS, 0
    return [0.985 if kind is RowPattern.STABLE else 0.015] * RUNS, 0


def suite_of(world: World, source: random.Random) -> tuple[list[RowPattern], list[list[float]], list[PassRow]]:
    """What the prompts of a suite are, their pass rates, and what is seen of them."""
    kinds = source.choices(KINDS, world.shares, k=world.prompts)
    every, rows = [], []
    for kind in kinds:
        rates, cold = rates_of(kind, world, source)
        every.append(rates)
        shown = [0.85 if run < cold else 0.25 if run < 2 else 0.03 for run in range(RUNS)]
        loads = tuple(source.random() < chance for chance in shown) if world.loads else ()
        rows.append(PassRow(tuple(source.random() < rate for rate in rates), loads))
    return kinds, every, rows


def classified(world: World, source: random.Random, scale: float) -> dict[str, object]:
    """Simulate one world: of flaky prompts and of cold starts, how many are called what; of the calls, how many are right; of the
    suites with such a call, how many the experiment on the prompts called cold confirms."""
    names = (
        "flaky_called_cold",
        "flaky_called_drift",
        "cold_found",
        "drift_found",
        "cold_calls_right",
        "abstained",
        "findings_confirmed",
    )
    shares = {name: Share() for name in names}
    for _ in range(max(2, round(world.suites * scale))):
        kinds, rates, rows = suite_of(world, source)
        called = [row.called for row in classify_rows(rows).rows]
        both = list(zip(kinds, called, strict=True))
        flaky, cold = kinds.count(RowPattern.FLAKY), kinds.count(RowPattern.COLD_START)
        shares["flaky_called_cold"].add(both.count((RowPattern.FLAKY, RowPattern.COLD_START)), flaky)
        shares["flaky_called_drift"].add(both.count((RowPattern.FLAKY, RowPattern.DRIFT)), flaky)
        shares["cold_found"].add(both.count((RowPattern.COLD_START, RowPattern.COLD_START)), cold)
        shares["drift_found"].add(both.count((RowPattern.DRIFT, RowPattern.DRIFT)), kinds.count(RowPattern.DRIFT))
        shares["cold_calls_right"].add(
            both.count((RowPattern.COLD_START, RowPattern.COLD_START)), called.count(RowPattern.COLD_START)
        )
        shares["abstained"].add(called.count(None), len(rows))
        found = [log_factor(r[0], r[-1], source) for r, c in zip(rates, called, strict=True) if c is RowPattern.COLD_START]
        if found:
            shares["findings_confirmed"].add(suite_log_bayes_factor(found) >= CONFIRMING, 1)
    return {
        "world": world.name,
        "prompts": world.prompts,
        "load_evidence": world.loads,
        **{name: share.figures() for name, share in shares.items() if share.figures()["of"]},
    }


def confirmed_prompts(cold: Callable[[], float], warm: Callable[[], float], source: random.Random, n: int) -> dict[str, float]:
    """How many single prompts 4 + 4 runs confirm, with these pass rates."""
    share = Share()
    for _ in range(n):
        share.add(log_factor(cold(), warm(), source) >= CONFIRMING, 1)
    return share.figures()


def log_factor(cold: float, warm: float, source: random.Random) -> float:
    """One prompt's experiment."""
    seen = [sum(source.random() < rate for _ in range(CONFIRMING_RUNS)) for rate in (cold, warm)]
    return reload_log_bayes_factor(seen[0], CONFIRMING_RUNS, seen[1], CONFIRMING_RUNS)


def confirmed_suites(world: World, source: random.Random, n: int) -> dict[str, float]:
    """How many whole suites the experiment confirms where no rows named prompts before, prompts in any order; suites without a cold
    start left out where the world has some."""
    share, wanted = Share(), world.shares[3] > 0
    for _ in range(n):
        kinds = source.choices(KINDS, world.shares, k=world.prompts)
        if wanted and RowPattern.COLD_START not in kinds:
            continue
        factors = []
        for kind in kinds:
            rate = rates_of(kind, world, source)[0][-1] if kind is not RowPattern.DRIFT else 0.5
            factors.append(log_factor(0.10 if kind is RowPattern.COLD_START else rate, rate, source))
        share.add(suite_log_bayes_factor(factors) >= CONFIRMING, 1)
    return share.figures()


def worlds() -> list[World]:
    """What is simulated."""
    found = []
    for m, often in ((12, 10), (200, 1)):
        found += [World(f"no cold start, flaky p = {p}", m, NO_COLD, p, suites=1000 * often) for p in (0.7, 0.85)]
        found.append(World("no cold start, flaky p in (.1, .9)", m, NO_COLD, suites=500 * often))
        found += [World(f"mixed, {share:.0%} cold start", m, mixed(share), suites=200 * often) for share in (0.08, 0.25, 0.5)]
        found.append(World("mixed, 8% cold start", m, mixed(0.08), loads=False, suites=200 * often))
    return found


def experiments(source: random.Random, scale: float) -> dict[str, dict[str, float]]:
    """The reload experiment on prompts and on suites."""
    n, suites = round(40_000 * scale), max(2, round(300 * scale))
    found = {"a real cold start": confirmed_prompts(lambda: 0.10, lambda: 0.98, source, n)}
    for p in (0.5, 0.7, 0.85):
        found[f"a flaky prompt, p = {p}"] = confirmed_prompts(lambda p=p: p, lambda p=p: p, source, n)  # type: ignore[misc]
    for m in (12, 200):
        for share in (0.08, 0.25):
            world = World("", m, mixed(share))
            found[f"a suite of {m}, {share:.0%} cold start"] = confirmed_suites(world, source, suites * (5 if m == 12 else 1))
        for p in (0.5, 0.7):
            nothing = World("", m, (0.0, 0.0, 1.0, 0.0, 0.0), p)
            found[f"a suite of {m}, all flaky, p = {p}"] = confirmed_suites(nothing, source, suites * (5 if m == 12 else 1))
    return found


def judged(rows: Sequence[dict[str, object]], confirmed: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """The figures with limits, which the whole 95 % limit of each has to keep (`met`)."""

    def pick(world: str, prompts: int, figure: str) -> dict[str, float]:
        (row,) = [r for r in rows if r["world"] == world and r["prompts"] == prompts and r["load_evidence"]]
        value = row[figure]
        assert isinstance(value, dict)
        return value

    flaky = "no cold start, flaky p = 0.7"
    cases: list[tuple[str, dict[str, float], float, bool]] = [
        ("flaky (p = .7) called cold start, 200 prompts", pick(flaky, 200, "flaky_called_cold"), 0.002, False),
        ("flaky (p = .7) called cold start, 12 prompts", pick(flaky, 12, "flaky_called_cold"), 0.02, False),
        ("cold starts found, 200 prompts, 8 % of them cold", pick("mixed, 8% cold start", 200, "cold_found"), 0.7, True),
        ("cold starts found, 12 prompts, 25 % of them cold", pick("mixed, 25% cold start", 12, "cold_found"), 0.7, True),
        ("cold starts confirmed by the experiment", confirmed["a real cold start"], 0.9, True),
    ]
    return [
        {"figure": name, **got, "limit": limit, "met": got["low95"] >= limit if least else got["high95"] <= limit}
        for name, got, limit, least in cases
    ]


def shown(figures: object) -> str:
    """A share with its standard error."""
    assert isinstance(figures, dict)
    limits = f"95 % limits {figures['low95']:.4f}, {figures['high95']:.4f}"
    return f"{figures['share']:.4f} ± {figures['se']:.4f} ({limits}; of {figures['of']})"


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description="how often outcome rows are read rightly")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    parser.add_argument("--scale", type=float, default=1.0, help="how many simulated suites, relative to the default")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source, began = random.Random(options.seed), time.perf_counter()
    rows = [classified(world, source, options.scale) for world in worlds()]
    confirmed = experiments(source, options.scale)
    figures = judged(rows, confirmed)
    result = {"figures": figures, "rows": rows, "experiment": confirmed, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(result))
    if not options.json:
        for figure in figures:
            print(f"{'met   ' if figure['met'] else 'MISSED'} {figure['figure']}: {shown(figure)}, limit {figure['limit']}")
        for row in rows:
            told = ", ".join(f"{name.replace('_', ' ')} {shown(row[name])}" for name in row if isinstance(row[name], dict))
            evidence = "" if row["load_evidence"] else ", no load evidence"
            print(f"{row['prompts']} prompts, {row['world']}{evidence}: {told}")
        for name, got in confirmed.items():
            print(f"experiment confirms {name}: {shown(got)}")
    return 0 if all(figure["met"] for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
