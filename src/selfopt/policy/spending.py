"""How much alpha the next decision of a family may spend, given what the ledger says was spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfopt.errors import UsageError
from selfopt.stats import AlphaSchedule, elond_level, fwer_level


@dataclass(frozen=True, slots=True)
class AlphaPlan:
    """How a family of decisions spends its alpha.

    Attributes:
        alpha: the chance of error of the whole family.
        schedule: with `fwer`, alpha bounds the chance of any false promotion. With `elond`, it
            bounds the expected share of false promotions.
        horizon: the number of decisions, if known.

    Raises:
        UsageError: a figure is out of range.
    """

    alpha: float
    schedule: AlphaSchedule = "fwer"
    horizon: int | None = None

    def __post_init__(self) -> None:
        try:
            fwer_level(self.alpha, 1, self.horizon)
        except ValueError as error:
            raise UsageError(str(error)) from None


@dataclass(frozen=True, slots=True)
class AlphaShare:
    """The alpha of the next decision of a family.

    Attributes:
        number: counts the decisions of the family from 1.
        spent: by earlier decisions.
        used_up: nothing is left, so this family may promote nothing more.
        detail: in plain words.
        history: the share of alpha for the verdicts that earlier looks at these prompts gave
            (`history_share`).
    """

    family: str
    number: int
    alpha: float
    spent: float
    used_up: bool
    detail: str
    history: float = 1.0

    @property
    def level(self) -> float:
        """What a test may spend whose prompts helped to choose what is tested."""
        return self.alpha * self.history


class Spender(Protocol):
    """A look that has spent alpha: `AlphaSpent`, or a race or test of versions before it."""

    @property
    def family(self) -> str:
        """The looks that share one alpha."""
        ...

    @property
    def number(self) -> int:
        """Which look of the family it is."""
        ...

    @property
    def alpha(self) -> float:
        """What it has spent."""
        ...


def search_family(model: str, phase: str, suite_hash: str) -> str:
    """The family of all races of one model and phase on one suite content."""
    return f"search {model} {phase} {suite_hash}"


def heldout_family(model: str, phase: str, suite_hash: str) -> str:
    """The family of all looks of one model and phase at a suite's held-out prompts."""
    return f"heldout {model} {phase} {suite_hash}"


def shared_heldout_family(suite_hash: str) -> str:
    """The family of all looks at a suite's held-out prompts by any model, in earlier versions."""
    return f"heldout {suite_hash}"


def next_share(
    plan: AlphaPlan, family: str, spenders: Iterable[Spender], promotions: int = 0, *, same: Sequence[str] = ()
) -> AlphaShare:
    """The alpha of the next decision of a family.

    A decision that began has spent its share, whatever came of it. A race with resumed candidates
    only spends nothing and does not count. `fwer` never gives more than is left, even after a
    change of the plan, so the shares of a family sum to at most alpha. `elond` follows its formula.

    Args:
        spenders: earlier decisions, of any family.
        promotions: so far, in this family.
        same: other names of the family.
    """
    mine = [s for s in spenders if s.family in (family, *same) and s.alpha > 0]
    number = max((s.number for s in mine), default=0) + 1
    spent = sum(s.alpha for s in mine)
    if plan.schedule == "elond":
        alpha = elond_level(plan.alpha, number, promotions, plan.horizon)
    else:
        alpha = min(fwer_level(plan.alpha, number, plan.horizon), max(0.0, plan.alpha - spent))
    used_up = alpha < 1e-9
    if used_up:
        what = "held-out prompts" if family.startswith("heldout ") else "prompts"
        looks = "1 look" if len(mine) == 1 else f"{len(mine)} looks"
        detail = (
            f"all looks at these {what} share a chance of error of {plan.alpha:g}, used up by {looks}: these {what} can "
            f"prove nothing more. Add fresh {what} to the suite (this changes its id), and set a longer horizon in [policy]"
        )
    else:
        detail = f"decision {number}: {alpha:.3g} of {plan.alpha:g}, {spent:.3g} spent before ({plan.schedule})"
    return AlphaShare(family, number, 0.0 if used_up else alpha, spent, used_up, detail)
