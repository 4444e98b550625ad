"""One replication: draw a world and see what each rule does on it. The seed decides everything."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from selfopt.policy import AlphaShare, Race, prompt_test
from selfopt.records import RaceSettings
from selfopt.stats import PromptDifferences, prompt_evidence

from .bench import Bench, evidence_key, race_start, run_race, spec_names
from .rivals import PLAIN_RUNS, fixed_n, fixed_n_runs, plain_rule
from .worlds import World, WorldOptions, make_world

Figures = Mapping[str, float]
MAX_TRIALS = 20_000
DEFAULTS = RaceSettings()
CYCLE_TRIALS = 6_000
# A world's gain is a hair off what was asked for when some steps found no room.
NOT_BETTER, WORSE = 5e-4, -5e-3


def true_gain(world: World, winner: str | None) -> float | None:
    """The true gain of the promoted spec; None when nothing was promoted."""
    return None if winner is None else world.gain(spec_names(world).index(winner))


def _verdicts(name: str, gain: float | None) -> dict[str, float]:
    """Whether anything was promoted, and is truly better, not better or worse (1 or 0)."""
    return {
        f"{name}promoted": float(gain is not None),
        f"{name}better": float(gain is not None and gain > NOT_BETTER),
        f"{name}not_better": float(gain is not None and gain <= NOT_BETTER),
        f"{name}worse": float(gain is not None and gain < WORSE),
    }


@dataclass(frozen=True, slots=True)
class Searching:
    """A race on a stochastic world. rivals: the plain gates and the fixed test run beside it."""

    options: WorldOptions
    alpha: float = 0.05
    settings: RaceSettings = DEFAULTS
    max_trials: int = MAX_TRIALS
    rivals: bool = True

    def once(self, seed: str) -> Figures:
        """The verdicts of each rule, and as `calls` the trials that it took."""
        rng = random.Random(seed)
        world = make_world(self.options, rng)
        race = Race(race_start(world, race_id=seed, alpha=self.alpha, settings=self.settings))
        run_race(race, self._bench(world, f"race {seed}"), self.max_trials)
        held = race.winner is None and race.ended == "cap"
        found = {**_verdicts("", true_gain(world, race.winner)), "calls": float(race.trials), "held": float(held)}
        if self.rivals:
            plain = plain_rule(world, self._bench(world, f"plain {seed}"))
            runs = fixed_n_runs(self.options, self.alpha)
            fixed = fixed_n(world, self._bench(world, f"fixed {seed}"), runs, self.alpha)
            found |= _verdicts("plain_", true_gain(world, plain)) | _verdicts("fixed_", true_gain(world, fixed))
            trials = self.options.prompts * (self.options.candidates + 1)
            found |= {"plain_calls": float(PLAIN_RUNS * trials), "fixed_calls": float(runs * trials)}
        return found

    def _bench(self, world: World, seed: str) -> Bench:
        return Bench(world, random.Random(seed), drift=self.options.drift, warm_up=self.options.warm_up)


@dataclass(frozen=True, slots=True)
class Deterministic:
    """Deterministic specs: the best on the search prompts is tested on as many held-out ones.

    The claim is about prompts like these. The truth is the gain in the population that both
    splits are drawn from, which is the gain of the options.
    """

    options: WorldOptions
    alpha: float = 0.05

    def once(self, seed: str) -> Figures:
        """The verdicts of the test and of its rivals on the same winner.

        mcnemar_: McNemar's exact test. bets_: the bets without the planned last look. plain_: the
        plain gates.
        """
        rng = random.Random(seed)
        search, heldout = make_world(self.options, rng), make_world(self.options, rng)
        names, m = spec_names(search), self.options.prompts
        gains = {name: search.gain(k) for k, name in enumerate(names) if k > 0}
        best = max(gains, key=lambda name: gains[name])
        proposed = gains[best] > 0
        winners: dict[str, str | None] = dict.fromkeys(("", "mcnemar_", "bets_"), None)
        if proposed:
            winners = self._tested(heldout, best, seed)
        winners["plain_"] = plain_rule(search, Bench(search, rng), runs=1, exact=True)
        figures = {"calls": float(m * (len(names) + 2 * proposed)), "plain_calls": float(m * len(names))}
        for prefix, winner in winners.items():
            truth = self.options.gain if winner == names[1] else self.options.others
            figures |= _verdicts(prefix, None if winner is None else truth)
        return figures

    def _tested(self, heldout: World, best: str, seed: str) -> dict[str, str | None]:
        row = heldout.chances[spec_names(heldout).index(best)]
        ours, theirs = ({f"p{j}": chance > 0 for j, chance in enumerate(chances)} for chances in (row, heldout.chances[0]))
        share = AlphaShare("heldout", 1, self.alpha, 0.0, used_up=False, detail="")
        test = prompt_test(evidence_key(best, "heldout"), (ours, theirs), clusters={}, share=share, order_seed=seed, at="")
        pairs = PromptDifferences(tuple(int(c) - int(b) for c, b in zip(row, heldout.chances[0], strict=True)))
        return {
            "": best if test.passed else None,
            "mcnemar_": best if test.p_mcnemar <= self.alpha else None,
            "bets_": best if prompt_evidence(pairs, alpha=self.alpha) >= test.log_e_needed else None,
        }


@dataclass(frozen=True, slots=True)
class Cycles:
    """A history of cycles. Each promoted spec is the baseline of the next cycle.

    Every cycle has new candidates: half of them are no better, 35 % are worse by 1 to 10 points and
    15 % better by 1 to 8. Alpha is shared out evenly over the cycles.
    """

    options: WorldOptions
    cycles: int = 10
    alpha: float = 0.05
    settings: RaceSettings = DEFAULTS
    max_trials: int = CYCLE_TRIALS

    def once(self, seed: str) -> Figures:
        """The history of the races, and as plain_ that of the plain gates.

        not_better, worse: whether anything such was ever promoted. gain: of the last baseline over
        the first.
        """
        return {
            **self._history(f"race {seed}", seed, "", plain=False),
            **self._history(f"plain {seed}", seed, "plain_", plain=True),
        }

    def _history(self, seed: str, world_seed: str, prefix: str, *, plain: bool) -> dict[str, float]:
        rng, draws = random.Random(seed), random.Random(f"candidates {world_seed}")
        base = make_world(self.options, draws).chances[0]
        first, calls, gains = sum(base), 0.0, []
        for cycle in range(1, self.cycles + 1):
            world = make_world(self.options, draws, base, [_pool(draws) for _ in range(self.options.candidates)])
            bench = Bench(world, rng)
            if plain:
                winner = plain_rule(world, bench)
                calls += PLAIN_RUNS * len(base) * len(world.chances)
            else:
                start = race_start(
                    world, race_id=f"{seed} {cycle}", alpha=self.alpha / self.cycles, settings=self.settings, number=cycle
                )
                race = Race(start)
                run_race(race, bench, self.max_trials)
                winner, calls = race.winner, calls + race.trials
            gain = true_gain(world, winner)
            if winner is not None and gain is not None:
                gains.append(gain)
                base = world.chances[spec_names(world).index(winner)]
        total = (sum(base) - first) / len(base)
        figures = {
            "promotions": float(len(gains)),
            "not_better": float(any(gain <= NOT_BETTER for gain in gains)),
            "worse": float(any(gain < WORSE for gain in gains)),
            "ended_worse": float(total < WORSE),
            "gain": total,
            "calls_per_cycle": calls / self.cycles,
        }
        return {prefix + name: value for name, value in figures.items()}


def _pool(rng: random.Random) -> float:
    kind = rng.random()
    return 0.0 if kind < 0.5 else -rng.uniform(0.01, 0.10) if kind < 0.85 else rng.uniform(0.01, 0.08)
