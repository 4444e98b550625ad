"""Recommendations and promoted specs -> rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Recommendation, Requirements, RoutingConfig, Rule, RuleLimits, RuleReason
from selfopt.routing import RuleOptions, check_rules, diff, generate_routing_rules, rule_id_of
from selfopt.words.findings import not_confirmed_yet

from .make import advice, config, rule, spec, surely, warm_up_advice


def test_a_recommendation_to_disable_becomes_a_rule_that_traces_back() -> None:
    """Denied, with fallback, reason, the recommendation's id and its evidence, under the stable id."""
    (made,) = generate_routing_rules([advice(1, "a/1", allow=False, fallback="a/2")])
    assert made == Rule(
        rule_id=rule_id_of("a/1", "extended"), model="a/1", phase="extended", allow=False, fallback="a/2",
        reasons=(RuleReason(kind="gate", text="why 1", ids=("rec-1", "run-1")),), reason="why 1",
        recommendation_ids=("rec-1",), evidence=("run-1",),
    )  # fmt: skip


def test_disable_wins_over_allow() -> None:
    """Contradicting advice in one batch denies, and only the denial is given as the reason."""
    made = generate_routing_rules([advice(1, "a/1", action="allow", allow=True), advice(2, "a/1", fallback="a/2")])
    assert [(r.allow, r.fallback, r.recommendation_ids) for r in made] == [(False, "a/2", ("rec-2",))]


def test_allowing_again_drops_the_fallback_and_the_old_reason() -> None:
    """A new verdict replaces the old one."""
    current = config(rule("a/1", allow=False, fallback="a/2", reason="old", recommendation_ids=("rec-0",), evidence=("run-0",)))
    (made,) = generate_routing_rules([advice(1, "a/1", action="allow", allow=True)], current)
    assert (made.allow, made.fallback, made.reason, made.evidence) == (True, None, "why 1", ("run-1",))


def test_other_models_and_phases_keep_their_rules() -> None:
    """What no recommendation names stays, object for object."""
    kept = (rule("a/2", allow=False), rule("a/1", phase="atomic", warm_up=True))
    made = generate_routing_rules([advice(1, "a/1")], config(*kept))
    assert set(kept) <= set(made)
    assert len(made) == 3


def test_the_same_effect_keeps_the_rule_with_its_first_evidence() -> None:
    """Fresh ids for an unchanged verdict change nothing, so there is no new version."""
    first = config(*generate_routing_rules([advice(1, "a/1", fallback="a/2"), warm_up_advice(2, "a/1")]))
    again = generate_routing_rules([advice(3, "a/1", fallback="a/2"), warm_up_advice(4, "a/1")], first)
    assert diff(first, again) == ()


def test_warm_up_is_added_without_touching_the_verdict() -> None:
    """A denied rule stays denied; reasons and evidence are joined; it can be withdrawn and switched off."""
    current = config(*generate_routing_rules([advice(1, "a/1", fallback="a/2")]))
    (made,) = generate_routing_rules([warm_up_advice(2, "a/1")], current)
    assert (made.allow, made.fallback, made.warm_up) == (False, "a/2", True)
    assert (made.reason, made.recommendation_ids) == ("why 1; why 2", ("rec-1", "rec-2"))
    (withdrawn,) = generate_routing_rules([warm_up_advice(3, "a/1", on=False)], config(made))
    assert not withdrawn.warm_up
    off = generate_routing_rules([warm_up_advice(2, "a/1")], current, options=RuleOptions(warm_up=False))
    assert diff(current, off) == ()


def test_a_promoted_spec_gives_variant_and_limits() -> None:
    """Without any recommendation: allowed, source promotion; the next promotion replaces it and its trace."""
    first = spec("a/1", warm_up=True)
    (made,) = generate_routing_rules([], promoted={("a/1", "extended"): first})
    assert (made.allow, made.source, made.variant, made.spec_id) == (True, "promotion", first.variant, first.spec_id)
    assert made.limits == RuleLimits(timeout_s=30, retries=2, context_size=None, isolate=False)
    assert made.warm_up
    second = spec("a/1", variant="constrained")
    (next_made,) = generate_routing_rules([], config(made), promoted={("a/1", "extended"): second})
    assert next_made.spec_id == second.spec_id
    assert first.spec_id not in f"{next_made.reason} {next_made.evidence}"
    assert diff(config(made), generate_routing_rules([], config(made), promoted={("a/1", "extended"): first})) == ()


def test_a_promoted_spec_does_not_lift_a_denial() -> None:
    """A denied model may have a better variant and stays denied."""
    current = config(rule("a/1", allow=False, fallback="a/2"))
    (made,) = generate_routing_rules([], current, promoted={("a/1", "extended"): spec("a/1")})
    assert (made.allow, made.fallback, made.spec_id) == (False, "a/2", spec("a/1").spec_id)


