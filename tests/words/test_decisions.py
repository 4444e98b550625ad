"""Decisions in plain words."""

from __future__ import annotations

from selfopt.policy import best_hold, decide
from selfopt.records import Decision, Evaluation, GateResult, PolicyThresholds
from selfopt.words.decisions import best_hold_text, deciding_gate, decision_lines, explain
from tests.feedback.world import NOW, evaluation

PLAIN = PolicyThresholds()


def exact(passed: int, spec_id: str = "spec-b", last: str = "P") -> Evaluation:
    """Twelve prompts, the last three need no call; `last` is the outcome of the very last."""
    rows = ["W"] * (12 - passed) + ["P"] * (passed - 1) + [last]
    return evaluation(rows, no_call=3, spec_id=spec_id, determinism="sampled", variant=f"v-{spec_id}")


BASE = exact(6, "spec-a")


def test_an_explanation_names_verdict_reasons_claim_and_every_gate() -> None:
    """What a person reads."""
    decision = decide(exact(6), BASE, PLAIN, now=NOW)
    lines = explain(decision)
    text = "\n".join(lines)
    assert lines[0] == "HOLD v-spec-b for local/small atomic (baseline spec-a)"
    assert "ties keep the baseline [below_margin]" in text
    assert "claim: this suite only, exact" in text
    assert all(any(gate.name in line for line in lines) for gate in decision.gates)
    assert "FAIL    promote_margin" in text


def test_a_first_baseline_is_explained_without_an_estimate() -> None:
    """There is nothing to compare with."""
    lines = explain(decide(exact(9), None, PLAIN, now=NOW))
    assert "no baseline yet" in lines[0]
    assert not any("against the baseline:" in line for line in lines)


def test_an_advisory_gate_is_marked() -> None:
    """It is shown and decides nothing."""
    free = evaluation(["P"] * 12, determinism="sampled")
    assert any("advice only" in line for line in explain(decide(free, None, PLAIN, now=NOW)))


def test_the_best_candidate_that_was_not_promoted_is_named_with_the_gate_that_stopped_it() -> None:
    """The largest gain first, even when restraint stopped it; promotions are left out."""
    tie = decide(exact(6), BASE, PLAIN, now=NOW)
    worse = decide(exact(5, "spec-c"), BASE, PLAIN, now=NOW)
    loose = decide(exact(9, "spec-d", last="U"), BASE, PLAIN, now=NOW)
    better = decide(exact(9, "spec-e"), BASE, PLAIN, now=NOW)
    assert better.verdict == "promote"
    best = best_hold([tie, worse, loose, better])
    assert best is loose
    assert best_hold_text(loose) == "Best candidate: v-spec-d; stopped by the gate restraint: restraint 0.667, minimum 0.800."
    marked = best_hold_text(loose.model_copy(update={"synthetic": True}))
    assert marked.endswith("restraint 0.667, minimum 0.800, on synthetic prompts.")
    held = best_hold([tie, worse])
    assert held is not None
    assert "the gate promote_margin" in best_hold_text(held)


def test_without_a_failing_candidate_there_is_no_best_one() -> None:
    """None, for no decisions and for promotions only."""
    promoted = decide(exact(9), BASE, PLAIN, now=NOW)
    assert best_hold([]) is None
    assert best_hold([promoted]) is None
    assert deciding_gate(promoted) is None


def test_a_decision_without_gates_is_said_to_be_unjudged() -> None:
    """No gate is no evidence."""
    empty = best_hold([decide(exact(9), BASE, PLAIN, gates=(), now=NOW)])
    assert empty is not None
    assert "not judged" in best_hold_text(empty)


def gate(name: str, passed: bool | None) -> GateResult:
    """A gate with this result."""
    return GateResult(name=name, observed=0.0, threshold=1.0, passed=passed, reason_code=f"{name}_code", detail=f"{name} detail")


def test_a_decision_is_explained_by_the_gates_that_decided() -> None:
    """Failed and undecided gates in full, passed ones by name; every_gate explains all."""
    decision = Decision(
        decision_id="d", verdict="hold", model="m", phase="atomic", candidate_spec_id="s", baseline_spec_id=None, claim="this_suite",
        estimate=0.5, gates=(gate("one", True), gate("two", False), gate("three", None)), reason_codes=("two_code",),
        evaluation_ids=(), run_ids=(), at="now",
    )  # fmt: skip
    short = "\n".join(decision_lines(decision))
    assert "two detail" in short
    assert "three detail" in short
    assert "one detail" not in short
    assert "passed: one" in short
    full = "\n".join(decision_lines(decision, every_gate=True))
    assert "one detail" in full
    bare = decision.model_copy(update={"gates": ()})
    assert "passed" not in "\n".join(decision_lines(bare))
