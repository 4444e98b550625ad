"""Notices that no server of a command replies, whatever it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from selfopt.records import Trial

SILENT_AFTER = 24
"""So many requests without a single reply end a command: two for each prompt of a suite of twelve."""


@dataclass(slots=True)
class Silence:
    """Requests since the last reply, over all measurements of one command."""

    _requests: int = 0

    def look(self, trial: Trial, *, replied: bool) -> None:
        """Take note of a trial. A model that is being loaded is not silent."""
        if replied:
            self._requests = 0
        elif trial.fault != "loading":
            self._requests += sum(len(exchange.attempts) for exchange in trial.exchanges)

    @property
    def lasts(self) -> bool:
        """Whether asking on is of no use."""
        return self._requests >= SILENT_AFTER
