"""What requests cost, and how many of them may be escalated before a cascade costs more than the larger model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.home import counted
from selfopt.records import Calibration, Evaluation, ServeWhen
from selfopt.stats import break_even
from selfopt.words.money import pays_text
from selfopt.words.thresholds import share_text

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
        seconds: how long one takes, on average; None where none was asked.
        unpriced: the model has no price. On this machine it then costs nothing.
    """

    mean: float | None
    trials: int
    unpriced: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What costs are taken from.

    Attributes:
        currency: empty where none is named.
        of: what an evaluation's requests cost.
        calibrated: what those of the prompts of a calibration cost, by its model alone.
    """

    currency: str
    of: Callable[[Evaluation], RequestCost]
    calibrated: Callable[[Calibration], RequestCost]


@dataclass(frozen=True, slots=True)
class CascadeCosts:
    """What a request to a smaller model and one to the larger model behind it cost, if that was measured."""

    small: RequestCost
    large: RequestCost | None

    @property
    def pays_below(self) -> float | None:
        """The share of escalations below which both in turn cost less than the larger model alone."""
        return break_even(self.small.mean, self.large.mean) if self.large else None

    @property
    def faster_below(self) -> float | None:
        """The share of escalations below which both in turn take less time than the larger model alone."""
        return break_even(self.small.seconds, self.large.seconds) if self.large else None


def calibrated_costs(data: ReportData, one: Calibration, larger: str | None) -> CascadeCosts | None:
    """The costs of a calibrated model, and of a larger one by what stands for it; None where that was not measured.

    Nor where some requests are asked in a second way as well: how many of them, the calibration does not say.
    """
    if one.serve_when is not None and one.serve_when.compares:
        return None
    figures, other = data.costs, data.standing(larger, one.phase) if larger else None
    return None if figures is None or other is None else CascadeCosts(figures.calibrated(one), figures.of(other))


def calibration_pays(data: ReportData, one: Calibration) -> str | None:
    """When a calibrated model in turn with its larger one pays, as a sentence; None where that is not known."""
    costs, when = calibrated_costs(data, one, one.fallback), one.serve_when
    if costs is None or one.fallback is None:
        return None
    escalated = None if when is None else escalated_share(when)
    return pays_text(one.fallback, costs.pays_below, costs.faster_below, escalated, "of the calibration prompts")


def escalated_share(when: ServeWhen) -> float:
    """The share of the calibration prompts that a threshold escalates."""
    return 1 - when.bound.served / max(1, when.bound.n)


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
        rule = data.config.rule_for(baseline.model, baseline.phase) if data.config is not None else None
        larger = rule.fallback if rule is not None else None
        mine = data.newest(baseline.model, baseline.phase, baseline.spec_id)
        if mine is None:
            continue
        other = data.standing(larger, baseline.phase) if larger else None
        costs = CascadeCosts(figures.of(mine), None if other is None else figures.of(other))
        known += [costs.small, *([costs.large] if costs.large is not None else [])]
        rows.append(
            [
                f"{code(baseline.model)} {baseline.phase}",
                _told(costs.small, figures.currency),
                counted(costs.small.trials, "trial"),
                code(larger) if larger else "-",
                _told(costs.large, figures.currency) if costs.large is not None else NOT_MEASURED if larger else "-",
                _pays(costs),
            ]
        )
    if all(cost.unpriced and cost.mean == 0 for cost in known):
        return []  # nobody set a price, and nothing left this machine
    heads = ["model and phase", "a request", "measured on", "stronger model", "its request", "escalation pays below"]
    return [*table(heads, rows), *_notes(known)]


def _told(cost: RequestCost, currency: str) -> str:
    return "nothing (no price)" if cost.unpriced and cost.mean == 0 else money(cost.mean, currency)


def _pays(costs: CascadeCosts) -> str:
    """The share of escalated requests below which asking the smaller model first is cheaper."""
    if costs.large is None:
        return "-"
    share = costs.pays_below
    if share is None:
        return UNKNOWN if None in (costs.small.mean, costs.large.mean) else "-"
    return f"{share_text(share)} escalated" if share else "never"


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
