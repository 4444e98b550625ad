"""The prompts in which rows differ: whatever models wrote, it stays text, within its width and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from selfopt.records import AnswerExcerpt, Differences, Outcome, PromptDifference, PromptExcerpt
from selfopt.report import differences_markdown, differences_text, to_text

NASTY = (
    "]]>",
    "::error::",
    "a|b",
    "`x`",
    "```",
    "\x1b[2J",
    "<b>",
    "[x](y)",
    "\n- x",
    "\n# x",
    "[bold]",
    "1. x",
    "\u202e",
    "---",
    "\r",
)
texts = st.text() | st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=6).map("".join)


def of(text: str) -> Differences:
    """Two rows that differ in one prompt, with this text wherever it comes from elsewhere."""
    prompt = PromptExcerpt(suite=text, prompt_id=text, kind=text, needs_call=True, asked=(("user", text),), expected=(text,))

    def answer(outcome: Outcome) -> AnswerExcerpt:
        return AnswerExcerpt(
            model=text,
            variant=text,
            letters="F",
            outcome=outcome,
            trial_id="t",
            replies=(text,),
            calls=(text,),
            notes=(text,),
            why="w",
        )

    one = PromptDifference(prompt=prompt, answers=(answer(Outcome.PASS), answer(Outcome.MISSED)))
    return Differences(compared=3, differing=2, prompts=(one,))


@given(texts, st.sampled_from([50, 80]))
def test_a_terminal_gets_text_that_fits(text: str, width: int) -> None:
    """No control character, and no line wider than the terminal."""
    lines = to_text(differences_text(of(text)), width=width).split("\n")
    shown = "\n".join(lines)
    assert not {"\x1b", "\x07", "\r", "\u202e", "\x00"} & set(shown)
    assert "1 prompt more" in shown


@pytest.mark.parametrize("width", [50, 80])
def test_a_long_word_is_folded(width: int) -> None:
    """Nothing is cut off within the bounds of a text."""
    lines = to_text(differences_text(of("x" * 700)), width=width).split("\n")
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace(" ", "").count("x" * 700) >= 4


@given(texts)
def test_markdown_has_the_shape_that_harmless_text_has(text: str) -> None:
    """No heading, list, code, HTML or link of somebody else's."""

    def shape(value: str) -> list[str]:
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(differences_markdown(of(value)))
        inner = [child.type for token in tokens for child in token.children or ()]
        assert not {"html_inline", "link_open", "image", "code_inline"} & set(inner)
        return [token.type for token in tokens]

    assert shape(text or "y") == shape("x")


def test_long_replies_are_cut_and_many_prompts_are_counted() -> None:
    """A reply of a megabyte takes no more than its share."""
    found = of("x" * 1_000_000)
    assert len(differences_markdown(found)) < 20_000
    assert len(to_text(differences_text(found))) < 20_000
