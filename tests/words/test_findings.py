"""What is said of findings is made of their figures, and no stronger than they are."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.records import ColdFailuresFigures, Figures, Finding, FindingKind, MetricName, Metrics, OtherFigures
from selfopt.words.evidence import METRICS
from selfopt.words.findings import remedy_text, summary
from tests.loop.proposers.kit import SLOW, finding

FINDINGS = [finding(kind) for kind in get_args(FindingKind)] + [finding("cold_start", **SLOW)]


@pytest.mark.parametrize("found", FINDINGS, ids=lambda f: type(f.figures).__name__)
def test_every_kind_has_a_sentence_of_one_line_with_a_figure(found: Finding) -> None:
    """A reader sees what it rests on."""
    text = summary(found.figures)
    assert "\n" not in text
    assert any(character.isdigit() for character in text)


def test_the_findings_above_are_of_every_kind_of_figures() -> None:
    """So the test above leaves nothing out."""
    assert {type(found.figures) for found in FINDINGS} == set(get_args(Figures))


def test_a_cold_start_is_claimed_only_where_a_load_was_seen() -> None:
    """Without one the failures look like a cold start, no more."""
    figures = finding("cold_start").figures
    assert isinstance(figures, ColdFailuresFigures)
    unseen = figures.model_copy(update={"waited": 0, "loads_in_cold_runs": 0})
    assert "are a cold start" in summary(figures)
    assert "look like a cold start" in summary(unseen)
    assert "nothing is known of loads" in summary(unseen)
    assert "although no load was seen" in summary(unseen.model_copy(update={"no_load_in_cold_runs": 3}))


@pytest.mark.parametrize(
    ("kind", "field", "one", "several"),
    [
        ("truncation", "truncated", "replies was cut off", "replies were cut off"),
        ("unread_format", "unparsed", "replies holds a tool call", "replies hold a tool call"),
        ("flaky", "prompts", "passes and fails from run", "pass and fail from run"),
    ],
)
def test_a_single_one_of_several_is_told_of_in_the_singular(kind: FindingKind, field: str, one: str, several: str) -> None:
    """One of eighteen replies was cut off."""
    figures = finding(kind).figures
    for count, words in ((1, one), (2, several)):
        assert words in summary(figures.model_copy(update={field: count}))


def test_a_cause_without_figures_says_so() -> None:
    """A detector of another package may bring a name alone."""
    assert summary(OtherFigures(cause="too chatty")) == "too chatty (no figures)"


def test_a_remedy_names_what_was_found_and_ends_with_how_sure_it_is() -> None:
    """The confirmation changes by itself, so it stands last."""
    found = finding("flaky")
    assert remedy_text("m", "atomic", "flaky", [found]) == (
        f"m on atomic: {found.summary}; measure more runs, or isolate requests and lower the temperature"
    )


def test_every_metric_has_one_name() -> None:
    """The names are fields of the metrics, and each has a word for people."""
    assert set(get_args(MetricName)) == set(METRICS)
    assert set(METRICS) <= set(Metrics.model_fields)
