"""Checks of builds, for Python programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selfopt.records import Check, RecordedState
from selfopt.verbs.check_file import DEFAULT_FILE
from selfopt.verbs.checking import CheckRequest, record_state, run_check
from selfopt.verbs.measuring import Progress

from .runner import Noun


class Checks(Noun):
    """What `selfopt check` does."""

    def check(
        self, file: str | Path = DEFAULT_FILE, *, fresh: bool = False, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> Check:
        """Checks what a file describes. `passes` of the result says what it means for the build.

        fresh: Begin anew instead of going on with an interrupted check.
        """
        return self._runner.wait(run_check(self._app, CheckRequest(Path(file), fresh), on_progress))

    def record_state(
        self, file: str | Path = DEFAULT_FILE, *, to: str | Path, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> RecordedState:
        """Measures what a check file describes and writes it as a recorded state (`selfopt check --record`)."""
        return self._runner.wait(record_state(self._app, Path(file), Path(to), on_progress))
