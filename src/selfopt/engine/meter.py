"""How far a pull is: written by the thread that works, read by the thread that shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

PullStage = Literal["waiting", "downloading", "extracting", "verifying", "done"]


class Cancelled(Exception):
    """The pull was given up by its caller; what is there is kept for the next one."""


class SourceError(Exception):
    """One source failed; the next one is tried. The text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """A sign of life of a pull. bytes_total is the size of the complete model file; source: the part being worked on;
    waiting: another process is pulling the same model."""

    model: str
    stage: PullStage
    bytes_done: int
    bytes_total: int
    source: str = ""


class Meter:
    """Keeps the progress of a pull. Bytes never go backwards within a source.

    Attributes:
        progress: what it is now. Each change replaces it, so that another thread may read it at any time.
    """

    def __init__(self, model: str, bytes_total: int) -> None:
        self.progress = PullProgress(model, "waiting", 0, bytes_total)
        self._cancelled = False

    def stage(self, stage: PullStage, source: str = "") -> None:
        """Another stage begins."""
        self.progress = replace(self.progress, stage=stage, source=source)

    def restart(self, source: str) -> None:
        """Another source begins."""
        self.progress = replace(self.progress, bytes_done=0, source=source)

    def reached(self, bytes_done: int) -> None:
        """Note how many bytes of the model are there. Raises Cancelled when the caller has given up."""
        known = self.progress
        self.progress = replace(known, bytes_done=max(known.bytes_done, min(bytes_done, known.bytes_total)))
        self.check()

    def cancel(self) -> None:
        """Have the working thread stop at its next step."""
        self._cancelled = True

    def check(self) -> None:
        """Raises Cancelled when the caller has given up."""
        if self._cancelled:
            raise Cancelled
