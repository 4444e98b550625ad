"""Pages of templates: one file, nothing active, terms that lead to what they mean."""

from __future__ import annotations

import re

from selfopt.report.blocks import blocks, inline
from selfopt.report.pages import SHOWN_TERMS, line, lines, short_id, slug
from selfopt.words.terms import TERMS

from .test_html_report import course, page


def test_an_id_is_shown_by_its_end() -> None:
    """By which commands find it; a name that is no id stays whole."""
    assert short_id("eval-6ff782fec295ea368243d5a7") == "eval-\u20268243d5a7"
    assert short_id("a" * 64) == "\u2026" + "a" * 8
    for name in ("native_api", "local/qwen2.5-coder-0.5b", "restrained@2", "run-1"):
        assert short_id(name) == name


def test_text_of_unknown_origin_has_no_control_characters() -> None:
    """One line or many."""
    assert line("a\nb\x1b[31m -> c") == "a\\x0ab\\x1b[31m \u2192 c"
    assert line("on 5 % of them") == "on 5\u00a0% of them"
    assert lines("a\nb\u202e") == "a\nb\\u202e"


def test_a_heading_that_is_a_term_leads_to_it() -> None:
    """Others are words."""
    made = blocks(["| accuracy | cost |", "| --- | --- |", "| 1 | 2 |"])
    assert '<a class="term" href="#term-accuracy"' in made
    assert "<th>cost</th>" in made


def test_rows_of_a_wide_table_are_cards_on_a_phone() -> None:
    """Each cell then has its heading."""
    row = "| a | b | c | d | e |"
    assert 'data-label="b"' in blocks([row, "| --- | --- | --- | --- | --- |", row])
    assert "data-label" not in blocks(["| a | b |", "| --- | --- |", "| 1 | 2 |"])


def test_numbers_of_evaluations_lead_to_their_rows() -> None:
    """In text, and not in names."""
    assert inline("see E1, E23") == 'see <a href="#E1">E1</a>, <a href="#E23">E23</a>'
    for name in ("`E1`", "SE1", "a/E1", "E1-x", "model.E1"):
        assert "<a" not in inline(name)


def test_every_term_has_a_place_of_its_own() -> None:
    """And a sentence."""
    assert len({slug(word) for word in TERMS}) == len(TERMS)
    assert all(told.endswith(".") for told in TERMS.values())
    text = page(course())
    assert all(f'id="term-{slug(word)}"' in text for word in SHOWN_TERMS)


def test_the_page_has_no_words_of_code() -> None:
    """Kinds, actions, events and reasons are said in words."""
    shown = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page(course()), flags=re.DOTALL)
    found = set(re.findall(r"\b[a-z]+_[a-z_]+\b", shown))
    assert found <= {"native_api", "max_trials"}, found  # names of a variant and a setting