def test_advice_that_no_rule_can_carry_out_makes_no_rule() -> None:
    """Investigate, another variant, more tokens, a stronger model: nothing is enforced."""
    batch = [
        advice(1, "a/1", type="investigate", action="investigate"),
        advice(2, "a/1", type="variant", action="change_variant"),
        advice(3, "a/1", type="output_budget", action="raise_max_tokens"),
        advice(4, "a/1", type="stronger_model", action="prefer_stronger", fallback="a/2"),
    ]
    assert generate_routing_rules(batch) == ()


def test_a_manual_rule_keeps_allow_and_fallback() -> None:
    """Recommendations pass it by; a promoted variant and warm-up still apply; `override_manual` lets them through."""
    manual = rule("a/1", allow=True, source="manual", reason="I know better")
    batch = [advice(1, "a/1", fallback="a/2")]
    assert generate_routing_rules(batch, config(manual)) == (manual,)
    (tuned,) = generate_routing_rules(batch, config(manual), promoted={("a/1", "extended"): spec("a/1")})
    assert (tuned.allow, tuned.fallback, tuned.source) == (True, None, "manual")
    assert tuned.spec_id == spec("a/1").spec_id
    assert "I know better" in tuned.reason
    (overridden,) = generate_routing_rules(batch, config(manual), options=RuleOptions(override_manual=True))
    assert (overridden.allow, overridden.source) == (False, "recommendation")


def test_a_fallback_that_closes_a_circle_is_left_out() -> None:
    """Two models that name each other: one keeps its fallback, the other says why it has none."""
    made = generate_routing_rules([advice(1, "a/1", fallback="a/2"), advice(2, "a/2", fallback="a/1")])
    assert sorted(str(r.fallback) for r in made) == ["None", "a/1"]
    assert "would lead back here" in next(r.reason for r in made if r.fallback is None)
    (alone,) = generate_routing_rules([advice(3, "a/3", fallback="a/3")])
    assert alone.fallback is None


def test_an_old_circle_does_not_matter_when_the_batch_opens_it() -> None:
    """The rule that the same batch re-allows is judged as it will be, whatever the order."""
    current = config(rule("a/2", allow=False, fallback="a/1"), rule("a/1"))
    made = generate_routing_rules([advice(1, "a/1", fallback="a/2"), advice(2, "a/2", action="allow", allow=True)], current)
    assert [(r.model, r.allow, r.fallback) for r in made] == [("a/1", False, "a/2"), ("a/2", True, None)]


models = st.sampled_from(["a/1", "a/2", "a/3", "a/4"])
batches = st.lists(
    st.builds(
        lambda n, m, action, f: advice(n, m, action=action, fallback=f),
        st.integers(0, 99), models, st.sampled_from(["disable", "allow", "enable_warm_up", "investigate"]), st.none() | models,
    ),
    max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(batches, max_size=4))
def test_any_sequence_of_batches_gives_valid_stable_rules(sequence: list[list[Recommendation]]) -> None:
    """Never a circle or a double rule, and the same batch twice changes nothing the second time."""
    current = RoutingConfig()
    for batch in sequence:
        rules = generate_routing_rules(batch, current)
        check_rules(rules)
        current = RoutingConfig(version=current.version + 1, rules=rules)
        assert diff(current, generate_routing_rules(batch, current)) == ()


def confirming(number: int, words: str) -> Recommendation:
    """Advice to warm up that says how sure that is."""
    draft = warm_up_advice(number, "a/1").model_dump() | {"reason": f"why {number}; {words}"}
    return Recommendation.model_validate(draft)


def test_a_remedy_alone_permits_nothing() -> None:
    """A warm-up makes no rule for a model that no gate has judged, and changes the rule that is there."""
    remedy = warm_up_advice(1, "a/1")
    assert generate_routing_rules([remedy]) == ()
    assert generate_routing_rules([remedy], config()) == ()
    (denied,) = generate_routing_rules([remedy], config(rule("a/1", allow=False)))
    assert (denied.allow, denied.warm_up) == (False, True)
    (promoted,) = generate_routing_rules([remedy], promoted={("a/1", "extended"): spec("a/1")})
    assert (promoted.allow, promoted.warm_up) == (True, True)


