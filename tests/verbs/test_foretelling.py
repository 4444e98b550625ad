"""What a cycle will take, said beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import UsageError
from selfopt.verbs.foretelling import CycleForecast, RaceOdds
from selfopt.verbs.looping import CyclePreview, parse_target, preview
from tests.loop.kit import World
from tests.loop.race_kit import ATOMIC, candidates, sample_suite, sometimes, steady, with_suite

SMALL_GAIN = RaceOdds()


def plan(world: World, odds: RaceOdds | None = SMALL_GAIN, most: int | None = None, file: Path | None = None) -> CyclePreview:
    """The next cycle; what it is to cost in evidence is asked for with odds."""
    with world.app() as app:
        return preview(app, [parse_target(app, ATOMIC)], file, most, odds)


def only(found: CyclePreview) -> CycleForecast:
    """The forecast of the one target."""
    (forecast,) = found.forecasts
    assert forecast is not None
    return forecast


def test_a_larger_gain_takes_fewer_trials_and_more_candidates_take_more(tmp_path: Path) -> None:
    """By the real race on made-up worlds of this size; nothing is written."""
    w = World(tmp_path / "world", {"m": steady([], [])})
    small, large = only(plan(w, RaceOdds(0.1))), only(plan(w, RaceOdds(0.3)))
    assert small.search.typical_trials > large.search.typical_trials > 0
    assert only(plan(w, RaceOdds(0.3), 1)).search.typical_trials < large.search.typical_trials
    assert (large.candidates, large.prompts, large.alpha, large.measured, large.heldout) == (3, 7, 0.025, False, None)
    (line,) = large.lines(RaceOdds(0.3))
    assert "a gain of 30 points is found with a power of 90% within about" in line
    assert "a guess" in line
    assert not w.home.exists()


def test_a_sample_with_heldout_prompts_needs_a_second_race(tmp_path: Path) -> None:
    """On at least 100 of them; without odds nothing is foretold, and where nothing is tried nothing races."""
    w = with_suite(World(tmp_path / "world", {"m": steady([], [])}), sample_suite(40, 100))
    found = plan(w, RaceOdds(0.2))
    assert only(found).heldout is not None
    assert "held-out prompts" in only(found).lines(RaceOdds(0.2))[1]
    assert plan(w, None).forecasts == ()
    assert plan(w, most=0).forecasts == (None,)


async def test_how_flaky_prompts_are_is_taken_from_what_was_measured(tmp_path: Path) -> None:
    """The share of prompts whose runs differed."""
    w = World(tmp_path / "world", {"m": sometimes(0.5, 0.5)})
    await w.loop(ATOMIC, max_candidates=0)
    found = only(plan(w, RaceOdds(0.2), file=candidates(tmp_path)))
    assert found.measured
    assert found.flaky == pytest.approx(4 / 7)
    assert "57% of them flaky, as measured" in found.lines(RaceOdds(0.2))[0]


@pytest.mark.parametrize(("gain", "power"), [(0.0, 0.9), (1.1, 0.9), (0.05, 0.0), (0.05, 1.0), (float("nan"), 0.9)])
def test_odds_out_of_range_are_refused(gain: float, power: float) -> None:
    """With what is allowed."""
    with pytest.raises(UsageError, match="need"):
        RaceOdds(gain, power)
