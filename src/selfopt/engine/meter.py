"""The progress of a pull: the working thread writes it, and the calling thread shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

PullStage = Literal["waiting", "downloading", "extracting", "verifying", "done"]


class Cancelled(Exception):
    """The caller cancelled the pull. The next pull resumes it."""


class SourceError(Exception):
    """A source failed, and the next one is tried. The text says why."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is.

    Attributes:
        model: the name of the model.
        stage: what it does now. `waiting` means that another process is pulling the same model.
        bytes_done: the bytes pulled.
        bytes_total: the size of the complete file.
        source: the part being pulled.
    """

    model: str
    stage: PullStage
    bytes_done: int
    bytes_total: int
    source: str = ""


class Meter:
    """Keeps the progress of a pull. Bytes never go backwards within a source.

    Attributes:
        progress: the current progress. Each change replaces it, so any thread may read it.
    """

    def __init__(self, model: str, bytes_total: int) -> None:
        self.progress = PullProgress(model, "waiting", 0, bytes_total)
        self._cancelled = False

    def stage(self, stage: PullStage, source: str = "") -> None:
        """Begin a stage."""
        self.progress = replace(self.progress, stage=stage, source=source)

    def restart(self, source: str) -> None:
        """Begin a source."""
        self.progress = replace(self.progress, bytes_done=0, source=source)

    def reached(self, bytes_done: int) -> None:
        """Set the number of bytes pulled. Raises Cancelled if the caller has cancelled."""
        known = self.progress
        self.progress = replace(known, bytes_done=max(known.bytes_done, min(bytes_done, known.bytes_total)))
        self.check()

    def cancel(self) -> None:
        """Make the working thread stop at its next step."""
        self._cancelled = True

    def check(self) -> None:
        """Raise Cancelled if the caller has cancelled."""
        if self._cancelled:
            raise Cancelled
