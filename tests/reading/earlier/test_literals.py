"""A value that is JSON by the letter is read fast, and read alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfopt.reading.earlier.literals import LiteralReader, UnreadableError
from selfopt.reading.readers.base import DEPTH_LIMIT
from tests.examples import some_of

SCALAR = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8
)
WRITTEN = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    st.lists(VALUE, max_size=3) | st.dictionaries(st.text(max_size=3), VALUE, max_size=3),
    st.booleans(),
    st.sampled_from([None, 1]),
)
PIECES = (
    "{",
    "}",
    "[",
    "]",
    '"a"',
    "'a'",
    ":",
    ",",
    " ",
    "\t",
    "1",
    "-0",
    "1.5",
    "01",
    "1.",
    "1e999",
    "-Infinity",
    "NaN",
    "true",
)
DAMAGED = st.lists(
    st.sampled_from((*PIECES, "True", '"\\ud83d"', '"\\n"', '"\n"', '"\\q"', "é", "9" * 65, "0." + "1" * 65)), max_size=12
)


def said(text: str, *, strict: bool) -> tuple[Any, ...]:
    """The value, its type, where it ends and whether it was repaired; or how far the reader got."""
    reader = LiteralReader(text, strict=strict)
    try:
        value, end = reader.value(0)
    except UnreadableError as stopped:
        return ("unreadable", stopped.position)
    return (repr(value), end, reader.repaired)


@settings(deadline=None, max_examples=some_of(300))
@given(WRITTEN, st.text(max_size=3))
def test_what_json_writes_is_read_alike(written: str, behind: str) -> None:
    """With anything behind it."""
    assert said(written + behind, strict=True) == said(written + behind, strict=False)


@settings(deadline=None, max_examples=some_of(500))
@given(st.builds(lambda opener, pieces: opener + "".join(pieces), st.sampled_from(["{", "[", "("]), DAMAGED))
@example('{"a": 1e999}')
@example('{"a": "\\ud83d\\ude00 \\ud83d"}')
@example('{"a": NaN}')
@example('{"a": 1, "a": 2}')
def test_what_is_damaged_is_read_alike(text: str) -> None:
    """Whatever the fast way can't read is read as if there were none."""
    assert said(text, strict=True) == said(text, strict=False)


@pytest.mark.parametrize("depth", [DEPTH_LIMIT, DEPTH_LIMIT + 1, DEPTH_LIMIT + 2, 100_000])
def test_depth_is_bounded_alike(depth: int) -> None:
    """Also where the fast way would go deeper."""
    text = "[" * depth + "]" * depth
    assert said(text, strict=True) == said(text, strict=False)


def test_only_the_first_value_is_tried_fast() -> None:
    """A text of many beginnings that are no JSON is read in linear time."""
    reader = LiteralReader("{'a': 1}")
    reader.value(0)
    assert not reader.strict
