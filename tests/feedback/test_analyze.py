"""From evaluations to recommendations: the defaults, fallbacks, and what must not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.feedback import FeedbackOptions, ReferenceSuite, analyze
from selfopt.feedback.judge import judge
from selfopt.feedback.standing import standings
from selfopt.records import Environment, Evaluation, Feedback, Phase, PolicyThresholds, Recommendation, Remedy
from tests.examples import some_of
from tests.feedback.world import any_evaluations, evaluation, options

SMALL, BIG, CLOUD = "local/small", "local/big", "remote/cloud"


def rows(passed: int, of: int, no_call: int = 0, letter: str = "W") -> list[str]:
    """Deterministic rows; the failures come first, among the prompts that need a call."""
    assert of - passed <= of - no_call
    return [letter] * (of - passed) + ["P"] * passed


def measured(model: str, phase: Phase, passed: int, of: int = 20, no_call: int = 0, number: int = 1) -> Evaluation:
    return evaluation(rows(passed, of, no_call), model=model, phase=phase, no_call=no_call, number=number, determinism="sampled")


def gate(feedback: Feedback, model: str = SMALL, phase: Phase = "extended") -> Recommendation:
    """The one phase gate of a model and phase."""
    (found,) = [r for r in feedback.recommendations if (r.type, r.model, r.phase) == ("phase_gate", model, phase)]
    return found


def types(feedback: Feedback, model: str = SMALL) -> list[str]:
    return [r.type for r in feedback.recommendations if r.model == model]


def with_fallbacks(*models: str, **changes: object) -> FeedbackOptions:
    return options(fallbacks={"atomic": models, "extended": models}, **changes)


def test_extended_below_the_minimum_is_disabled_with_the_fallback_that_passed() -> None:
    """The specification's rule: 0 % on extended, the stronger model takes over."""
    feedback = analyze([measured(SMALL, "extended", 0), measured(BIG, "extended", 20)], with_fallbacks(BIG))
    found = gate(feedback)
    assert (found.action, found.allow, found.fallback) == ("disable", False, BIG)
    assert "0.000" in found.reason
    assert "extended_phase_min_accuracy" in found.reason
    assert BIG in found.reason
    assert found.confidence == "exact"
    assert any("extended-spec-a-1" in item for item in found.evidence)
    assert gate(feedback, BIG).allow is True


@pytest.mark.parametrize(
    ("passed", "allow", "stronger"), [(0, False, False), (5, False, False), (6, True, True), (9, True, True), (10, True, False)]
)
def test_extended_thresholds_are_0_30_and_0_50(passed: int, allow: bool, stronger: bool) -> None:
    """Of 20: 6 is the minimum, 10 the recommendation."""
    feedback = analyze([measured(SMALL, "extended", passed)], options())
    assert gate(feedback).allow is allow
    assert ("stronger_model" in types(feedback)) is stronger


@pytest.mark.parametrize(
    ("passed", "allow", "stronger"), [(4, False, False), (5, False, False), (6, True, True), (15, True, True), (16, True, False)]
)
def test_atomic_thresholds_are_0_80_and_the_trivial_policies(passed: int, allow: bool, stronger: bool) -> None:
    """Of 20, 5 need no call: never calling scores 5, so 6 is above it; 16 is the minimum (11 of 15 calls is not)."""
    seen = evaluation(
        rows(passed, 20), determinism="sampled", metrics={"silent": {"accuracy": 0.25, "call_accuracy": 0, "restraint": 1}}
    )
    feedback = analyze([seen], options())
    assert gate(feedback, phase="atomic").allow is allow
    assert ("stronger_model" in types(feedback)) is stronger


def test_the_minima_bind_call_accuracy_so_a_mute_model_does_not_pass() -> None:
    """18 of 20 from prompts that need nothing: accuracy 0.90, call accuracy 0."""
    phases: tuple[Phase, ...] = ("atomic", "extended")
    for phase in phases:
        mute = evaluation(["M"] * 2 + ["P"] * 18, no_call=18, phase=phase, determinism="sampled")
        assert gate(analyze([mute], options()), phase=phase).allow is False


def test_accuracy_at_the_minimum_with_call_accuracy_below_it_is_not_enough_on_atomic() -> None:
    """16 of 20, but only 11 of 15 calls: allowed as above trivial, with a stronger model recommended."""
    feedback = analyze([measured(SMALL, "atomic", 16, no_call=5)], options())
    assert gate(feedback, phase="atomic").allow is True
    assert "stronger_model" in types(feedback)


