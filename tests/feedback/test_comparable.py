"""Which evaluations may be read together, and which one to go by."""

from __future__ import annotations

from selfopt.feedback.comparable import best_known, comparable, with_known_copies
from tests.feedback.world import evaluation


def test_only_comparable_evaluations_are_read_together_and_no_run_twice() -> None:
    """Another environment is left out; a later evaluation of the same runs replaces the earlier."""
    old = evaluation(["PPP"], number=1)
    elsewhere = evaluation(["PPP"], number=2, environment_id="env-2")
    again = evaluation(["PPP"], number=3).model_copy(update={"run_ids": old.run_ids})
    new = evaluation(["PPP"], number=4)
    assert comparable([old, elsewhere, again, new]) == [again, new]


def test_a_pass_that_repeats_a_deterministic_one_is_known_to_be_a_copy() -> None:
    """Until one differs: then nothing after it is a copy of anything."""
    shown = evaluation(["P", "W"], number=1, determinism="sampled")
    copy, other, later = (
        evaluation(rows, number=n, determinism="unknown") for n, rows in enumerate((["P", "W"], ["P", "P"], ["P", "W"]), 2)
    )
    told = with_known_copies([shown, copy, other, later])
    assert [e.determinism for e in told] == ["sampled", "sampled", "unknown", "unknown"]
    assert with_known_copies([copy, shown])[0].determinism == "unknown"


def test_the_evaluation_to_go_by_is_the_newest_whole_one_that_says_something_new() -> None:
    """A part of the suite, nothing at all, and a copy of what is known exactly take no other's place."""
    shown = evaluation(["P", "W"], number=1, determinism="sampled")
    copy = evaluation(["P", "W"], number=2, determinism="unknown")
    part, nothing = evaluation(["W"], number=3), evaluation(["", ""], number=4)
    assert best_known([shown, copy, part, nothing]) == shown
    other = evaluation(["P", "P"], number=5, determinism="unknown")
    assert best_known([shown, copy, other]) == other
    assert best_known([nothing]) is None
    assert best_known([]) is None
