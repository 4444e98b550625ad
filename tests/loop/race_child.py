"""A cycle with a race, in a process that kills itself; called by test_race_killed.py."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from selfopt.measure.progress import Progress

from .kit import World
from .race_kit import ATOMIC, candidates, recalled, sometimes


def main(place: str, kind: str | None = None, count: str = "0") -> None:
    """One cycle; SIGKILL when the step of this name, or a `trial`, is reached for the n-th time (no kind: it lives)."""
    folder, left = Path(place), [int(count)]

    def passes(point: str) -> None:
        if point == kind:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def progress(event: Progress) -> None:
        passes(event.kind)

    world = World(folder, {"m": sometimes(0.4, 0.65)})
    recalled(world)
    asyncio.run(world.loop(ATOMIC, candidates=candidates(folder), on_step=passes, progress=progress))
