"""Promote, hold or reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.policy import GATES, GateCase, Look, decide
from selfopt.records import Decision, Environment, Evaluation, GateResult, PolicyThresholds
from selfopt.words.decisions import REASONS
from tests.examples import some_of
from tests.feedback.world import NOW, any_evaluations, evaluation

PLAIN = PolicyThresholds()


def exact(passed: int, of: int = 12, *, spec_id: str = "spec-b", no_call: int = 3, **changes: Any) -> Evaluation:
    """A deterministic evaluation whose failures are on prompts that need a call."""
    rows = ["W"] * (of - passed) + ["P"] * passed
    return evaluation(rows, no_call=no_call, spec_id=spec_id, determinism="sampled", **changes)


def repeated(letters: str, spec_id: str = "spec-b", of: int = 12, **changes: Any) -> Evaluation:
    """A stochastic evaluation in which every prompt has the same row."""
    return evaluation([letters] * of, spec_id=spec_id, **changes)


def judged(candidate: Evaluation, baseline: Evaluation | None, thresholds: PolicyThresholds = PLAIN) -> Decision:
    return decide(candidate, baseline, thresholds, now=NOW)


def seen(decision: Decision, name: str) -> GateResult:
    """The gate of that name."""
    (gate,) = [g for g in decision.gates if g.name == name]
    return gate


def test_a_better_deterministic_candidate_is_promoted_exactly() -> None:
    """From 3 to 8 of 12: known, no test needed."""
    decision = judged(exact(8), exact(3, spec_id="spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("promote", ("improved",))
    assert decision.claim == "this_suite_exact"
    assert decision.estimate == pytest.approx(5 / 12)
    assert decision.interval == pytest.approx((5 / 12, 5 / 12))
    assert all(g.passed for g in decision.gates)
    assert len(decision.evaluation_ids) == 2
    assert len(decision.run_ids) == 2
    assert decision.evidence.exact is not None
    assert (decision.evidence.exact.gain, decision.evidence.exact.prompts) == (decision.estimate, 12)


def test_the_warm_up_of_the_specification_is_promoted() -> None:
    """FFPPPPP to PPPPPPP: 0.714 to 1.0, although the baseline's median run is perfect already."""
    decision = judged(repeated("PPPPPPP", no_call=3), repeated("TTPPPPP", "spec-a", no_call=3))
    assert decision.verdict == "promote"
    assert decision.estimate == pytest.approx(2 / 7)
    assert decision.claim == "this_suite"
    assert decision.interval is None


