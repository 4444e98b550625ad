"""A simulated harness that answers what a race asks by a world's chances."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from selfopt.policy import BlockPlan, Race
from selfopt.records import EvidenceKey, RaceEntrant, RaceSettings, RaceStart, Split

from .worlds import World

BASELINE = "baseline"
_COLD_FAILS = 0.9
_DRIFT_TRIALS = 1000
AT = "2026-01-01T00:00:00.000Z"


def candidate_name(number: int) -> str:
    """The spec id of a candidate, counted from 1."""
    return f"candidate-{number}"


def spec_names(world: World) -> list[str]:
    """The spec ids of a world, the baseline first."""
    return [BASELINE, *map(candidate_name, range(1, len(world.chances)))]


class Bench:
    """Answers for every spec of a world.

    It counts trials, so that a drift goes on from block to block.
    """

    def __init__(self, world: World, rng: random.Random, *, drift: float = 0.0, warm_up: bool = False) -> None:
        names = spec_names(world)
        self._chances = dict(zip(names, world.chances, strict=True))
        cold = [[0] * len(row) for row in world.cold] if warm_up else [list(row) for row in world.cold]
        self._cold = dict(zip(names, cold, strict=True)) if cold else {}
        self._random = rng.random
        self._drift = drift
        self.trials = 0

    def passes(self, spec_id: str, positions: Sequence[int], times: int) -> list[int]:
        """How many of `times` answers pass, for each prompt by its position."""
        chances, draw = self._chances[spec_id], self._random
        if self._cold or self._drift:
            return self._hampered(spec_id, positions, times)
        if times == 1:
            return [int(draw() < chances[j]) for j in positions]
        return [sum([draw() < chances[j] for _ in range(times)]) for j in positions]

    def _hampered(self, spec_id: str, positions: Sequence[int], times: int) -> list[int]:
        chances, draw, cold = self._chances[spec_id], self._random, self._cold.get(spec_id)
        lost = self._drift * min(1.0, self.trials / _DRIFT_TRIALS)
        found = []
        for j in positions:
            passed = 0
            for _ in range(times):
                fine = draw() < chances[j] - lost
                if cold is not None and cold[j] > 0:
                    cold[j] -= 1
                    fine = fine and draw() >= _COLD_FAILS
                passed += fine
            found.append(passed)
        return found

    def answer(self, plan: BlockPlan) -> Mapping[str, Sequence[int]]:
        """The outcomes of a block."""
        found = {spec_id: self.passes(spec_id, plan.draws.positions, times) for spec_id, times in plan.asked.items()}
        self.trials += plan.trials
        return found


def evidence_key(name: str, split: Split) -> EvidenceKey:
    """What evidence on a world's candidate is about."""
    return EvidenceKey.model_construct(
        candidate_spec_id=name,
        baseline_spec_id=BASELINE,
        environment_id="world",
        render_hash="",
        scorer_hash="",
        split=split,
    )


def race_start(world: World, *, race_id: str, alpha: float, settings: RaceSettings, number: int = 1) -> RaceStart:
    """The start of a race between a world's specs."""
    names = spec_names(world)[1:]
    return RaceStart(
        race_id=race_id,
        model="synthetic/world",
        phase="atomic",
        suite_hash="synthetic",
        split="search",
        prompt_ids=tuple([f"p{j}" for j in range(len(world.chances[0]))]),
        baseline_spec_id=BASELINE,
        baseline_request_id=BASELINE,
        entrants=tuple(
            RaceEntrant(spec_id=n, request_id=n, key=evidence_key(n, "search"), entered_with=len(names), alpha=alpha)
            for n in names
        ),
        settings=settings,
        family="simulated",
        number=number,
        alpha=alpha,
        at=AT,
    )


def run_race(race: Race, bench: Bench, max_trials: int) -> None:
    """Run a race to its end. It is held when its next block would exceed the cap."""
    while (plan := race.plan_block()) is not None:
        if race.trials + plan.trials > max_trials:
            race.hold("cap", f"max_trials = {max_trials}")
            return
        race.absorb(plan.block(bench.answer(plan), at=AT))
