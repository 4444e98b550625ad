"""How far a pull is: written by the thread that works, read by the thread that shows it."""

from __future__ import annotations

from dataclasses import dataclass
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
    """The state behind `PullProgress`. Bytes never go backwards within a source."""

    def __init__(self, model: str, bytes_total: int) -> None:
        self._model = model
        self._total = bytes_total
        self._done = 0
        self._stage: PullStage = "waiting"
        self._source = ""
        self._cancelled = False

    def stage(self, stage: PullStage, source: str = "") -> None:
        """Another stage begins."""
        self._stage, self._source = stage, source

    def restart(self, source: str) -> None:
        """Another source begins."""
        self._done, self._source = 0, source

    def reached(self, bytes_done: int) -> None:
        """So many bytes of the model are there. Raises Cancelled when the caller has given up."""
        self._done = max(self._done, min(bytes_done, self._total))
        self.check()

    def cancel(self) -> None:
        """Have the working thread stop at its next step."""
        self._cancelled = True

    def check(self) -> None:
        """Raises Cancelled when the caller has given up."""
        if self._cancelled:
            raise Cancelled

    def snapshot(self) -> PullProgress:
        """The state as it is now."""
        return PullProgress(self._model, self._stage, self._done, self._total, self._source)
