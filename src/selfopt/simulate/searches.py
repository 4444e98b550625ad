"""One replication of a whole search: many candidates are screened, the best ones race, and the
winner is looked at on held-out prompts. The rules are those of the policy.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from selfopt.policy import AlphaShare, Race, prompt_test, rungs
from selfopt.records import RaceSettings

from .bench import Bench, evidence_key, race_start, run_race, spec_names
from .once import DEFAULTS, NOT_BETTER, Figures
from .worlds import World, WorldOptions, make_world

_HELDOUT_REPEATS = 7
_REDRAWN = 0.3
_CHURN = 0.05
_STEP = (0.2, 0.7)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search looks like.

    Attributes:
        candidates: how many there are. Half of them equal the baseline on every prompt, the others
            on average: they are better on some prompts and worse on as many.
        prompts: how many prompts the search split has, and the held-out split.
        flaky: the share of the prompts that need a call and pass by chance.
        gain: what one more candidate is better by; 0: there is none.
        sample: whether both splits are drawn from prompts without end, so that a promotion claims
            something about those. Else it claims something about the search split alone.
        alpha: what a race may spend, and a look at the held-out prompts.
        deterministic: every prompt always passes or never does. The candidate that is best on the
            search prompts goes on to the held-out ones without a race; only with `sample`.
    """

    candidates: int = 200
    prompts: int = 200
    flaky: float = 0.4
    gain: float = 0.0
    sample: bool = False
    alpha: float = 0.05
    deterministic: bool = False
    settings: RaceSettings = DEFAULTS
    max_trials: int = 20_000


@dataclass(frozen=True, slots=True)
class SimulatedSearch:
    """A search on a world of its own. The first candidate is the better one, if there is one."""

    options: SearchOptions

    def once(self, seed: str) -> Figures:
        """Whether anything was promoted, and is better or not; the trials; how far the better one came."""
        options, rng = self.options, random.Random(seed)
        world, heldout = sampled(options, rng) if options.sample else (fixed(options, rng), None)
        finalists, won, trials = _best(options, world) if options.deterministic else _raced(options, world, rng, seed)
        better, proposed = options.gain > NOT_BETTER, won
        if won is not None and heldout is not None:
            repeats = 1 if options.deterministic else _HELDOUT_REPEATS
            trials += 2 * options.prompts * repeats
            won = won if shown(heldout, won, rng, options.alpha, seed, repeats) else None
        right = better and won == 1
        return {
            "screened": float(better and 1 in finalists),
            "proposed": float(better and proposed == 1),
            "promoted": float(won is not None),
            "better": float(right),
            "not_better": float(won is not None and not right),
            "calls": float(trials),
        }


def _raced(options: SearchOptions, world: World, rng: random.Random, seed: str) -> tuple[Sequence[int], int | None, int]:
    """The finalists, the winner of their race, and the trials. The race asks anew: it knows nothing of the screening."""
    bench = Bench(world, rng)
    finalists = screening(world, bench, rng)
    field = World([world.chances[0], *(world.chances[k] for k in finalists)], (), world.restraint)
    race, again = Race(race_start(field, race_id=seed, alpha=options.alpha, settings=options.settings)), Bench(field, rng)
    run_race(race, again, options.max_trials)
    won = None if race.winner is None else finalists[spec_names(field).index(race.winner) - 1]
    return finalists, won, bench.trials + again.trials


def _best(options: SearchOptions, world: World) -> tuple[Sequence[int], int | None, int]:
    """The best candidate on the search prompts, if it is better there than the baseline; one pass each tells."""
    best = max(range(1, len(world.chances)), key=world.gain)
    return [best], best if world.gain(best) > NOT_BETTER else None, options.prompts * len(world.chances)


def fixed(options: SearchOptions, rng: random.Random) -> World:
    """A world whose candidates equal the baseline on average over its own prompts."""
    shape = WorldOptions(prompts=options.prompts, flaky=options.flaky, candidates=1, gain=options.gain, churn=_CHURN)
    first = make_world(shape, rng)
    base, moved = first.chances[0], options.candidates // 2
    better = first.chances[1:] if options.gain > 0 else ()
    churned = [_churned(base, rng) for _ in range(moved)]
    return World([base, *better, *churned, *([base] * (options.candidates - moved))], (), first.restraint)


def _churned(base: Sequence[float], rng: random.Random) -> list[float]:
    """Chances that are moved up by 5 points on average, in steps of .2 to .7, and down by as much on other prompts."""
    chances = list(base)
    up = _moved(chances, _CHURN * len(base), set(), rng)
    _moved(chances, -sum(chances[j] - base[j] for j in up), up, rng)
    return chances


