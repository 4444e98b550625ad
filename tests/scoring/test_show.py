"""Values in one short line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from selfopt.scoring.show import clip, show_name, show_value

from .test_values import JSON


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Oslo", "'Oslo'"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (-3, "-3"),
        (["a", 1], "['a', 1]"),
        ({"a": [1]}, "{a: [1]}"),
        ({1: 2}, "{1: 2}"),
        ([[[[1]]]], "[[[[...]]]]"),
        ({"a": {"b": {"c": {}}}}, "{a: {b: {c: {...}}}}"),
        (list(range(9)), "[0, 1, 2, 3, 4, and 4 more]"),
        ("a\x1b[2J\u202e\n", "'a\\u001b[2J\\u202e\\u000a'"),
        ({10**5000: 1}, "{an integer of 16610 bits: 1}"),
        (object(), "a object"),
    ],
)
def test_a_value_is_shown_plainly(value: Any, shown: str) -> None:
    """Bounded in length, depth and digits; control characters escaped."""
    assert show_value(value) == shown


def test_an_integer_too_long_to_print_is_measured() -> None:
    """Python refuses to print it."""
    assert show_value(10**5000) == "an integer of 16610 bits"


@given(JSON)
def test_any_value_is_one_printable_bounded_line(value: Any) -> None:
    """Never raises, never breaks the line."""
    shown = clip(show_value(value))
    assert shown.isprintable()
    assert len(shown) <= 400


def test_long_names_are_cut() -> None:
    """A tool's name of a megabyte is no reason for a long line."""
    assert show_name("x" * 1_000_000) == "x" * 60 + "..."
    assert clip("y" * 1000).endswith("...")