def test_the_first_qualifying_candidate_is_named_and_the_reason_lists_why_not_the_others() -> None:
    """Unmeasured, too weak, no better, remote: each with its reason; then nobody is left."""
    seen = [
        measured(SMALL, "extended", 3),
        measured("local/weak", "extended", 2),
        measured(CLOUD, "extended", 20),
    ]
    found = gate(analyze(seen, with_fallbacks("local/unseen", "local/weak", CLOUD)))
    assert found.fallback is None
    assert "refused" in found.reason
    assert "local/unseen was not measured on extended" in found.reason
    assert "local/weak is itself not allowed" in found.reason
    assert "remote/cloud is remote and allow_remote is off" in found.reason
    assert gate(analyze(seen, with_fallbacks("local/weak", CLOUD, allow_remote=True))).fallback == CLOUD


def test_a_remote_model_may_fall_back_on_a_remote_one_without_consent() -> None:
    """Nothing leaves the machine that had not left it already."""
    seen = [measured("remote/weak", "extended", 0), measured(CLOUD, "extended", 20)]
    assert gate(analyze(seen, with_fallbacks(CLOUD)), "remote/weak").fallback == CLOUD


def test_a_fallback_measured_on_other_content_or_only_in_part_does_not_count() -> None:
    """Another suite content, or 3 of 20 prompts, proves nothing."""
    other = measured(BIG, "extended", 20).model_copy(update={"suite_hash": "suite-old"})
    part = measured(BIG, "extended", 3, of=3)
    weak = measured(SMALL, "extended", 0)
    assert "other prompts" in gate(analyze([weak, other], with_fallbacks(BIG))).reason
    assert "not measured" in gate(analyze([weak, part], with_fallbacks(BIG))).reason
    exact = options(references={"extended": ReferenceSuite("extended", "suite-extended", 20)}, fallbacks={"extended": [BIG]})
    assert "not measured" in gate(analyze([weak, part], exact)).reason


def test_the_order_of_candidates_is_kept() -> None:
    """The better one does not win over the preferred one."""
    seen = [measured(SMALL, "extended", 0), measured("local/x", "extended", 12), measured(BIG, "extended", 20)]
    assert gate(analyze(seen, with_fallbacks(SMALL, "local/x", BIG))).fallback == "local/x"


def test_the_extended_gate_can_be_switched_off() -> None:
    """Then every measured model is allowed, and the reason says so."""
    off = PolicyThresholds(extended_gate_enabled=False)
    found = gate(analyze([measured(SMALL, "extended", 0)], options(thresholds=off)))
    assert found.allow is True
    assert "switched off" in found.reason


def test_a_fallbacks_scores_never_re_enable_the_model_it_replaced() -> None:
    """Eight more perfect evaluations of the fallback change nothing for the model that was disabled."""
    weak = measured(SMALL, "extended", 0)
    strong = [measured(BIG, "extended", 20, number=n) for n in range(8)]
    found = gate(analyze([weak, *strong], with_fallbacks(BIG)))
    assert (found.allow, found.fallback) == (False, BIG)


def one_more_pass(known: Evaluation, **changes: object) -> Evaluation:
    """What `selfopt run` adds: one pass with the same outcomes, of which nothing is known but itself."""
    again = {"evaluation_id": f"{known.evaluation_id}-again", "run_ids": (f"{known.run_ids[0]}-again",), "determinism": "unknown"}
    return known.model_copy(update=again | changes)


def test_one_more_pass_of_a_deterministic_fallback_leaves_it_the_fallback() -> None:
    """8 of 18 are exact; a diverted request that repeats them must not read as 16 of 36 from two runs, too few to say."""
    weak, strong = measured(SMALL, "extended", 2, of=18), measured(BIG, "extended", 8, of=18)
    before = gate(analyze([weak, strong], with_fallbacks(BIG)))
    after = gate(analyze([weak, strong, one_more_pass(strong), one_more_pass(weak)], with_fallbacks(BIG)))
    assert (after.allow, after.fallback, after.confidence) == (before.allow, before.fallback, before.confidence)
    assert (after.allow, after.fallback, after.confidence) == (False, BIG, "exact")


def test_a_pass_that_differs_from_a_deterministic_one_is_no_copy() -> None:
    """Then nothing is exact any more, and two runs are too few near the minimum."""
    known, other = measured(BIG, "extended", 6, of=18), one_more_pass(measured(BIG, "extended", 7, of=18))
    (found,) = analyze([known, other], options()).recommendations
    assert (found.action, found.confidence) == ("investigate", "low")


