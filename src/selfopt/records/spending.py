"""What looks at prompts cost: the chance of error that was spent before each of them."""

from __future__ import annotations

from pydantic import Field

from .base import Record
from .race import RacePurpose
from .suite import Phase


class LookCost(Record):
    """What one look costs, as a decision keeps it.

    Attributes:
        purpose: whether the search prompts were raced over, or the held-out prompts were looked at.
        number: which look of its family it is, from 1.
        total: the chance of error that all looks of the family share.
        spent_before: of it, by earlier looks.
        alpha: of it, by this look.
        candidates: how many are judged in it, each at alpha divided by their number.
        screened: how many were ranked on search prompts, to choose these. 0: no screening.
        compared: how many candidates were ever compared with a baseline on the search prompts, these
            included, deterministic ones too.
        earlier_looks, earlier_passes: how often these held-out prompts had been looked at before,
            for any model, and how often that was passed.
        by_hand: how many of the looks of the family so far were taken by hand, this one included.
        history: the share of alpha that this history of verdicts has (`stats.history_share`). 1
            where replies are fresh.
    """

    purpose: RacePurpose
    number: int = Field(ge=1)
    total: float = Field(gt=0, le=0.5)
    spent_before: float = Field(ge=0)
    alpha: float = Field(gt=0, le=0.5)
    candidates: int = Field(default=1, ge=1)
    screened: int = Field(default=0, ge=0)
    compared: int = Field(default=0, ge=0)
    earlier_looks: int = Field(default=0, ge=0)
    earlier_passes: int = Field(default=0, ge=0)
    by_hand: int = Field(default=0, ge=0, exclude_if=lambda looks: looks == 0)
    history: float = Field(default=1.0, gt=0, le=1)

    def cost(self) -> LookCost:
        """Returns what a decision keeps of it."""
        return LookCost(**{name: getattr(self, name) for name in LookCost.model_fields})


class AlphaSpent(LookCost, ledger_kind="alpha_spent", id_field="spending_id", index_fields=("family", "cycle_id", "suite_hash")):
    """A look is about to be taken, and has spent its alpha.

    It is appended before the first request of the look. A look that a crash cut off has spent it
    too, and the same command takes the same look. A look that was taken by hand has no cycle, and is
    kept when the next look of a cycle is taken. Races and tests of versions before this record
    count by their own `alpha`.

    Attributes:
        spending_id: follows from the look, so that a continued cycle finds it.
        family, number: as in `RaceStart`; a race or test of the same family and number is this look.
        spec_ids: the candidates that are judged.
    """

    spending_id: str
    cycle_id: str | None = None
    family: str
    model: str
    phase: Phase
    suite_hash: str
    spec_ids: tuple[str, ...] = Field(min_length=1)
    at: str

    @staticmethod
    def make_id(look_id: str) -> str:
        """Returns the id of what a race or a test spends."""
        return f"spent-{look_id}"
