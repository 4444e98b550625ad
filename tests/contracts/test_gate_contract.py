"""What every gate in the registry keeps to, whoever wrote it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.policy import GATES, Gate, GateCase, Look, decide
from selfopt.records import EvidenceState, PolicyThresholds, RaceEvidence, ReasonCode, RestraintEvidence
from tests.feedback.world import evaluation
from tests.ledger.race_samples import race_standing

every_gate = pytest.mark.parametrize("name", GATES.names())


def race(log_e: float, state: str) -> RaceEvidence:
    """A race that was won exactly when its evidence sufficed."""
    won = log_e >= race_standing().log_e_needed
    changes = {"log_e": log_e, "state": "promoted" if won else state, "why": "decided" if won else "futile"}
    return race_standing().evidence().model_copy(update=changes)


def restraint(log_e: float) -> RestraintEvidence:
    """Evidence for restraint, and as much against the contrary."""
    return RestraintEvidence(log_e=log_e, log_worse=-log_e, log_e_needed=3.0, margin=0.03, n_pairs=9)


_log_e = st.floats(-10, 10)
_races = st.builds(race, _log_e, st.sampled_from(["held", "dropped", "racing"]))
_states = st.builds(
    EvidenceState,
    claim=st.none() | st.sampled_from(["this_suite", "prompts_like_these"]),
    race=st.none() | _races,
    heldout=st.none() | _races,
    restraint=st.none() | st.builds(restraint, _log_e),
)
_rows = st.lists(st.text("PWUMXCTLE", min_size=3, max_size=3), max_size=6)
_sides = st.builds(
    evaluation, _rows, no_call=st.integers(0, 6), spec_id=st.sampled_from(["spec-a", "spec-b"]), determinism=st.sampled_from(["sampled", "stochastic"])
)  # fmt: skip
_thresholds = st.builds(
    PolicyThresholds,
    min_runs=st.integers(1, 8),
    promote_margin=st.floats(0, 1),
    restraint_min=st.floats(0, 1),
    max_variance=st.floats(0, 0.3),
    extended_gate_enabled=st.booleans(),
)
_cases = st.builds(GateCase, _sides, st.none() | _sides, _thresholds, st.none() | _states)


def gate_named(name: str) -> Gate:
    gate = GATES.get(name)
    assert gate is not None
    return gate


@every_gate
def test_a_gate_has_the_name_under_which_it_is_registered(name: str) -> None:
    """Decisions name it so, and people look it up by it."""
    assert gate_named(name).name == name


@every_gate
@settings(max_examples=25, deadline=None)
@given(case=_cases)
def test_a_gate_says_all_that_a_decision_keeps_and_always_the_same(name: str, case: GateCase) -> None:
    """Its reason is a word with letters alone, one of ours for a gate of ours; and it explains itself."""
    look = gate_named(name).look(case)
    assert look == gate_named(name).look(case)
    if look is None:
        return
    assert look.detail
    assert look.reason_code.replace("_", "").isalpha()
    assert look.reason_code == look.reason_code.lower()
    assert name not in GATES.builtin or look.reason_code in get_args(ReasonCode)
    assert (look.passed is None) or look.observed is not None


@every_gate
@settings(max_examples=25, deadline=None)
@given(case=_cases)
def test_what_a_gate_does_not_know_to_have_passed_is_not_promoted(name: str, case: GateCase) -> None:
    """A failure, or too little to tell, holds or rejects by itself; one that only advises does neither."""
    gate = gate_named(name)
    look = gate.look(case)
    decision = decide(case.candidate, case.baseline, case.thresholds, evidence=case.evidence, gates=(gate,))
    assert (decision.verdict == "promote") == (look is not None and not look.open)
    if look is not None and look.open:
        rejects = look.passed is False and look.on_fail == "reject" and not look.precondition
        assert decision.verdict == ("reject" if rejects else "hold")
        assert decision.reason_codes == (look.reason_code,)


@every_gate
@settings(max_examples=25, deadline=None)
@given(one=_cases, other=_cases)
def test_a_gate_keeps_to_the_threshold_that_it_names(name: str, one: GateCase, other: GateCase) -> None:
    """Where repeats differ, the verdict follows from what was observed: never two verdicts on one figure."""
    looks: list[Look] = []
    for case in (one, other):
        look = gate_named(name).look(case)
        differ = all(side.determinism == "stochastic" for side in case.sides)
        if look is not None and differ and isinstance(look.threshold, float | int):
            looks.append(look)
    if len(looks) == 2 and (looks[0].observed, looks[0].threshold) == (looks[1].observed, looks[1].threshold):
        assert looks[0].passed == looks[1].passed


@every_gate
def test_nothing_measured_is_nothing_passed(name: str) -> None:
    """With all gates together a candidate without any trial is held, whatever evidence it claims to have."""
    empty = evaluation([], spec_id="spec-b")
    state = EvidenceState(race=race(9.0, "held"))
    decision = decide(empty, evaluation(["PPP"] * 3), PolicyThresholds(), evidence=state)
    assert decision.verdict == "hold"
    assert gate_named(name).look(GateCase(empty, None, PolicyThresholds())) is None or name in {
        g.name for g in decide(empty, None, PolicyThresholds()).gates
    }
