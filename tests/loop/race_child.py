"""A process that runs a cycle with a race and kills itself: `python -m tests.loop.race_child FOLDER KIND COUNT` (no KIND: it lives)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from selfopt.measure.progress import Progress

from .kit import World
from .race_kit import ATOMIC, candidates, recalled, sometimes


def main(folder: Path, kind: str | None, count: int) -> None:
    """One cycle; SIGKILL when the step of this name, or a `trial`, is reached for the n-th time."""
    left = [count]

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


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0]), arguments[1] if len(arguments) > 1 else None, int(arguments[2]) if len(arguments) > 2 else 0)
