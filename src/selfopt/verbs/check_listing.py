"""`check --list`: the checks that are over."""

from __future__ import annotations

from dataclasses import dataclass

from selfopt.records import Check, CheckVerdict
from selfopt.wiring.app import App
from selfopt.wiring.evidence import ledger_or_none

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class FinishedCheck:
    """A check in short. `selfopt show CHECK` has the whole of it.

    Attributes:
        passes: what it means for the build; `verdict` may be undecided.
        before: the model and variant that it was compared with; "" without any.
        cost: in `currency`; None where it is not known.
    """

    check_id: str
    at: str
    verdict: CheckVerdict
    passes: bool
    model: str
    variant: str
    suite: str
    split: str
    before: str
    file: str
    trials: int
    cost: float | None
    currency: str


def finished_checks(app: App, model: str | None = None) -> list[FinishedCheck]:
    """Return the checks of this ledger, the newest first.

    Args:
        model: only those of this model.

    Raises:
        UsageError: there is no such model.
    """
    where = {"model": app.resolve_model(model)} if model is not None else None
    return [_short(check) for check in ledger_or_none(app).read(Check, where, newest_first=True)]


def newest_checks(app: App) -> tuple[Check, ...]:
    """Return the newest 20 checks of this ledger, as they are."""
    return tuple(ledger_or_none(app).read(Check, newest_first=True, limit=_SHOWN))


def _short(check: Check) -> FinishedCheck:
    other = check.compared_with
    return FinishedCheck(
        check_id=check.check_id,
        at=check.at,
        verdict=check.verdict,
        passes=check.passes,
        model=check.model,
        variant=check.variant,
        suite=check.suite,
        split=check.split,
        before=f"{other.model} {other.variant}" if other is not None else "",
        file=check.file,
        trials=check.trials,
        cost=check.cost,
        currency=check.currency,
    )
