"""A reply that repeats itself is recognised, and no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.repeats import LONGEST_PIECE, SPAN, TIMES, RepeatWatch, repeats


def noticed(text: str, step: int) -> int | None:
    """After how many characters a watch that takes pieces of this length notices."""
    watch = RepeatWatch()
    for at in range(0, len(text), step):
        if watch.feed(text[at : at + step]):
            return min(at + step, len(text))
    return None


@given(st.text(max_size=300), st.text(min_size=1, max_size=LONGEST_PIECE), st.integers(1, 200))
def test_one_piece_over_and_over_is_noticed(before: str, piece: str, step: int) -> None:
    """Whatever came before it, and however it is cut, soon after it is certain."""
    needed = max(SPAN, len(piece) * TIMES)
    found = noticed(before + piece * (needed * 2 // len(piece) + 2), step)
    assert found is not None
    assert SPAN <= found <= len(before) + needed + len(piece) + 128 + step


@given(st.lists(st.integers(), min_size=300, max_size=400, unique=True), st.integers(1, 200))
def test_lines_that_differ_are_no_repetition(numbers: list[int], step: int) -> None:
    """However alike they are."""
    assert noticed("".join(f"| row | {number} | value |\n" for number in numbers), step) is None


@given(st.text(min_size=1, max_size=40), st.integers(1, 200))
def test_a_short_repetition_is_no_fault(piece: str, step: int) -> None:
    """A rule of dashes, an indented list, a row of zeros."""
    text = (piece * SPAN)[: SPAN - 200]
    assert noticed(text + "and then it ends.", step) is None


def test_a_repetition_that_ended_is_none() -> None:
    """Only the end of the text counts."""
    assert repeats("ab" * SPAN)
    assert not repeats("ab" * SPAN + "c")
