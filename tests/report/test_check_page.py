"""The page of a check for the terminal, on wide and narrow ones."""

from __future__ import annotations

import pytest

from selfopt.records import CheckedPrompt, CheckReason, ComparedWith, Outcome
from selfopt.report import to_text
from selfopt.report.check_page import check_page
from tests.ledger.check_samples import check_record


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_page_says_verdict_reasons_figures_and_prompts(width: int) -> None:
    """Nothing is cut, and no line is wider than the terminal."""
    text = to_text(check_page(check_record(), width=width), width=width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert words.startswith("scripted/m native_api fails (small, 2 prompts)")
    assert "compared with scripted/old native_api; asked again in the same blocks" in words
    assert "1 prompt that must pass: too seldom right (chance of error at most 0.005)" in words
    for part in ("100.0 %", "before", "no regression", "must pass", "selfopt show trial-1", "check-1", "8 trials in 2"):
        assert part in words, part
    assert "PPP" in text
    assert "FFF" in text
    assert "…" not in text


def test_an_undecided_check_says_what_it_counts_as_and_why() -> None:
    """The cap in its own words."""
    reason = CheckReason(criterion="regression", verdict="undecided", cause="cap", detail="max_trials = 5 reached")
    text = " ".join(to_text(check_page(check_record(verdict="undecided", reasons=(reason,))), width=80).split())
    assert "undecided, which counts as fail" in text
    assert "no regression is undecided: a cap was reached: max_trials = 5 reached" in text


def test_a_recorded_state_is_named_with_its_day() -> None:
    """And that it was not asked again."""
    other = ComparedWith(
        model="scripted/old",
        variant="v",
        spec_id="s",
        asked_again=False,
        file="state.json",
        recorded_at="2026-01-02T03:04:05.678Z",
    )
    text = " ".join(to_text(check_page(check_record(compared_with=other)), width=80).split())
    assert "of state.json, recorded 2026-01-02; not asked again" in text


def test_what_others_wrote_cannot_command_a_terminal() -> None:
    """Names of models, prompts and files are escaped, and many prompts are counted."""
    evil = "\x1b[2J\x1b]0;x\a\u202e[bold]"
    rows = tuple(
        CheckedPrompt(
            prompt_id=f"{evil}{j}", prompt_kind="k", needs_call=True, now=(Outcome.MISSED,) * 20, before=(Outcome.PASS,) * 20
        )
        for j in range(30)
    )
    text = to_text(check_page(check_record(rows=rows, suite=evil, model=evil)), width=80)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "and 10 more" in text
    assert "20 of 20 pass" in text