def test_what_an_experiment_says_takes_the_place_of_what_the_rule_said_before() -> None:
    """The rest of the reason stays; the same words again change nothing, so there is no new version."""
    first = generate_routing_rules([advice(1, "a/1", fallback="a/2"), confirming(2, not_confirmed_yet("a/1", "extended"))])
    assert first[0].reason == "why 1; why 2; not confirmed yet: run selfopt supervise a/1 extended --validate-warm-up --runs 4"
    same = generate_routing_rules([confirming(3, not_confirmed_yet("a/1", "extended"))], config(*first))
    assert same == first
    proven = confirming(4, "confirmed (Bayes factor 320, 1 prompt, 4 cold and 4 warm runs)")
    (made,) = generate_routing_rules([proven], config(*first))
    assert made.reason == "why 1; why 2; confirmed (Bayes factor 320, 1 prompt, 4 cold and 4 warm runs)"
    assert made.recommendation_ids == (*first[0].recommendation_ids, proven.id)
    assert (made.allow, made.fallback, made.warm_up) == (False, "a/2", True)
    assert generate_routing_rules(
        [confirming(5, "confirmed (Bayes factor 320, 1 prompt, 4 cold and 4 warm runs)")], config(made)
    ) == (made,)


def test_a_rule_that_is_changed_otherwise_keeps_one_word_on_its_warm_up() -> None:
    """Switched off and on again, the newest word stands."""
    (made,) = generate_routing_rules([confirming(1, "not confirmed yet: run it")], config(rule("a/1", allow=True)))
    off = made.model_copy(update={"warm_up": False})
    (again,) = generate_routing_rules([confirming(2, "confirmed for latency (first call 740 -> 74 ms)")], config(off))
    assert again.reason == "why 2; confirmed for latency (first call 740 -> 74 ms)"
    assert again.confirmation is not None
    assert (again.confirmation.status, again.confirmation.gain) == ("confirmed", "latency")


def test_a_rule_set_by_hand_keeps_its_own_words() -> None:
    """Its warm-up was not recommended."""
    own = rule("a/1", allow=True, warm_up=True, source="manual", reason="by hand; not confirmed yet: by me")
    assert generate_routing_rules([confirming(1, "confirmed (Bayes factor 12)")], config(own)) == (own,)


def test_a_verdict_that_asks_for_warm_up_as_well_is_one_reason() -> None:
    """A model that was measured warmed up is allowed as it was measured."""
    both = advice(1, "a/1", action="allow", allow=True, requirements=Requirements(warm_up=True))
    (made,) = generate_routing_rules([both])
    assert (made.allow, made.warm_up, [reason.kind for reason in made.reasons]) == (True, True, ["gate"])
    assert made.reason == "why 1"


def escalating(number: int, calibration_id: str = "calibration-1") -> Recommendation:
    needs = Requirements(calibration_id=calibration_id)
    return advice(number, "a/1", type="escalation", action="escalate", allow=True, fallback="a/2", requirements=needs)


def test_advice_to_escalate_becomes_a_rule_with_its_threshold_and_fallback() -> None:
    """It goes when the model is allowed, or refused, as a whole again."""
    when = surely()
    options = RuleOptions(serve_when={"calibration-1": when})
    (made,) = generate_routing_rules([escalating(1)], options=options)
    assert (made.allow, made.fallback, made.serve_when) == (True, "a/2", when)
    assert generate_routing_rules([escalating(2)], config(made), options=options) == (made,)
    (allowed,) = generate_routing_rules([advice(3, "a/1", action="allow", allow=True)], config(made), options=options)
    assert (allowed.allow, allowed.fallback, allowed.serve_when) == (True, None, None)
    (denied,) = generate_routing_rules([advice(4, "a/1", allow=False, fallback="a/2")], config(made), options=options)
    assert (denied.allow, denied.fallback, denied.serve_when) == (False, "a/2", None)


def test_advice_to_escalate_without_its_threshold_changes_nothing() -> None:
    """A rule without it would serve everything."""
    assert generate_routing_rules([escalating(1, "calibration-9")]) == ()
    kept = config(rule("a/1", allow=False))
    assert generate_routing_rules([escalating(1, "calibration-9")], kept) == kept.rules


def test_a_broken_threshold_is_void_though_nobody_judges_the_model() -> None:
    """Everything escalates then; a rule of a person stays."""
    (made,) = generate_routing_rules([escalating(1)], options=RuleOptions(serve_when={"calibration-1": surely()}))
    broken = RuleOptions(broken=frozenset({"calibration-1"}))
    (void,) = generate_routing_rules([warm_up_advice(2, "a/1")], config(made), options=broken)
    assert void.voided is not None
    assert (void.voided.calibration_id, void.serve_when) == ("calibration-1", made.serve_when)
    (kept,) = generate_routing_rules(
        [warm_up_advice(2, "a/1")], config(made.model_copy(update={"source": "manual"})), options=broken
    )
    assert kept.voided is None


def test_a_threshold_by_hand_keeps_what_it_was_measured_with() -> None:
    """A promotion would void it."""
    kept = rule("a/1", fallback="a/2", serve_when=surely(), source="manual", spec_id="spec-1")
    (made,) = generate_routing_rules([], config(kept), promoted={("a/1", "extended"): spec("a/1")})
    assert made.spec_id == "spec-1"