def test_only_the_baseline_spec_is_judged_and_other_specs_feed_hot_failures_only() -> None:
    """A good candidate does not allow the model until it is the baseline."""
    base, candidate = measured(SMALL, "extended", 0), measured(SMALL, "extended", 20, number=2)
    candidate = candidate.model_copy(update={"spec_id": "spec-b", "variant": "restrained"})
    judged = options(baselines={(SMALL, "extended"): "spec-a"})
    feedback = analyze([base, candidate], judged)
    assert gate(feedback).allow is False
    assert [f.spec_id for f in feedback.findings] == ["spec-a"]
    promoted = gate(analyze([base, candidate], replace(judged, baselines={(SMALL, "extended"): "spec-b"})))
    assert promoted.allow is True
    assert promoted.requirements.variant == "restrained"
    assert promoted.requirements.spec_id == "spec-b"


def test_without_a_baseline_the_spec_that_the_rule_serves_with_is_judged() -> None:
    """Another variant that was tried once changes nothing; where no such spec was measured, the newest stands in."""
    served = measured(SMALL, "extended", 20)
    tried = measured(SMALL, "extended", 0, number=2).model_copy(update={"spec_id": "spec-b"})
    assert gate(analyze([served, tried], options())).allow is False
    ruled = options(served={(SMALL, "extended"): ("spec-warm", "spec-a")})
    assert gate(analyze([served, tried], ruled)).allow is True
    assert gate(analyze([tried], ruled)).allow is False
    named = replace(ruled, baselines={(SMALL, "extended"): "spec-b"})
    assert gate(analyze([served, tried], named)).allow is False


def test_other_suites_feed_hot_failures_only() -> None:
    """A suite of one's own does not gate a phase."""
    other = measured(SMALL, "extended", 0).model_copy(update={"suite": "mine"})
    feedback = analyze([other], options())
    assert not feedback.recommendations
    assert not feedback.accuracy
    assert len(feedback.hot_failures) == 10


def test_an_unmeasured_baseline_gives_no_gate() -> None:
    """Nothing is said about what was not measured."""
    assert not analyze([measured(SMALL, "extended", 0)], options(baselines={(SMALL, "extended"): "spec-z"})).recommendations


def test_too_few_runs_are_not_enough_data_unless_the_interval_is_clear() -> None:
    """One run of 4 in 12 is unclear at 0.30; one run of 0 in 18 is not."""
    unclear = evaluation(["P"] * 4 + ["W"] * 8, phase="extended", determinism="unknown")
    (found,) = [r for r in analyze([unclear], options()).recommendations if r.type == "investigate"]
    assert found.allow is None
    assert "not enough data" in found.reason
    clear = evaluation(["W"] * 18, phase="extended", determinism="unknown")
    assert gate(analyze([clear], options())).allow is False
    assert gate(analyze([clear], options())).confidence == "low"


def test_an_outage_does_not_disable_a_model() -> None:
    """Trials that never reached the model are no measurement of it."""
    feedback = analyze([evaluation(["EEE"] * 12, phase="extended")], options())
    assert all(r.allow is None for r in feedback.recommendations)
    assert any("never reached" in r.reason for r in feedback.recommendations)


def test_a_cold_start_recommends_warm_up_once_and_not_where_it_is_on_already() -> None:
    """Both cases in one recommendation; with warm-up on there is something else to look for."""
    cold = [True, True, True, False, False, False, False]
    slow = {"first_call_ms": 2000.0}
    seen = evaluation(["TTPPPPP"] * 12, loaded=[cold] * 12, metrics=slow)
    (found,) = [r for r in analyze([seen], options()).recommendations if r.type == "warm_up"]
    assert found.action == "enable_warm_up"
    assert found.requirements.warm_up is True
    assert found.allow is None
    assert "2000 ms" in found.reason
    warm = analyze([seen.model_copy(update={"warm_up": True})], options())
    assert "warm_up" not in types(warm)
    assert any("is on already" in r.reason for r in warm.recommendations)


def test_a_load_that_another_variant_met_recommends_warm_up_for_the_promoted_one() -> None:
    """The candidate found the model loaded by the baseline; the next request after an idle hour will not."""
    slow = {"first_call_ms": 2000.0}
    replaced = evaluation(["M"] * 4, spec_id="spec-a", determinism="sampled", loaded=[[True], *[[False]] * 3], metrics=slow)
    promoted = evaluation(["P"] * 4, spec_id="spec-b", determinism="sampled", loaded=[[False]] * 4, variant="restrained")
    known = options(baselines={("local/small", "atomic"): "spec-b"})
    (found,) = [r for r in analyze([replaced, promoted], known).recommendations if r.type == "warm_up"]
    assert found.action == "enable_warm_up"
    assert replaced.evaluation_id in found.evidence
    warmed = promoted.model_copy(update={"warm_up": True})
    assert "warm_up" not in types(analyze([replaced, warmed], known))
    elsewhere = replaced.model_copy(update={"model": "local/other"})
    assert not [
        r for r in analyze([elsewhere, promoted], known).recommendations if r.type == "warm_up" and r.model == "local/small"
    ]


