"""The end of a quickstart: the sentence that matters, and one line for each model and phase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import Evaluation
from selfopt.report import BeforeAfter, closing_lines, closing_table, look_next_lines, to_text
from selfopt.words.first_run import percent
from tests.report import world

ROWS = [
    BeforeAfter(world.BASE.model, "atomic", world.BASE, world.BETTER, "try few_shot"),
    BeforeAfter(world.TINY_EXT.model, "extended", world.TINY_EXT, None),
    BeforeAfter("local/never", "atomic", None, None),
]


@pytest.mark.parametrize("width", [80, 50])
def test_each_model_and_phase_has_one_line(width: int) -> None:
    """At 80 columns with every figure, at 50 with the shares that matter; nothing is cut."""
    lines = to_text(closing_table(ROWS, width=width), width=width).splitlines()
    shown = [line for line in lines if line.split() and line.split()[0] in {row.model.partition("/")[2] for row in ROWS}]
    assert len(shown) == len(ROWS)
    assert all(len(line) <= width for line in lines)
    assert "25 % -> 75 %" in shown[0]
    assert ("silent" in "\n".join(lines)) == (width == 80)
    assert "…" not in "\n".join(lines)


def test_the_widest_figures_fit_80_columns() -> None:
    """The longest name of the quickstart's models, and two figures in each cell that may have two."""

    def of(evaluation: Evaluation, accuracy: float, restraint: float, p50_ms: float) -> Evaluation:
        metrics = evaluation.metrics
        changed = metrics.model_copy(update={"accuracy": accuracy, "restraint": restraint, "p50_ms": p50_ms})
        return evaluation.model_copy(update={"metrics": changed})

    before, after = of(world.BASE, 0.17, 0.5, 15_100.0), of(world.BETTER, 0.67, 1.0, 13_100.0)
    text = to_text(closing_table([BeforeAfter("local/qwen2.5-coder-0.5b", "extended", before, after)], width=80), width=80)
    assert "…" not in text
    assert [cell in text for cell in ("qwen2.5-coder-0.5b", "17 % -> 67 %", "0.50 -> 1.00", "15.1 -> 13.1 s")] == [True] * 4


def test_the_sentence_says_how_many_are_right_and_how_often_it_called_uninvited() -> None:
    """Before and after, with the variant that did it, and without figures for what was not measured."""
    first, second, third = closing_lines(ROWS)
    assert "single requests: 25 % -> 75 % of requests right with restrained" in first
    assert "uninvited" in first or "want none" in first
    assert second.endswith("conversations: not measured")
    assert third == "never, single requests: not measured"


def test_what_is_no_better_than_silence_says_so() -> None:
    """A share of right requests means nothing without the share that needs no call."""
    (line,) = closing_lines([BeforeAfter("local/tiny", "extended", world.TINY_EXT, world.TINY_EXT)])
    assert "0 % of requests right, called a tool each time that none was wanted; a model that never calls has" in line


def test_where_to_look_next_is_said_once_a_line() -> None:
    """For those rows that have something to say."""
    assert look_next_lines(ROWS) == [f"{world.BASE.model.partition('/')[2]} atomic: try few_shot"]


@given(share=st.floats(0, 1))
def test_only_all_is_a_hundred_percent_and_only_none_is_zero(share: float) -> None:
    """996 of 1,000 are not all."""
    assert (percent(share) == "100 %") == (share == 1.0)
    assert (percent(share) == "0 %") == (share == 0.0)
