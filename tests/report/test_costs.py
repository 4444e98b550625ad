"""The report's section on costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selfopt.records import Evaluation
from selfopt.report.costs import CostFigures, RequestCost, money
from selfopt.report.gather import gather
from selfopt.report.summary import report_text
from tests.report import world

SMALL, LARGE = RequestCost(0.001, 8), RequestCost(0.004, 8)


def section(cost: RequestCost, fallback: RequestCost, currency: str = "USD") -> str:
    """The section of a home whose small model's rule names a fallback. Each cost is of one of the two."""

    def of(evaluation: Evaluation) -> RequestCost:
        return cost if evaluation.model == world.SMALL else fallback

    rules = tuple(
        rule.model_copy(update={"fallback": world.TINY}) if rule.model == world.SMALL else rule for rule in world.CONFIG.rules
    )
    config = world.CONFIG.model_copy(update={"rules": rules})
    data = replace(gather(world.full_ledger(), config), costs=CostFigures(currency, of, lambda calibration: cost))
    text = report_text(data)
    return text.split("\n## Costs", 1)[1].split("\n## ", 1)[0]


def test_the_share_of_escalations_that_pays_is_told() -> None:
    """1 - 0.001 / 0.004."""
    told = section(SMALL, LARGE)
    assert "0.001 USD" in told
    assert "0.004 USD" in told
    assert "75 % escalated" in told
    assert "unknown" not in told


def test_a_dearer_small_model_never_pays() -> None:
    """Asking it first costs more than it saves."""
    assert "| never |" in section(LARGE, SMALL)


def test_what_is_not_known_is_called_unknown_and_explained() -> None:
    """Neither a cost nor a share is made up."""
    told = section(RequestCost(None, 8, unpriced=True), LARGE)
    assert "| unknown | 8 trials |" in told
    assert told.count("| unknown |") == 2
    assert "the model has no price, or its server counts no tokens" in told


def test_a_model_of_this_machine_without_a_price_costs_nothing_and_says_so() -> None:
    """The note says how to give it a price."""
    told = section(RequestCost(0.0, 8, unpriced=True), LARGE)
    assert "nothing (no price)" in told
    assert "100 % escalated" in told
    assert "per_hour" in told


def test_without_costs_there_is_no_section() -> None:
    """A report of records alone is what it was."""
    assert "## Costs" not in report_text(gather(world.full_ledger(), world.CONFIG))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0.0, "0 USD"),
        (12.3456, "12.35 USD"),
        (0.00012345, "0.0001234 USD"),
        (0.0000125, "0.0000125 USD"),
        (1e-12, "1.0e-12 USD"),
    ],
)
def test_an_amount_is_never_rounded_to_nothing(value: float | None, text: str) -> None:
    """However little it is."""
    assert money(value, "USD") == text