def test_a_withdrawn_remedy_is_not_recommended_again() -> None:
    """It was tried and did not help."""
    seen = evaluation(["L"] * 4, determinism="sampled")
    assert "warm_up" in types(analyze([seen], options()))
    assert "warm_up" not in types(analyze([seen], options(withdrawn=frozenset({Remedy(SMALL, "atomic", "warm_up")}))))


@pytest.mark.parametrize(
    ("letters", "kind", "action"),
    [("X", "variant", "change_variant"), ("C", "output_budget", "raise_max_tokens"), ("T", "investigate", "investigate")],
)
def test_each_finding_has_its_remedy(letters: str, kind: str, action: str) -> None:
    """Unread format, truncation, timeouts."""
    feedback = analyze([evaluation([letters] * 4 + ["P"] * 8, determinism="sampled")], options())
    assert (kind, action) in [(r.type, r.action) for r in feedback.recommendations]
    finding_ids = {f.finding_id for f in feedback.findings}
    assert all(finding_ids & set(r.evidence) for r in feedback.recommendations if r.type == kind)


def test_the_window_is_the_last_eight_comparable_evaluations() -> None:
    """The ninth from the end no longer counts."""
    old = measured(SMALL, "extended", 20, number=0)
    newer = [measured(SMALL, "extended", 0, number=n) for n in range(1, 9)]
    summary = analyze([old, *newer], options()).accuracy[0]
    assert summary.evaluations == 8
    assert summary.accuracy == 0.0
    assert summary.evaluation_id == newer[-1].evaluation_id


def test_a_cold_evaluation_of_which_less_was_known_is_read_with_the_warm_ones() -> None:
    """Otherwise the next, warm evaluation would hide the cold start; another digest still stands apart."""
    cold_place = Environment(endpoint="e", model=SMALL)
    warm_place = cold_place.model_copy(update={"digest": "sha-1"})
    other = warm_place.model_copy(update={"digest": "sha-2"})
    cold = evaluation(["L", "P"], number=1, determinism="sampled", environment_id=cold_place.environment_id)
    warm = evaluation(["P", "P"], number=2, determinism="sampled", environment_id=warm_place.environment_id)
    places = {e.environment_id: e for e in (cold_place, warm_place, other)}
    assert "warm_up" in types(analyze([cold, warm], options(environments=places)))
    assert "warm_up" not in types(analyze([cold, warm], options()))
    elsewhere = cold.model_copy(update={"environment_id": other.environment_id})
    assert "warm_up" not in types(analyze([elsewhere, warm], options(environments=places)))


def test_ids_are_stable_for_the_same_evidence_and_change_with_it() -> None:
    """A hash of the content: the ledger takes it twice, and other figures are another recommendation."""
    first = analyze([measured(SMALL, "extended", 0)], options())
    again = analyze([measured(SMALL, "extended", 0)], options(now="2027-01-01T00:00:00.000Z"))
    assert [r.id for r in first.recommendations] == [r.id for r in again.recommendations]
    assert [f.finding_id for f in first.findings] == [f.finding_id for f in again.findings]
    other = analyze([measured(SMALL, "extended", 1)], options())
    assert {r.id for r in first.recommendations}.isdisjoint(r.id for r in other.recommendations)
    in_cycle = analyze([measured(SMALL, "extended", 0)], options(cycle_id="cycle-1"))
    assert {f.cycle_id for f in in_cycle.findings} == {"cycle-1"}
    assert {r.cycle_id for r in in_cycle.recommendations} == {"cycle-1"}


def test_hot_failures_name_the_prompts_that_keep_failing() -> None:
    """Half of the trials or more; outcomes counted by sort."""
    feedback = analyze([evaluation(["WWMP", "PPPW", "PPPP"])], options())
    (hot,) = feedback.hot_failures
    assert (hot.prompt_id, hot.failures, hot.of) == ("P1", 3, 4)
    assert hot.outcomes == {"missed": 1, "wrong": 2}


_scored = st.builds(
    measured, st.sampled_from(["local/a", "local/b", "remote/c"]), st.sampled_from(["atomic", "extended"]), st.integers(0, 20)
)


