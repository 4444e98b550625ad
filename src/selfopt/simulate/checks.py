"""Synthetic builds, to see what a check decides and what that takes. The seed decides everything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.errors import UsageError
from selfopt.policy import CheckRace
from selfopt.records import CheckSettings, CheckSide, CheckStart, Outcome

from .bench import AT
from .once import Figures

LossShape = Literal["none", "stable_broken", "flaky_worse", "mixed"]
"""How a build is worse. none: it is not. stable_broken: stable prompts that passed never do. flaky_worse:
all flaky prompts pass a bit less often. mixed: half of the loss of either sort."""
DEFAULTS = CheckSettings()
_FLAKY = 1.3  # both parameters of the beta distribution of their pass rates
_PASSING = 0.8  # share of the stable prompts that pass


@dataclass(frozen=True, slots=True)
class CheckWorld:
    """What builds are compared.

    Attributes:
        prompts: how many the suite has.
        flaky: share of those that pass with a probability from Beta(1.3, 1.3). The others always pass or
            never do.
        loss: how much lower the mean pass rate is now, in [0, 1).
        shape: where the loss comes from.
        recorded: compare with so many recorded runs; 0: the earlier build is asked again.

    Raises:
        UsageError: a figure is out of range.
    """

    prompts: int = 300
    flaky: float = 0.4
    loss: float = 0.0
    shape: LossShape = "none"
    recorded: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.prompts <= 10_000 or not 0 <= self.flaky <= 1 or not 0 <= self.loss < 1 or self.recorded < 0:
            raise UsageError(f"{self}: need 1 to 10000 prompts, shares from 0 to 1, and no fewer than 0 recorded runs")


def make_builds(world: CheckWorld, rng: random.Random) -> tuple[list[float], list[float]]:
    """The pass rates of every prompt, before and now."""
    n_flaky = round(world.flaky * world.prompts)
    before = [rng.betavariate(_FLAKY, _FLAKY) for _ in range(n_flaky)]
    before += [float(rng.random() < _PASSING) for _ in range(world.prompts - n_flaky)]
    now, loss = list(before), world.loss * world.prompts
    if world.shape in ("stable_broken", "mixed"):
        broken = loss if world.shape == "stable_broken" else loss / 2
        passing = [j for j in range(n_flaky, world.prompts) if before[j] == 1.0]
        for j in rng.sample(passing, min(len(passing), round(broken))):
            now[j] = 0.0
    if world.shape in ("flaky_worse", "mixed"):
        lost = loss if world.shape == "flaky_worse" else loss / 2
        total = sum(before[:n_flaky])
        now[:n_flaky] = [p * (1 - min(1.0, lost / total)) for p in before[:n_flaky]]
    return before, now


@dataclass(frozen=True, slots=True)
class SimulatedCheck:
    """A check of one drawn build against another. max_trials: the cap."""

    world: CheckWorld
    settings: CheckSettings = DEFAULTS
    max_trials: int = 20_000

    def once(self, seed: str) -> Figures:
        """Whether it failed, passed or stayed undecided (1 or 0), and as `calls` the trials that it took."""
        rng = random.Random(seed)
        before, now = make_builds(self.world, rng)
        check = CheckRace(self._start(seed, before, rng))
        while (plan := check.plan_block()) is not None:
            if check.trials + plan.trials > self.max_trials:
                check.hold("cap")
                break
            places = plan.draws.positions
            ours = _answers(now, (*places, *plan.again), rng)
            theirs = _answers(before, places, rng) if plan.ask_before else ()
            check.absorb(plan.block(ours, theirs, at=AT))
        verdict = check.verdict
        return {
            "failed": float(verdict == "fail"),
            "passed": float(verdict == "pass"),
            "undecided": float(verdict == "undecided"),
            "calls": float(check.trials),
            "loss": (sum(before) - sum(now)) / len(now),
        }

    def _start(self, seed: str, before: Sequence[float], rng: random.Random) -> CheckStart:
        names = tuple([f"p{j}" for j in range(self.world.prompts)])
        runs = {name: _answers(before, (j,) * self.world.recorded, rng) for j, name in enumerate(names)}
        return CheckStart(
            check_id=seed,
            key="simulated",
            file="",
            model="synthetic/world",
            phase="atomic",
            suite="synthetic",
            suite_hash="synthetic",
            scorer_hash="synthetic",
            split="all",
            prompt_ids=names,
            needs_call=names,
            now=_side("now"),
            before=_side("before", runs if self.world.recorded else {}),
            settings=self.settings,
            at=AT,
        )


def _side(name: str, recorded: dict[str, tuple[Outcome, ...]] | None = None) -> CheckSide:
    return CheckSide(
        spec_id=name, request_id=name, model="synthetic/world", variant=name, environment_id="world", recorded=recorded or {}
    )


def _answers(chances: Sequence[float], places: Sequence[int], rng: random.Random) -> tuple[Outcome, ...]:
    return tuple([Outcome.PASS if rng.random() < chances[j] else Outcome.WRONG for j in places])
