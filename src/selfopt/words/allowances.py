"""Sentences about what an API key may use up, for its client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

Span = Literal["day", "month"]
Rate = Literal["requests", "tokens"]


def moment(seconds: float) -> str:
    """A second of UTC. seconds: since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def amount(value: float, currency: str) -> str:
    """An amount of money, to six digits."""
    return f"{value:.6g} {currency}".rstrip()


def used_up_text(span: Span, budget: float, spent: float, currency: str, until: float) -> str:
    """That a budget is used up. until: in seconds since 1970."""
    return (
        f"this key's budget of {amount(budget, currency)} a {span} is used up ({amount(spent, currency)} spent); "
        f"it begins anew at {moment(until)}"
    )


def held_text(span: Span, budget: float, currency: str) -> str:
    """That the requests under way may use up what is left of a budget."""
    return f"the requests of this key that are under way may use up its budget of {amount(budget, currency)} a {span}; try again"


def too_many_text(rate: Rate, limit: int, wait_s: int) -> str:
    """That a key asks for too much in a minute."""
    return f"this key may use {limit} {rate} in a minute of the clock; try again in {wait_s} s"


def unpriced_text(model: str) -> str:
    """That a budget can't hold for a model. model: as it may be shown."""
    return f"this key has a budget, and {model} has no price here: a budget can't hold for what has no price"


def other_currency_text(theirs: str, ours: str) -> str:
    """That a budget is in another currency than the prices."""
    return f"this key's budget is in {theirs or 'no currency'}, and prices are in {ours or 'no currency'}: it can't hold"


def warned_text(key: str, span: Span, budget: float, spent: float, currency: str) -> str:
    """For the log: that a key spends more than its budget, which only warns."""
    return f"{key} has spent {amount(spent, currency)} of its budget of {amount(budget, currency)} a {span}, which only warns"