@settings(max_examples=some_of(100), deadline=None)
@given(
    st.lists(_scored, max_size=6) | st.lists(any_evaluations(), max_size=3),
    st.booleans(),
    st.permutations(["local/a", "local/b", "remote/c"]),
)
def test_a_fallback_is_another_model_that_was_measured_and_is_allowed(
    evaluations: Sequence[Evaluation], allow_remote: bool, order: list[str]
) -> None:
    """Whatever was measured: never itself, never unmeasured, never disabled, never worse, never over the border unasked."""
    chosen = options(fallbacks={"atomic": order, "extended": order}, allow_remote=allow_remote)
    feedback = analyze(evaluations, chosen)
    known = standings(evaluations, chosen)
    for found in feedback.recommendations:
        if found.fallback is None:
            continue
        assert found.fallback != found.model
        other = known[found.fallback, found.phase]
        assert judge(other, chosen.thresholds).allow is True
        assert other.summary.accuracy > known[found.model, found.phase].summary.accuracy
        if not allow_remote and not found.model.startswith("remote/"):
            assert not found.fallback.startswith("remote/")
        allowed = {(r.model, r.phase): r.allow for r in feedback.recommendations if r.type == "phase_gate"}
        assert allowed[found.fallback, found.phase] is True


_RANK = {False: 0, None: 1, True: 2}


@settings(max_examples=some_of(80), deadline=None)
@given(any_evaluations(models=(SMALL,)), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_minimum_never_allows_what_a_lower_one_disabled(seen: Evaluation, one: float, other: float) -> None:
    """Monotone in both phases' minima."""
    low, high = sorted((one, other))
    found = standings([seen], options())
    for standing in found.values():
        lenient = judge(standing, PolicyThresholds(extended_phase_min_accuracy=low, atomic_phase_min_accuracy=low))
        strict = judge(standing, PolicyThresholds(extended_phase_min_accuracy=high, atomic_phase_min_accuracy=high))
        if lenient.allow is False:
            assert strict.allow is False
        if seen.phase == "extended":
            assert _RANK[strict.allow] <= _RANK[lenient.allow]


@pytest.mark.parametrize("phase", ["atomic", "extended"])
@pytest.mark.parametrize(("letter", "thought"), [("X", False), ("M", True)])
def test_calls_that_nobody_read_disable_nothing(phase: Phase, letter: str, thought: bool) -> None:
    """Nor do calls in the thinking: nothing is known against the model. What was read may still speak against it."""
    seen = evaluation([letter] * 16 + ["P"] * 4, phase=phase, no_call=4, determinism="sampled", unread="glm45")
    shown = {"call_in_thinking": (thought,), "excerpt": "" if thought else "<tool_call>f"}
    seen = seen.model_copy(update={"rows": tuple(r.model_copy(update=shown) for r in seen.rows)})
    feedback = analyze([seen], options())
    assert [r.action for r in feedback.recommendations if r.allow is not None] == []
    assert not any(found.type == "capability_limit" for found in feedback.findings)
    assert not any(
        "never calls" in text for text in (*(f.summary for f in feedback.findings), *(r.reason for r in feedback.recommendations))
    )
    wrong = evaluation(["W"] * 15 + [letter] + ["U"] * 4, phase=phase, no_call=4, determinism="sampled", unread="glm45")
    assert gate(analyze([wrong], options()), phase=phase).allow is False


def test_the_advice_against_an_unread_format_names_the_chain_or_the_servers_parser() -> None:
    """In one line, with the run; else what makes the model write in another format."""
    seen = evaluation(["X"] * 4 + ["P"] * 8, unread="glm45")
    seen = seen.model_copy(update={"rows": tuple(row.model_copy(update={"excerpt": "<tool_call>f"}) for row in seen.rows)})

    def advice(**fields: object) -> str:
        rows = tuple(row.model_copy(update=fields) for row in seen.rows)
        (found,) = [
            r for r in analyze([seen.model_copy(update={"rows": rows})], options()).recommendations if r.type == "variant"
        ]
        return found.reason

    read = advice(read_by=("all@2",))
    assert "no parser of native_api reads GLM-4.5 calls" in read
    assert f"selfopt rescore {' '.join(run[-8:] for run in seen.run_ids)} --parser all@2" in read
    assert "--tool-call-parser glm45" in read
    unknown = advice(unread=("unknown",))
    assert "no parser reads such calls" in unknown
    assert f"ask for another format (`selfopt run {seen.model} atomic atomic@2`)" in unknown
    assert "of no family that is known" in unknown
    assert "format not recorded" not in unknown
    assert "use a variant whose parsers read it" in advice(excerpt=""), "as it was said of rows without an example"
