"""Thinking kept apart from the answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.thinking import ThinkingSplitter, split_thinking

PIECES = st.lists(st.sampled_from(["<think>", "</think>", "<thi", "nk>", "a", " ", "\n", "<", "</", "answer"]), max_size=10)


@pytest.mark.parametrize(
    ("raw", "answer", "thinking"),
    [
        ("plain", "plain", ""),
        ("", "", ""),
        ("<think>why</think>\n\nbecause", "because", "why"),
        ("  <think> a </think> <think>b</think> c", "c", "a b"),
        ("<think>never closed", "", "never closed"),
        ("<think></think>x", "x", ""),
        ("opened by the template</think>\nx", "x", "opened by the template"),
        ("Write <think> in XML", "Write <think> in XML", ""),
        ("<thinking is hard", "<thinking is hard", ""),
        ("<thi", "<thi", ""),
        ("<think>a</think", "", "a</think"),
    ],
)
def test_blocks_at_the_start_are_thinking(raw: str, answer: str, thinking: str) -> None:
    """Closed, unclosed, several, or opened by the template; a tag within the answer is text."""
    assert split_thinking(raw) == (answer, thinking)


@given(PIECES.map("".join), st.lists(st.integers(0, 40), max_size=8))
def test_cutting_into_pieces_changes_nothing(raw: str, cuts: list[int]) -> None:
    """However the text arrives, the same is answer and the same is thinking."""
    whole, parts = ThinkingSplitter(), ThinkingSplitter()
    expected = [whole.feed(raw), whole.end()]
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    got = [parts.feed(raw[a:b]) for a, b in pairwise(places)] + [parts.end()]
    for side in (0, 1):
        assert "".join(p[side] for p in got) == "".join(p[side] for p in expected)


@given(st.text())
def test_text_without_tags_is_the_answer(raw: str) -> None:
    """Untouched."""
    if "think>" not in raw:
        assert split_thinking(raw) == (raw, "")
