"""Where a model stands in a phase."""

from __future__ import annotations

from selfopt.feedback.standing import standings
from tests.feedback.world import evaluation, options


def test_what_was_measured_under_several_names_of_a_model_is_read_together() -> None:
    """Under the name that was measured last; what an older name's evaluation says is not judged beside it."""
    old = evaluation(["WW"] * 4, model="a/m:latest", spec_id="spec-old", number=1)
    new = evaluation(["PP"] * 4, model="a/m", spec_id="spec-new", number=2)
    other = evaluation(["PP"] * 4, model="a/n", number=3)
    apart = standings([old, new, other], options())
    assert {model for model, _ in apart} == {"a/m:latest", "a/m", "a/n"}
    named = options(one_name=lambda model: model.removesuffix(":latest"))
    together = standings([old, new, other], named)
    assert {model for model, _ in together} == {"a/m", "a/n"}
    assert together["a/m", "atomic"].evaluations == (new,)


def test_the_baseline_of_an_older_name_counts_until_there_is_another() -> None:
    """A home may have begun under another name."""
    old = evaluation(["WW"] * 4, model="a/m:latest", spec_id="spec-old", number=1)
    new = evaluation(["PP"] * 4, model="a/m", spec_id="spec-new", number=2)
    named = options(one_name=lambda model: model.removesuffix(":latest"), baselines={("a/m:latest", "atomic"): "spec-old"})
    assert standings([old, new], named)["a/m", "atomic"].evaluations == (old,)