def test_a_tie_keeps_the_baseline() -> None:
    """Equal outcomes: a remedy that only saves time is not a promotion."""
    decision = judged(exact(8), exact(8, spec_id="spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("hold", ("below_margin",))
    free = judged(exact(8), exact(8, spec_id="spec-a"), PolicyThresholds(promote_margin=0))
    assert free.verdict == "hold"


def test_a_gain_below_the_margin_is_held_and_at_the_margin_promoted() -> None:
    """1 of 100 is below 0.02; 2 of 100 reach it."""
    baseline = exact(50, 100, spec_id="spec-a")
    assert judged(exact(51, 100), baseline).reason_codes == ("below_margin",)
    assert judged(exact(52, 100), baseline).verdict == "promote"


def test_a_regression_is_rejected() -> None:
    """One of twelve less."""
    decision = judged(exact(7), exact(8, spec_id="spec-a"))
    assert decision.verdict == "reject"
    assert decision.reason_codes[0] == "regression"


def test_a_candidate_that_did_as_the_baseline_did_is_no_regression() -> None:
    """FFPPPPP beside FFPPPPP: the variance and the margin hold it back, nothing says that it is worse."""
    decision = judged(repeated("TTPPPPP", no_call=0), repeated("TTPPPPP", "spec-a", no_call=0))
    assert decision.verdict == "hold"
    assert set(decision.reason_codes) == {"high_variance", "below_margin"}


def test_one_failure_in_84_does_not_lose_against_a_baseline_that_fails_while_it_loads() -> None:
    """Whose median run is perfect: 0.714 to 0.988 is no regression."""
    warm = evaluation(["PPPPPPP"] * 11 + ["PPPPPPW"], spec_id="spec-b")
    decision = judged(warm, repeated("TTPPPPP", "spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("promote", ("improved",))


def test_a_mean_below_the_baselines_is_a_regression_whatever_the_median() -> None:
    """One whole run lost: the median run is as before, the mean is not."""
    decision = judged(repeated("PPPPPPW"), repeated("PPPPPPP", "spec-a"))
    assert decision.reason_codes[0] == "regression"
    assert seen(decision, "no_regression").observed == pytest.approx(6 / 7)


def test_too_few_runs_are_held_even_when_everything_else_would_reject() -> None:
    """Not enough data never condemns a candidate either."""
    decision = judged(repeated("WW"), repeated("PPP", "spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_enough_runs",))
    assert judged(repeated("PPP"), repeated("WW", "spec-a")).reason_codes == ("baseline_not_enough_runs",)


def test_a_deterministic_spec_needs_no_repeats() -> None:
    """One pass is all there is to know; `unknown` determinism is not enough."""
    assert seen(judged(exact(8), None), "min_runs").passed is True
    unknown = exact(8).model_copy(update={"determinism": "unknown"})
    assert judged(unknown, None).reason_codes == ("not_enough_runs",)


def test_restraint_below_the_minimum_is_rejected() -> None:
    """2 of 3 no-call prompts are not 0.80."""
    rows = ["P"] * 11 + ["U"]
    decision = judged(evaluation(rows, no_call=3, spec_id="spec-b", determinism="sampled"), exact(3, spec_id="spec-a"))
    assert decision.verdict == "reject"
    assert decision.reason_codes == ("low_restraint",)


def test_a_suite_without_no_call_prompts_does_not_ask_for_restraint() -> None:
    """The gate is shown, and binds nobody."""
    decision = judged(exact(8, no_call=0), exact(3, no_call=0, spec_id="spec-a"))
    assert decision.verdict == "promote"
    assert seen(decision, "restraint").binding is False


def test_accuracy_that_differs_from_run_to_run_is_held() -> None:
    """Whole runs that fail give a variance far above 0.0025."""
    decision = judged(repeated("PPPPPPW", no_call=3), repeated("WWWWWWW", "spec-a", no_call=3))
    assert decision.verdict in ("hold", "reject")
    assert "high_variance" in decision.reason_codes


def test_an_extended_candidate_below_the_minimum_is_rejected_unless_the_gate_is_off() -> None:
    """The specification's gate, on accuracy and on call accuracy."""
    weak = exact(3, no_call=0, phase="extended")
    decision = judged(weak, exact(0, no_call=0, phase="extended", spec_id="spec-a"))
    assert decision.verdict == "reject"
    assert "extended_minimum" in decision.reason_codes
    off = PolicyThresholds(extended_gate_enabled=False)
    assert judged(weak, exact(0, no_call=0, phase="extended", spec_id="spec-a"), off).verdict == "promote"
    mute = evaluation(["M"] * 2 + ["P"] * 10, no_call=10, phase="extended", determinism="sampled")
    assert "extended_minimum" in judged(mute, None).reason_codes
    assert not [g for g in judged(exact(3), None).gates if g.name == "extended_minimum"]


def test_a_mute_candidate_is_not_better_than_saying_nothing() -> None:
    """Its accuracy is the share of no-call prompts."""
    mute = evaluation(["M"] * 2 + ["P"] * 10, no_call=10, spec_id="spec-b", determinism="sampled")
    decision = judged(mute, None)
    assert decision.verdict == "reject"
    assert decision.reason_codes == ("not_above_silent",)


def test_the_always_calling_policy_must_be_beaten_too() -> None:
    """On a suite of calls without arguments it does well."""
    always = {"accuracy": 0.75, "call_accuracy": 1.0, "restraint": 0.0}
    decision = judged(exact(9, metrics={"always_calling": always}), exact(3, spec_id="spec-a"))
    assert decision.reason_codes == ("not_above_always_calling",)
    assert decision.verdict == "reject"


def test_a_perfect_baseline_is_a_ceiling() -> None:
    """Nothing can be promoted over it, and that is a normal hold."""
    decision = judged(exact(12), exact(12, spec_id="spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("hold", ("ceiling",))


def test_a_baseline_of_zero_is_beaten_by_one_fix() -> None:
    """No division by it."""
    decision = judged(exact(10), exact(0, spec_id="spec-a", no_call=0).model_copy(update={"rows": exact(10).rows}))
    assert decision.verdict == "promote"
    assert decision.estimate == pytest.approx(10 / 12)


def test_the_first_baseline_needs_the_gates_but_no_comparison() -> None:
    """No baseline yet: nothing to regress from."""
    decision = judged(exact(9), None)
    assert (decision.verdict, decision.reason_codes) == ("promote", ("first_baseline",))
    assert decision.estimate is None
    assert decision.baseline_spec_id is None
    assert not {"comparable", "no_regression", "ceiling", "promote_margin"} & {g.name for g in decision.gates}


@pytest.mark.parametrize(
    "change",
    [
        {"suite_hash": "other"},
        {"split": "search"},
        {"scorer_hash": "other"},
        {"environment_id": "env-2"},
        {"model": "local/other"},
        {"phase": "extended"},
        {"spec_id": "spec-b"},
    ],
)
def test_what_was_not_measured_alike_is_not_compared(change: dict[str, str]) -> None:
    """Hold, with what differs in words, and no estimate."""
    decision = judged(exact(9), exact(3, spec_id="spec-a").model_copy(update=change))
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_comparable",))
    assert decision.estimate is None
    assert "differs" in seen(decision, "comparable").detail


def test_an_environment_of_which_less_was_known_is_compared_when_nothing_known_differs() -> None:
    """A server tells less before it has loaded the model; another digest is another environment."""
    cold = Environment(endpoint="e", model="local/small")
    warm = cold.model_copy(update={"digest": "sha-1", "context_size": 2048})
    larger = warm.model_copy(update={"context_size": 4096})
    other = warm.model_copy(update={"digest": "sha-2"})

    def verdict(one: Environment, two: Environment, known: bool = True) -> str:
        baseline = exact(3, spec_id="spec-a", environment_id=one.environment_id)
        candidate = exact(9, environment_id=two.environment_id)
        return decide(candidate, baseline, PLAIN, environments=(one, two) if known else (), now=NOW).reason_codes[0]

    assert verdict(cold, warm) == verdict(warm, larger) == "improved"
    assert verdict(warm, other) == verdict(cold, warm, known=False) == "not_comparable"


def test_a_part_of_the_suite_is_not_compared_with_the_whole() -> None:
    """Three perfect prompts say nothing against twelve."""
    assert judged(exact(3, 3, no_call=1), exact(8, spec_id="spec-a")).reason_codes == ("not_comparable",)


def test_an_outage_of_the_server_promotes_nobody() -> None:
    """A baseline that never reached the model was not measured; some errors may be what retries repair."""
    down = evaluation(["E"] * 12, spec_id="spec-a", determinism="sampled", no_call=3)
    assert judged(exact(9), down).reason_codes == ("mostly_errors",)
    shaky = evaluation(["E"] * 4 + ["P"] * 8, spec_id="spec-a", determinism="sampled", no_call=3)
    assert judged(exact(12), shaky).verdict == "promote"


def test_nothing_measured_is_held() -> None:
    """No trial, no verdict."""
    assert judged(evaluation([], determinism="sampled"), None).reason_codes == ("no_data",)
    assert decide(exact(9), None, PLAIN, gates=(), now=NOW).verdict == "hold"


def test_a_sample_suite_is_claimed_for_prompts_like_these_without_a_bound() -> None:
    """The plain gates do not bound the chance of a false promotion, and say so."""
    decision = judged(exact(9, scope="sample"), exact(3, spec_id="spec-a", scope="sample"))
    assert decision.claim == "plain_gates"
    assert decision.interval is None


def test_the_same_inputs_give_the_same_id() -> None:
    """And another cycle another one."""
    one, two = judged(exact(9), None), judged(exact(9), None)
    assert one.decision_id == two.decision_id
    assert decide(exact(9), None, PLAIN, cycle_id="cycle-1", now=NOW).decision_id != one.decision_id
    assert decide(exact(9), None, PLAIN).at.endswith("Z")


class Doubting:
    """A gate that can't tell unless it is told."""

    name = "doubting"

    def __init__(self, passed: bool | None) -> None:
        self._passed = passed

    def look(self, case: GateCase) -> Look:
        """Says what it was told."""
        return Look(None, 3.0, self._passed, "", reason_code="doubted")


def test_another_gate_joins_the_list_and_its_doubt_holds() -> None:
    """As an installed package would add one."""
    base = exact(3, spec_id="spec-a")
    with GATES.adding("doubting", Doubting(None)):
        held = decide(exact(9), base, PLAIN, now=NOW)
        assert (held.verdict, held.reason_codes) == ("hold", ("doubted",))
    with GATES.adding("doubting", Doubting(True)):
        assert decide(exact(9), base, PLAIN, now=NOW).verdict == "promote"


_thresholds = st.builds(
    PolicyThresholds,
    min_runs=st.integers(1, 8),
    promote_margin=st.floats(0, 1),
    restraint_min=st.floats(0, 1),
    max_variance=st.floats(0, 0.3),
    extended_phase_min_accuracy=st.floats(0, 1),
    extended_gate_enabled=st.booleans(),
)
_exact = st.builds(
    exact,
    st.integers(0, 12),
    spec_id=st.sampled_from(["spec-a", "spec-b"]),
    phase=st.sampled_from(["atomic", "extended"]),
    no_call=st.integers(0, 12),
)
_any = any_evaluations(models=("local/a",)) | _exact


@settings(max_examples=some_of(120), deadline=None)
@given(_any, st.none() | _any, _thresholds)
def test_nothing_is_promoted_while_a_binding_gate_failed_or_could_not_tell(
    candidate: Evaluation, baseline: Evaluation | None, thresholds: PolicyThresholds
) -> None:
    """For any two evaluations; the verdict follows from the gates shown, and every reason is in the table."""
    decision = judged(candidate, baseline, thresholds)
    open_gates = [g for g in decision.gates if g.binding and g.passed is not True]
    assert (decision.verdict == "promote") == (not open_gates)
    if decision.verdict == "reject":
        assert any(g.passed is False and g.on_fail == "reject" for g in open_gates)
    if decision.verdict == "promote" and baseline is not None:
        assert candidate.metrics.accuracy > baseline.metrics.accuracy
    assert decision.reason_codes
    assert set(decision.reason_codes) <= set(REASONS)


_STRICTER: list[Callable[[float], dict[str, float]]] = [
    lambda x: {"promote_margin": x},
    lambda x: {"restraint_min": x},
    lambda x: {"extended_phase_min_accuracy": x},
    lambda x: {"max_variance": 1 - x},
    lambda x: {"min_runs": 1 + int(x * 10)},
]


@settings(max_examples=some_of(120), deadline=None)
@given(_exact, st.none() | _exact, st.sampled_from(_STRICTER), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_threshold_never_promotes_what_a_laxer_one_did_not(
    candidate: Evaluation, baseline: Evaluation | None, make: Callable[[float], dict[str, float]], one: float, other: float
) -> None:
    """Monotone in every threshold."""
    lax, strict = sorted((one, other))
    if judged(candidate, baseline, PLAIN.model_copy(update=make(strict))).verdict == "promote":
        assert judged(candidate, baseline, PLAIN.model_copy(update=make(lax))).verdict == "promote"


@pytest.mark.parametrize("answer", [ZeroDivisionError, 3])
def test_a_gate_of_a_package_that_fails_holds_the_candidate(answer: Any) -> None:
    """Whether it raises or answers with something else: it can't tell, so nothing is promoted."""

    class Broken:
        name = "broken"

        def look(self, case: GateCase) -> Look | None:
            """Fails."""
            if answer is ZeroDivisionError:
                raise answer
            found: Look | None = answer
            return found

    with GATES.adding("broken", Broken()):
        decision = judged(exact(8), exact(3, spec_id="spec-a"))
    assert (decision.verdict, decision.reason_codes) == ("hold", ("gate_failed",))
