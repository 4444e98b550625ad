"""How many candidates are ranked on how many prompts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.policy import FINALISTS, Rung, rungs


def test_two_hundred_candidates_come_down_to_eight_in_three_steps() -> None:
    """Two in five go on each time, and the number of answers doubles."""
    assert rungs(200) == (Rung(200, 60, 68), Rung(68, 120, 23), Rung(23, 240, 8))


@given(st.integers(1, 5000), st.integers(1, 40), st.integers(1, 100))
def test_every_screening_ends_with_the_finalists(candidates: int, finalists: int, first: int) -> None:
    """Each step takes over what the one before kept, keeps fewer and asks more; a few candidates need none."""
    steps = rungs(candidates, finalists=finalists, first=first)
    assert bool(steps) == (candidates > finalists)
    if steps:
        assert (steps[0].candidates, steps[0].prompts, steps[-1].keep) == (candidates, first, finalists)
    assert all(step.keep <= step.candidates for step in steps)
    assert all(a.keep == b.candidates and a.prompts < b.prompts for a, b in pairwise(steps))


def test_no_candidates_are_refused() -> None:
    """Nor finalists or prompts."""
    assert rungs(FINALISTS) == ()
    for bad in ({"candidates": 0}, {"candidates": 9, "finalists": 0}, {"candidates": 9, "first": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            rungs(**bad)
