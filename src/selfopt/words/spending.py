"""What looks at prompts cost, in words."""

from __future__ import annotations

from selfopt.home import counted
from selfopt.records import LookCost


def cost_text(cost: LookCost) -> list[str]:
    """What one look cost, and which comparisons it answers for; sentences without a full stop."""
    where, what = ("on the search prompts", "race") if cost.purpose == "search" else ("held out", "look")
    after = max(0.0, cost.total - cost.spent_before - cost.alpha)
    lines = [
        f"{where}: {what} {cost.number} of this model and phase spent {cost.alpha:.3g} of the chance of error of {cost.total:g}; "
        f"{cost.spent_before:.3g} was spent before, {after:.3g} is left for all later ones"
    ]
    if cost.purpose == "heldout":
        lines += _of_heldout(cost)
    elif cost.screened:
        lines.append(
            f"{where}: {counted(cost.candidates, 'finalist')} of {counted(cost.screened, 'candidate')} raced on fresh replies; "
            "those that they were ranked on count for nothing, so they cost nothing"
        )
    return lines


def _of_heldout(cost: LookCost) -> list[str]:
    lines = []
    if cost.by_hand:
        lines.append(
            f"held out: {counted(cost.by_hand, 'look')} of these {'was' if cost.by_hand == 1 else 'were'} taken by hand, such as with "
            "`selfopt run --split heldout`; who sees figures may choose by them, so they cost what other looks cost"
        )
    if cost.compared > 1:
        lines.append(
            f"held out: {counted(cost.compared, 'candidate')} had been compared on the search prompts, deterministic ones too; one of "
            "them was looked at here, on prompts that took no part in choosing it"
        )
    if cost.history < 1:
        lines.append(
            f"held out: these prompts had been looked at {_times(cost.earlier_looks)}, and passed {_times(cost.earlier_passes)}; "
            f"a test whose candidate these verdicts helped to choose has {cost.history:.2g} of what is spent"
        )
    return lines


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def spent_text(cost: LookCost) -> str:
    """How much the looks up to this one have spent."""
    what = "races over search prompts" if cost.purpose == "search" else "looks at held-out prompts"
    looks = what.replace("races", "race", 1).replace("looks", "look", 1) if cost.number == 1 else what
    return f"{cost.number} {looks} spent {cost.spent_before + cost.alpha:.3g} of {cost.total:g}"
