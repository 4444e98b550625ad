"""What a user chose about evidence, as the loop is handed it."""

from __future__ import annotations

from dataclasses import dataclass, field

from selfopt.records import RaceSettings

from .spending import AlphaPlan

__all__ = ["EvidenceOptions"]


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """alpha: how the chance of error is shared out; race: how races are run; heldout_margin, heldout_better: what a winner has to show
    on held-out prompts (see `heldout_settings`); restraint_margin: see `restraint_evidence`; race_trials: a race is
    held before it takes more."""

    alpha: AlphaPlan = field(default_factory=AlphaPlan)
    race: RaceSettings = field(default_factory=RaceSettings)
    heldout_margin: float = 0.03
    heldout_better: bool = False
    restraint_margin: float = 0.03
    race_trials: int = 10_000