def _moved(chances: list[float], amount: float, taken: set[int], rng: random.Random) -> set[int]:
    """Spread a signed amount over random prompts that are not taken. Returns which."""
    left, seen = abs(amount), set(taken)
    while left > 1e-12 and len(seen) < len(chances):
        j = int(rng.random() * len(chances))
        if j in seen:
            continue
        seen.add(j)
        step = min(1 - chances[j] if amount > 0 else chances[j], rng.uniform(*_STEP), left)
        chances[j] += step if amount > 0 else -step
        left -= step
    return seen - taken


def sampled(options: SearchOptions, rng: random.Random) -> tuple[World, World]:
    """A search split and a held-out split, each prompt drawn on its own.

    Half of the candidates answer three prompts in ten anew: their chance is drawn again, so that
    they equal the baseline on average over all prompts like these, and on no split exactly. The
    better one gains .2 to .7 on as many prompts as that takes.
    """
    worlds, moved = [], options.candidates // 2
    for _ in range(2):
        base = _drawn(options, rng)
        rows: list[Sequence[float]] = [base]
        if options.gain > 0:
            rows.append(_lifted(_redrawn(base, options, rng), options, rng))
        rows += [_redrawn(base, options, rng) for _ in range(moved)]
        rows += [base] * (options.candidates - moved)
        worlds.append(World(rows, (), _restraint(options)))
    return worlds[0], worlds[1]


def _restraint(options: SearchOptions) -> int:
    return max(1, options.prompts // 4)


@lru_cache(maxsize=8)
def _pools(flaky: float, surely: bool) -> tuple[Sequence[float], Sequence[float]]:
    """How often the baseline passes prompts that need no call, and prompts that do: what is drawn from."""
    shape = WorldOptions(prompts=10_000, flaky=flaky, candidates=1, churn=0.0, deterministic=surely)
    many = make_world(shape, random.Random("pool"))
    return many.chances[0][: many.restraint], many.chances[0][many.restraint :]


def _drawn(options: SearchOptions, rng: random.Random) -> list[float]:
    quiet, calling = _pools(options.flaky, options.deterministic)
    restraint = _restraint(options)
    pools = (quiet if j < restraint else calling for j in range(options.prompts))
    return [pool[int(rng.random() * len(pool))] for pool in pools]


def _redrawn(base: Sequence[float], options: SearchOptions, rng: random.Random) -> list[float]:
    fresh = _drawn(options, rng)
    return [new if rng.random() < _REDRAWN else old for old, new in zip(base, fresh, strict=True)]


def _lifted(chances: Sequence[float], options: SearchOptions, rng: random.Random) -> list[float]:
    """Chances that are raised on as many prompts as the gain takes."""
    chosen = options.gain / _room(options.flaky, options.deterministic)
    return [_raised(chance, options.deterministic, rng) if rng.random() < chosen else chance for chance in chances]


def _raised(chance: float, surely: bool, rng: random.Random) -> float:
    return 1.0 if surely else min(1.0, chance + rng.uniform(*_STEP))


@lru_cache(maxsize=8)
def _room(flaky: float, surely: bool) -> float:
    """What raising every prompt brings on average; one in four needs no call."""
    rng, (quiet, calling) = random.Random("room"), _pools(flaky, surely)
    gains = [sum(_raised(chance, surely, rng) - chance for chance in pool) / len(pool) for pool in (quiet, calling)]
    return gains[0] / 4 + gains[1] * 3 / 4


def screening(world: World, bench: Bench, rng: random.Random) -> list[int]:
    """The candidates that go on to the race, the best first. The prompts of a step are drawn without repeats."""
    names, m = spec_names(world), len(world.chances[0])
    alive, scores, asked = list(range(1, len(names))), dict.fromkeys(range(1, len(names)), 0), 0
    order: list[int] = []
    for rung in rungs(len(alive)):
        while len(order) < rung.prompts:
            order += rng.sample(range(m), m)
        positions = order[asked : rung.prompts]
        for k in alive:
            scores[k] += sum(bench.passes(names[k], positions, 1))
        bench.trials += len(alive) * len(positions)
        asked = rung.prompts
        ties = {k: rng.random() for k in alive}
        alive = sorted(alive, key=lambda k: (-scores[k], ties[k]))[: rung.keep]
    return alive


def shown(heldout: World, candidate: int, rng: random.Random, alpha: float, seed: str, repeats: int) -> bool:
    """Whether held-out prompts show that a candidate is better. Each is asked a planned number of times."""

    def shares(chances: Sequence[float]) -> dict[str, float]:
        return {f"p{j}": sum(rng.random() < chance for _ in range(repeats)) / repeats for j, chance in enumerate(chances)}

    share = AlphaShare("heldout", 1, alpha, 0.0, used_up=False, detail="")
    outcomes = shares(heldout.chances[candidate]), shares(heldout.chances[0])
    key = evidence_key(f"candidate-{candidate}", "heldout")
    return prompt_test(key, outcomes, clusters={}, share=share, order_seed=seed, at="", repeats=repeats).passed
