"""What one test finds in many cases."""

from __future__ import annotations

import pytest

from .each import MOST_SHOWN, assert_each


def small(case: int) -> None:
    """Not for 3 and more."""
    assert case < 3


def test_every_case_that_fails_is_told_by_name() -> None:
    """Those behind the first one too, with what each raised."""
    with pytest.raises(ExceptionGroup, match="2 of 4 cases fail: a; c") as caught:
        assert_each([("a", 3), ("b", 1), ("c", 4), ("d", 2)], small)
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: a"], ["case: c"]]


def test_cases_that_hold_raise_nothing() -> None:
    """And each is asked once."""
    seen: list[int] = []
    assert_each([("a", 1), ("b", 2)], seen.append)
    assert seen == [1, 2]


def test_no_cases_are_no_proof() -> None:
    """A file of cases that is empty fails."""
    with pytest.raises(AssertionError, match="there are no cases"):
        assert_each([], small)


def test_of_many_failures_the_first_are_shown() -> None:
    """And all are counted."""
    with pytest.raises(ExceptionGroup, match=f"{MOST_SHOWN + 5} of {MOST_SHOWN + 5} cases fail") as caught:
        assert_each([(str(n), 9) for n in range(MOST_SHOWN + 5)], small)
    assert len(caught.value.exceptions) == MOST_SHOWN
