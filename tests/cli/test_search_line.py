"""The live line of a search fits its terminal, and says what matters most."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from selfopt.cli.live import search_line
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.progress import SearchNow
from selfopt.records import SearchStanding

BEST = SearchStanding(
    point={"tools": "signatures", "backing": "strict"},
    spec_id="",
    value=0.61,
    n=140,
    by="start",
    accuracy=0.62,
    call_accuracy=0.48,
    restraint=0.9,
)
NOW = SearchNow(412, 1500, 140, "tools=signatures examples=one_tool instructions=copy", 12, "single change", BEST, 743.0)
WIDE = 10_000


def test_a_figure_on_synthetic_prompts_says_so_in_any_width() -> None:
    """Where there is no room for that, there is no figure."""
    for columns in range(20, 240):
        line = search_line(replace(NOW, synthetic=True), columns)
        assert ("best 0.62" in line) == ("on synthetic prompts" in line)
    assert "on synthetic prompts" in line


def test_it_says_everything_where_there_is_room() -> None:
    """Trials spent of at most, reused, time left, the best with its figures, what is tried and by whom."""
    line = search_line(NOW, WIDE)
    for told in (
        "412/1500 trials",
        "+140 reused",
        "12 min left",
        "best 0.62 (call accuracy 0.48, restraint 0.90): tools=signatures backing=strict",
        "on 12 (single change): tools=signatures examples=one_tool instructions=copy",
    ):
        assert told in line


def test_at_eighty_and_fifty_columns_it_keeps_what_is_spent_what_is_left_and_what_is_best() -> None:
    """And the beginning of what is tried."""
    for columns in (79, 49):
        line = search_line(NOW, columns)
        assert len(line) <= columns
        assert "412/1500" in line
        assert "12 min left; best 0.62; tools=sign" in line


@given(st.integers(20, 200), st.text(max_size=200), st.text(max_size=60), st.one_of(st.none(), st.floats(0, 1e7)))
def test_it_never_wraps_and_holds_no_control_character(columns: int, trying: str, by: str, ends_s: float | None) -> None:
    """Whatever a proposer is called."""
    line = search_line(SearchNow(7, 90, 0, trying, 12, by, None, ends_s), columns)
    assert len(line) <= columns
    assert line.isprintable()


def test_the_end_is_foretold_by_trials_or_by_minutes_whichever_comes_first() -> None:
    """At the pace so far, with what the candidates take kept back."""
    seconds = [0.0]
    meter = BudgetMeter(Budget(max_minutes=10), lambda: seconds[0])
    assert meter.ends_in_s(100, 50) == 600
    assert meter.reserve()
    meter.commit()
    seconds[0] = 2.0
    assert meter.ends_in_s(100, 50) == 200, "so many trials, two seconds each"
    assert meter.ends_in_s(1000, 50) == 598 - 100, "what is left of the minutes"
    assert BudgetMeter(Budget(), lambda: seconds[0]).ends_in_s(100, 0) is None
    assert BudgetMeter(Budget(max_trials=120), lambda: seconds[0]).ends_in_s(100, 50) is None
