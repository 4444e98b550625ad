"""How many prompts it takes before anything can be shown of serving when sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Phase, Suite
from selfopt.stats import least_served
from selfopt.wiring.app import App
from selfopt.words.escalation import needed_text


@dataclass(frozen=True, slots=True)
class BoundNeed:
    """What the bound of the settings takes.

    Attributes:
        max_bad_share, confidence: of the settings.
        least: prompts that have to be served and right, with none wrong, before it can be shown.
        heldout: of each suite, by phase and name, how many prompts a calibration has.
    """

    max_bad_share: float
    confidence: float
    least: int
    heldout: tuple[tuple[Phase, str, int], ...]

    def lines(self) -> list[str]:
        """In words: what is needed, and what each suite has."""
        return needed_text(self.max_bad_share, self.confidence, self.least, self.heldout)


def bound_need(app: App, suites: Sequence[tuple[Phase, Suite]]) -> BoundNeed:
    """What the settings' bound takes, and what the held-out prompts of these suites give."""
    own = app.settings.serve
    counts = {(phase, suite.name): len(suite.select("heldout")) for phase, suite in suites}
    least = least_served(own.max_bad_share, 1 - own.confidence)
    return BoundNeed(own.max_bad_share, own.confidence, least, tuple((*key, count) for key, count in counts.items()))
