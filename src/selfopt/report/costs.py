"""What requests cost, and how many of them may be escalated before a cascade costs more than the larger model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.home import counted
from selfopt.records import Evaluation
from selfopt.stats import break_even

from .escape import code
from .figures import NOT_MEASURED
from .markdown import table

if TYPE_CHECKING:
    from .gather import ReportData

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RequestCost:
    """What a request costs on average.

    Attributes:
        mean: of its trials; None where it is not known.
        trials: how many of them there are.
        unpriced: the model has no price. On this machine it then costs nothing.
    """

    mean: float | None
    trials: int
    unpriced: bool = False


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What costs are taken from. currency: empty where none is named; of: what an evaluation's requests cost."""

    currency: str
    of: Callable[[Evaluation], RequestCost]


def money(value: float | None, currency: str = "") -> str:
    """An amount with four significant digits and its currency."""
    if value is None:
        return UNKNOWN
    digits = f"{value:.4g}" if value == 0 or value >= 1e-4 else f"{value:.8f}".rstrip("0")
    return f"{digits if float(digits) or not value else f'{value:.1e}'} {currency}".rstrip()


def costs_text(data: ReportData) -> list[str]:
    """The section on costs: the baselines, and the models that their rules fall back to; empty where
    no price is set and everything runs on this machine.
    """
    figures = data.costs
    if figures is None:
        return []
    rows: list[list[str]] = []
    known: list[RequestCost] = []
    for baseline in data.baselines:
        evaluation = data.newest(baseline.model, baseline.phase, baseline.spec_id)
        if evaluation is None:
            continue
        cost = figures.of(evaluation)
        rule = data.config.rule_for(baseline.model, baseline.phase) if data.config is not None else None
        other = data.standing(rule.fallback, baseline.phase) if rule is not None and rule.fallback else None
        larger = figures.of(other) if other is not None else None
        known += [cost, *([larger] if larger is not None else [])]
        rows.append(
            [
                f"{code(baseline.model)} {baseline.phase}",
                _told(cost, figures.currency),
                counted(cost.trials, "trial"),
                code(rule.fallback) if rule is not None and rule.fallback else "-",
                _told(larger, figures.currency) if larger is not None else NOT_MEASURED if rule and rule.fallback else "-",
                _pays(cost, larger),
            ]
        )
    if all(cost.unpriced and cost.mean == 0 for cost in known):
        return []  # nobody set a price, and nothing left this machine
    heads = ["model and phase", "a request", "measured on", "stronger model", "its request", "escalation pays below"]
    return [*table(heads, rows), *_notes(known)]


def _told(cost: RequestCost, currency: str) -> str:
    return "nothing (no price)" if cost.unpriced and cost.mean == 0 else money(cost.mean, currency)


def _pays(cost: RequestCost, larger: RequestCost | None) -> str:
    """The share of escalated requests below which asking the smaller model first is cheaper."""
    if larger is None:
        return "-"
    if cost.mean is None or larger.mean is None:
        return UNKNOWN
    share = break_even(cost.mean, larger.mean)
    return f"{100 * share:.0f} % escalated" if share else "never"


def _notes(costs: list[RequestCost]) -> list[str]:
    notes = []
    if any(cost.mean is None for cost in costs):
        notes.append(
            f'"{UNKNOWN}": the model has no price, or its server counts no tokens. Prices: `selfopt prices import FILE`, '
            "or `[prices.MODEL]` in your settings."
        )
    if any(cost.unpriced and cost.mean == 0 for cost in costs):
        notes.append(
            '"nothing (no price)": a model on this machine counts as free until `[prices.MODEL]` names a price, such as `per_hour`.'
        )
    return [line for note in notes for line in ("", note)]
