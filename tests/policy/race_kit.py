"""Races over synthetic worlds, for tests."""

from __future__ import annotations

import random
from typing import Any

from selfopt.policy import Race
from selfopt.records import RaceBlock, RaceSettings, RaceStart
from selfopt.simulate import Bench, World, WorldOptions, make_world, race_start

AT = "2026-01-01T00:00:00.000Z"


def world(seed: str = "world", **options: Any) -> World:
    """A world drawn with this seed."""
    return make_world(WorldOptions(**options), random.Random(seed))


def start_of(made: World, race_id: str = "race-1", *, alpha: float = 0.05, **settings: Any) -> RaceStart:
    """A race between its specs."""
    return race_start(made, race_id=race_id, alpha=alpha, settings=RaceSettings(**settings))


def advance(race: Race, bench: Bench, blocks: int) -> list[RaceBlock]:
    """So many blocks more, or fewer where the race ends."""
    made: list[RaceBlock] = []
    while len(made) < blocks and (plan := race.plan_block()) is not None:
        made.append(plan.block(bench.answer(plan), at=AT))
        race.absorb(made[-1])
    return made
