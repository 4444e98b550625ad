"""Which evaluations speak for a whole suite."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import whole_evaluations
from tests.feedback.world import evaluation


def test_a_look_at_some_of_the_prompts_does_not_stand_for_the_suite() -> None:
    """Neither `--limit 1` nor the arms of a warm-up validation."""
    whole, part = evaluation(["P", "W", "W"], number=1), evaluation(["P"], number=2)
    assert whole_evaluations([whole, part]) == [whole]
    assert whole_evaluations([part]) == [part]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["one", "two"])), max_size=12))
def test_of_each_suite_the_ones_over_most_prompts_are_kept_in_their_order(sizes: list[tuple[int, str]]) -> None:
    """Suites do not compare with each other; nothing is reordered."""
    made = [evaluation(["P"] * n, number=i, suite_hash=suite) for i, (n, suite) in enumerate(sizes)]
    kept = whole_evaluations(made)
    assert kept == [e for e in made if len(e.rows) == max(n for n, suite in sizes if suite == e.suite_hash)]
