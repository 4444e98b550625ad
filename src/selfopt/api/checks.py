"""Checks of builds, for Python programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selfopt.records import Check, Comparison, Differences, RecordedState
from selfopt.verbs.check_file import DEFAULT_FILE
from selfopt.verbs.check_listing import FinishedCheck, finished_checks
from selfopt.verbs.check_outputs import CheckOutputs, write_check_outputs
from selfopt.verbs.check_recording import record_state
from selfopt.verbs.check_starting import MadeCheckFile, new_check_file
from selfopt.verbs.checking import CheckRequest, run_check
from selfopt.verbs.differing import MOST_IN_JSON, differences_of
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
        self,
        file: str | Path = DEFAULT_FILE,
        *,
        to: str | Path,
        runs: int | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> RecordedState:
        """Measures what a check file describes and writes it as a recorded state (`selfopt check --record FILE`).

        runs: How many complete runs, from 7 to 1000. None: as many as it takes.
        """
        return self._runner.wait(record_state(self._app, Path(file), Path(to), on_progress, runs=runs))

    def new_check_file(self, file: str | Path = DEFAULT_FILE) -> MadeCheckFile:
        """Writes a commented check file that fits the models and suites at hand (`selfopt check --new`). Never replaces one."""
        return self._runner.wait(new_check_file(self._app, Path(file)))

    def checks(self, model: str | None = None) -> list[FinishedCheck]:
        """Lists the checks that are over, the newest first (`selfopt check --list`). model: Only those of this one."""
        return finished_checks(self._app, model)

    def write_reports(self, check: Check, *, junit: str | Path | None = None, markdown: str | Path | None = None) -> None:
        """Writes what builds and pull requests show of a check (`selfopt check --junit FILE --markdown FILE`)."""
        outputs = CheckOutputs(*(None if path is None else Path(path) for path in (junit, markdown)))
        outputs.require(Path(check.file))
        write_check_outputs(self._app, check, outputs)

    def differences(self, comparison: Comparison, *, most: int = MOST_IN_JSON) -> Differences:
        """Finds the prompts in which the rows of a comparison differ, with every reply (`selfopt compare --diff`).

        most: How many of them are returned.
        """
        return differences_of(self._app, comparison, most=most)
