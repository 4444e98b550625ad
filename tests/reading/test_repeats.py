"""A reply that repeats itself is recognised, and no other."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.gateway.cutting import LONG_RUN
from selfopt.reading.repeats import LONGEST_PIECE, SPAN, TIMES, RepeatWatch, repeats


def noticed(text: str, step: int, span: int = SPAN) -> int | None:
    """After how many characters a watch that takes pieces of this length notices."""
    watch = RepeatWatch(span)
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


@given(st.text(max_size=300), st.text(min_size=1, max_size=LONGEST_PIECE), st.integers(1, 2000))
def test_a_longer_span_is_noticed_as_soon_as_it_is_certain(before: str, piece: str, step: int) -> None:
    """And never sooner."""
    text = before + piece * (LONG_RUN * 2 // len(piece) + 2)
    found = noticed(text, step, LONG_RUN)
    assert found is not None
    assert LONG_RUN <= found <= len(before) + LONG_RUN + 7 * len(piece) + 512 + step


@given(st.text(min_size=1, max_size=LONGEST_PIECE), st.integers(0, LONG_RUN - 1024), st.integers(1, 500))
def test_a_repetition_shorter_than_the_span_is_no_fault(piece: str, size: int, step: int) -> None:
    """A table of zeros, the same line a hundred times."""
    text = (piece * LONG_RUN)[:size]
    assert noticed("".join(f"{number} begins. {text}" for number in range(4)), step, LONG_RUN) is None


def table(dice: random.Random) -> str:
    """A table in Markdown, most of whose cells are alike."""
    return "".join(f"| {number} | {dice.choice(['ok', 'ok', 'ok', 'failed'])} | 0 | 0 | - |\n" for number in range(600))


def rows(dice: random.Random) -> str:
    """A list of similar rows."""
    return json.dumps(
        [{"id": number, "name": "item", "tags": [], "price": 0, "on": dice.random() < 0.1} for number in range(400)]
    )


def code(dice: random.Random) -> str:
    """A program of similar lines."""
    return "".join(f"    assert parse(CASES[{number}]) == {dice.randrange(9)}  # as before\n" for number in range(500))


def binary(dice: random.Random) -> str:
    """Bytes in base64, with runs of zeros in them."""
    data = b"".join(bytes(dice.randrange(600)) + dice.randbytes(60) for _ in range(60))
    return base64.b64encode(data).decode()


def matrix(dice: random.Random) -> str:
    """A matrix that is nearly empty."""
    return json.dumps([[int(dice.random() < 0.01) for _ in range(90)] for _ in range(90)])


def indented(dice: random.Random) -> str:
    """Nested markup, mostly blanks."""
    return "".join(f"{' ' * 4 * dice.randrange(12)}<td></td>\n" for _ in range(900))


LAWFUL = [table, rows, code, binary, matrix, indented]


@pytest.mark.parametrize("content", LAWFUL)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32), step=st.integers(1, 3000))
def test_long_content_that_is_only_alike_is_never_cut(content: Callable[[random.Random], str], seed: int, step: int) -> None:
    """Tables, lists of similar rows, code, base64, matrices."""
    text = content(random.Random(seed))
    assert len(text) > LONG_RUN
    assert noticed(text, step, LONG_RUN) is None
    assert noticed(json.dumps(text), step, LONG_RUN) is None
    if content in (table, rows, code):
        assert noticed(text, step) is None
