"""How much of alpha the next decision of a family may spend, from what the ledger says was spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.records import PromptTest, RaceStart
from selfopt.stats import AlphaSchedule, elond_level, fwer_level


@dataclass(frozen=True, slots=True)
class AlphaPlan:
    """alpha: the chance of error for the whole family. schedule `fwer`: the chance that anything at all is promoted falsely; `elond`:
    the expected share of false ones among the promotions. horizon: the number of decisions, where it is known. UsageError for
    figures out of range."""

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
    """What the next decision of a family gets. number: which one it is; spent: by those before it; used_up: there is nothing left, and nothing
    may be promoted by this family any more; detail: in plain words."""

    family: str
    number: int
    alpha: float
    spent: float
    used_up: bool
    detail: str


def search_family(model: str, phase: str, suite_hash: str) -> str:
    """The races of one model and phase on one suite: what is promoted there for as long as the suite stays as it is."""
    return f"search {model} {phase} {suite_hash}"


def heldout_family(suite_hash: str) -> str:
    """Every look at the held-out prompts of a suite, by whichever model: each tells the search a little about them."""
    return f"heldout {suite_hash}"


def next_share(plan: AlphaPlan, family: str, spenders: Iterable[RaceStart | PromptTest], promotions: int = 0) -> AlphaShare:
    """The alpha of the next decision of a family. spenders: earlier ones of any family; promotions: so far in this one.

    A decision that began has spent its share, whatever became of it; a race of resumed candidates only spends nothing and counts
    as none. `fwer` never gives more than is left of alpha, also when the
    plan was changed in between, so the shares of a family sum to at most alpha. `elond` follows its formula.
    """
    mine = [s for s in spenders if s.family == family and s.alpha > 0]
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
            f"the chance of error of {plan.alpha:g} that all looks at these {what} share is used up by {looks}: they can prove nothing "
            f"more. Put fresh {what} into the suite (its id is then another), and a longer horizon into [policy] for those"
        )
    else:
        detail = f"decision {number}: {alpha:.3g} of {plan.alpha:g}, {spent:.3g} spent before ({plan.schedule})"
    return AlphaShare(family, number, 0.0 if used_up else alpha, spent, used_up, detail)
