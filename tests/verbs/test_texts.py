"""Calls, expectations, variants and decisions in words."""

from __future__ import annotations

from selfopt.loop import LoopEvent
from selfopt.records import Decision, ExpectedCall, GateResult, ToolCall, Variant
from selfopt.variants import load_variants
from selfopt.verbs.texts import call_text, decision_lines, expected_text, variant_lines


def test_a_call_reads_as_it_would_be_written() -> None:
    """Names with JSON values; what is too deep is named."""
    assert call_text(ToolCall(name="f", arguments={"a": "x", "b": [1, None]})) == 'f(a="x", b=[1, null])'
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    shown = call_text(ToolCall.model_construct(name="f", arguments={"a": deep}))
    assert shown == "f(a=a list that is too deep to show)"


def test_expectations_read_as_alternatives() -> None:
    """Accepted values, what may be left out, several calls, several sets, any call, none."""
    call = ExpectedCall(name="f", arguments={"a": ["x", "y"], "b": ["", 3], "c": [""]})
    assert expected_text([[call]]) == ['f(a="x" or "y"; b=3, or left out; c, or left out)']
    guests = ExpectedCall(name="f", arguments={"guests": ["", {"any_order": ["Ann", "Bo"]}]})
    assert expected_text([[guests]]) == ['f(guests=["Ann", "Bo"] in any order, or left out)']
    two = ExpectedCall(name="g", arguments={})
    assert expected_text([[call, two], []])[1] == "or no call"
    assert " and g()" in expected_text([[call, two]])[0]
    assert expected_text([[]]) == ["no call"]
    assert expected_text("any") == ["any call"]
    assert expected_text([]) == []


def test_a_variant_shows_what_it_sets() -> None:
    """Only fields that say something, examples in short, the hash at the end."""
    lines = variant_lines(Variant(name="x"))
    assert lines[0] == "name: x"
    assert not any(line.startswith(("title", "tag", "state_digest")) for line in lines)
    assert lines[-1].startswith("variant_hash: variant-")
    assert any(line.startswith("example: ") and " -> " in line for line in variant_lines(load_variants()["few_shot"]))


def gate(name: str, passed: bool | None) -> GateResult:
    """A gate with this result."""
    return GateResult(name=name, observed=0.0, threshold=1.0, passed=passed, reason_code=f"{name}_code", detail=f"{name} detail")


def test_a_decision_is_explained_by_the_gates_that_decided() -> None:
    """Failed and undecided gates in full, passed ones by name; every_gate explains all; other events say nothing."""
    decision = Decision(
        decision_id="d", verdict="hold", model="m", phase="atomic", candidate_spec_id="s", baseline_spec_id=None, claim="this_suite",
        estimate=0.5, gates=(gate("one", True), gate("two", False), gate("three", None)), reason_codes=("two_code",),
        evaluation_ids=(), run_ids=(), at="now",
    )  # fmt: skip
    short = "\n".join(decision_lines(LoopEvent("decision", "x", decision)))
    assert "two detail" in short
    assert "three detail" in short
    assert "one detail" not in short
    assert "passed: one" in short
    full = "\n".join(decision_lines(LoopEvent("decision", "x", decision), every_gate=True))
    assert "one detail" in full
    bare = decision.model_copy(update={"gates": ()})
    assert "passed" not in "\n".join(decision_lines(LoopEvent("decision", "x", bare)))
    assert decision_lines(LoopEvent("note", "x")) == []
