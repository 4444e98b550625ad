"""Cells in forms that Arrow takes whole."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from selfopt.export.columns import Lines, Repeated


@given(st.lists(st.tuples(st.text() | st.none() | st.integers(), st.integers(1, 5))))
def test_repeated_cells_are_a_sequence_of_all_of_them(stretches: list[tuple[object, int]]) -> None:
    """However often each stands there."""
    cells = Repeated([value for value, _ in stretches], [count for _, count in stretches])
    plain = [value for value, count in stretches for _ in range(count)]
    assert list(cells) == plain
    assert len(cells) == len(plain)
    assert cells[1:] == plain[1:]
    assert [cells[n] for n in range(len(plain))] == plain


@given(st.lists(st.text()))
def test_lines_are_a_sequence_of_texts(texts: list[str]) -> None:
    """Also empty ones, and those with other separators in them."""
    written = [json.dumps(text, ensure_ascii=False) for text in texts if text.isprintable()]
    lines = Lines("".join(f"{text}\n" for text in written).encode(), len(written))
    assert list(lines) == written
    assert len(lines) == len(written)
