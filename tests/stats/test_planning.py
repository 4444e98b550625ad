"""Forecasts: how many more pairs decide."""

from __future__ import annotations

import math
from typing import Any

import pytest

from selfopt.stats import pairs_to_decide

NOW: dict[str, Any] = {"estimate": 0.05, "second_moment": 0.1, "smallest_gain": 0.05, "log_e_missing": 2.0, "log_f_missing": 2.0}


def test_what_is_missing_over_its_rate_of_growth() -> None:
    """d2/2v = 0.0125 a pair: 2 more take 160; at half the gain both borders are as far, and four times further."""
    assert pairs_to_decide(**NOW) == pytest.approx(160)
    assert pairs_to_decide(**NOW | {"estimate": 0.025}) == pytest.approx(640)
    assert pairs_to_decide(**NOW | {"estimate": -0.05}) == pytest.approx(40, rel=0.01)
    assert pairs_to_decide(**NOW | {"log_e_missing": -1.0}) == 0


def test_nothing_is_foretold_where_nothing_grows() -> None:
    """Better than nothing and than the smallest gain: only evidence for promotion grows; no drift at all: None."""
    assert pairs_to_decide(**NOW | {"estimate": 0.2, "log_f_missing": 0.0}) is not None
    assert pairs_to_decide(**NOW | {"estimate": 0.0, "smallest_gain": 0.0}) is None


def test_a_forecast_without_figures_is_refused() -> None:
    """NaN is no estimate."""
    with pytest.raises(ValueError, match="missing"):
        pairs_to_decide(**NOW | {"estimate": math.nan})
