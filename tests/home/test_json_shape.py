"""Depth and fullness of JSON, counted as a decoder would find them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selfopt.home import JsonShape, ShapeLimits, TooDeepError, TooFullError, shape_steps

FREE = ShapeLimits(1000, 1_000_000, 1_000_000, 1_000_000)
values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{}:,\n', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"\\[]{}:,', max_size=4), inner, max_size=4),
    max_leaves=20,
)


def _deep(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_deep, value.values()), default=0)
    return 1 + max(map(_deep, value), default=0) if isinstance(value, list) else 0


def _containers(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_containers, inner)) + isinstance(value, dict | list)


@given(values, st.booleans(), st.lists(st.integers(0, 300), max_size=8))
@example({"": {'::"': None}}, False, [10, 10])  # an empty piece behind a backslash
def test_the_count_is_a_decoders_wherever_the_text_is_cut(value: Any, ascii_only: bool, cuts: list[int]) -> None:
    """Texts hold brackets, quotes and backslashes of their own, which count for nothing."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    shape = JsonShape(FREE)
    for start, end in pairwise(places):
        shape.feed(text[start:end])
    assert shape.depth == 0
    assert shape.containers == _containers(value)
    deep = _deep(value)
    list(shape_steps(text, ShapeLimits(deep, 1000, 1000, 1000)))
    if deep > 1:
        with pytest.raises(TooDeepError):
            list(shape_steps(text, ShapeLimits(deep - 1, 1000, 1000, 1000)))


@pytest.mark.parametrize(
    "text", [b"[" * 5_000_000, b'{"a":' * 1_000_000, b'{"a": "' + b"x" * 300_000 + b'", "b": ' + b"[" * 5_000_000]
)
def test_too_deep_is_known_at_the_first_step_that_shows_it(text: bytes) -> None:
    """Not at the end of twenty megabytes: what follows is not looked at."""
    steps = shape_steps(text, ShapeLimits(64, 1000, 1000, 1000))
    seen: list[None] = []
    with pytest.raises(TooDeepError):
        seen.extend(steps)
    assert len(seen) <= 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"[" + b"[]," * 2000 + b"1]", "lists and objects"),
        (b"[" + b"1," * 2000 + b"1]", "values"),
        (b"{" + b'"a":1,' * 1500 + b'"a":1}', "values"),
        (b"{" + b'"a":[],' * 600 + b'"a":1}', "keys at the top"),
    ],
)
def test_what_is_too_full_is_named(text: bytes, what: str) -> None:
    """Which count is over its limit."""
    with pytest.raises(TooFullError, match=what):
        list(shape_steps(text, ShapeLimits(64, 1000, 1000, 100)))


def test_a_step_reads_a_bounded_part() -> None:
    """However long the text is."""
    assert len(list(shape_steps(b'"' + b"a" * 10_000_000 + b'"', FREE))) == 39
