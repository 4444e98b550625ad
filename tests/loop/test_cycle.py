"""Whole cycles over scripted models: the loop closes, remedies are verified, rules say what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.errors import RefusedError
from selfopt.loop import current_baseline
from selfopt.records import Baseline, CyclePlan, Decision, Evaluation, Phase, Run, Trial
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.routing import trace_rule
from selfopt.verbs.verifying import verify_audit
from selfopt.verbs.warming import validate_model_warm_up
from selfopt.words.findings import experiment_text

from .kit import World, effect, model

M = "scripted/m"
Make = Callable[..., World]


async def test_the_loop_closes_on_a_format_that_is_not_read(world: Make) -> None:
    """Diagnosed, answered with a parser, promoted, put into the rule, and verified by the next cycle's own measurement."""
    w = world(m=model("fenced"))
    first, second = await w.loop("scripted/m atomic native_api", cycles=2)
    (target,) = first.targets
    assert target.baseline_accuracy == pytest.approx(3 / 7)
    assert target.winner_variant == "native_parsed@2"
    assert target.improvement == pytest.approx(4 / 7)
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert (rule.allow, rule.variant.name, rule.spec_id) == (True, "native_parsed@2", target.winner_spec_id)
    (checked,) = second.targets
    assert (checked.baseline_spec_id, checked.baseline_accuracy) == (target.winner_spec_id, 1.0)
    assert [(r.claim, r.helped, r.withdrawn) for r in second.remedies] == [("variant", True, False)]
    with w.app() as app:
        fresh = next(app.ledger.read(Evaluation, {"id": checked.baseline_evaluation_id or ""}))
        assert fresh.cycle_id == second.cycle_id, "a remedy is judged on a measurement of its own"
        traced = trace_rule(app, rule.rule_id)
        assert traced.trials
        assert not traced.missing
        assert verify_audit(app).ok


async def test_the_winner_is_the_largest_gain_and_a_tie_keeps_the_order(world: Make) -> None:
    """`native_parsed@2` and `restrained@2` gain the same; the first proposed wins, the others are kept as candidates."""
    w = world(m=model("fenced"))
    (cycle,) = await w.loop("scripted/m atomic native_api")
    (target,) = cycle.targets
    promoted = [r for r in target.candidates if r.verdict == "promote"]
    assert [r.variant for r in promoted] == ["native_parsed@2", "restrained@2"]
    assert target.winner_spec_id == promoted[0].spec_id
    assert target.improvement == max(r.improvement or 0 for r in promoted)
    with w.ledger() as ledger:
        assert [b.source for b in ledger.read(Baseline)] == ["flag", "promotion"]


async def test_when_nothing_is_promoted_the_best_candidate_and_its_gate_are_named(world: Make) -> None:
    """A mute model stays where it is, with a reason; that is a correct ending."""
    w = world(m=model("mute"))
    (cycle,) = await w.loop("scripted/m atomic native_api")
    assert cycle.targets[0].winner_spec_id is None
    assert cycle.targets[0].new_baseline_spec_id == cycle.targets[0].baseline_spec_id
    (said,) = w.said("held")
    assert "Best candidate: " in said
    assert "stopped by the gate " in said
    assert not w.rules()[M, "atomic"].allow


async def test_a_candidate_judged_on_its_merits_is_not_tried_again(world: Make) -> None:
    """Against the same baseline; the next in order moves up until nothing is left."""
    w = world(m=model("mute"))
    tried: list[str] = []
    for _ in range(3):
        (cycle,) = await w.loop(keys=[(M, "atomic")])
        tried += [r.spec_id for r in cycle.targets[0].candidates]
    assert len(tried) == len(set(tried)) > 3


async def test_a_cold_start_leads_to_a_warm_up_that_is_verified_after_a_forced_unload(world: Make) -> None:
    """The rule warms up, the next baseline is measured with it from an unloaded model, and the first call is as fast as any."""
    w = world(m=model(load_ms=2000, initially_loaded=False))
    first, second = await w.loop("scripted/m atomic native_api", cycles=2)
    assert w.rules()[M, "atomic"].warm_up
    assert not first.remedies
    (check,) = second.remedies
    assert (check.claim, check.helped) == ("warm_up", True)
    assert check.before == pytest.approx(2020)
    assert check.after == pytest.approx(20)
    with w.ledger() as ledger:
        now = next(ledger.read(Evaluation, {"id": second.targets[0].baseline_evaluation_id or ""}))
        run = next(ledger.read(Run, {"id": now.run_ids[0]}))
        assert (now.warm_up, run.warm_up.status) == (True, "complete")
        assert (run.warm_up.load_ms or 0) > 1999, "it had been unloaded"
        assert [b.source for b in ledger.read(Baseline)] == ["flag", "adapted"]


async def test_the_check_of_a_warm_up_says_what_the_experiment_found(world: Make) -> None:
    """Made between two cycles; the next one's check and rule carry its words."""
    w = world(m=model(load_ms=2000, initially_loaded=False))
    await w.loop("scripted/m atomic native_api", cycles=1)
    with w.app() as app:
        made = (await validate_model_warm_up(app, M, "atomic", variant="native_api", runs=4)).experiment
    assert made is not None
    assert made.latency_confirmed
    (second,) = await w.loop(keys=[(M, "atomic")])
    (check,) = second.remedies
    assert check.helped
    assert f"the experiment: {experiment_text(made)}" in check.detail
    assert experiment_text(made) in w.rules()[M, "atomic"].reason


async def test_a_warm_up_that_does_not_help_is_withdrawn_for_good(world: Make) -> None:
    """The rule does without it again, the baseline too, and no later cycle recommends or proposes it."""
    slow = model(load_ms=2000, initially_loaded=False)
    slow["replies"][0]["latency_ms"] = 6000.0
    w = world(m=slow)
    cycles = await w.loop("scripted/m atomic native_api", cycles=5)
    checks = [check for cycle in cycles for check in cycle.remedies]
    assert [(c.claim, c.helped, c.withdrawn) for c in checks] == [("warm_up", False, True)]
    assert not w.rules()[M, "atomic"].warm_up
    with w.app() as app:
        versions = [entry.changes for entry in app.enforcer.history()]
        assert len(versions) == 2, "on, off, and never again"
        baseline = current_baseline(app.ledger, M, "atomic")
        assert baseline is not None
        assert baseline.source == "withdrawn"
        later = [e for e in app.ledger.read(Evaluation) if e.cycle_id in {c.cycle_id for c in cycles[2:]}]
        assert later
        assert not any(e.warm_up for e in later)


async def test_a_warm_up_that_found_the_model_loaded_is_not_decided(world: Make) -> None:
    """A server that can't unload: nothing was shown, so nothing is withdrawn."""
    first_slow = model(load_ms=2000, initially_loaded=False, can_unload=False)
    first_slow["replies"][0]["latency_ms"] = 6000.0
    w = world(m=first_slow)
    cycles = await w.loop("scripted/m atomic native_api", cycles=2)
    (check,) = cycles[1].remedies
    assert (check.helped, check.withdrawn) == (None, False)
    assert "nothing to do" in check.detail
    assert w.rules()[M, "atomic"].warm_up


async def test_a_promotion_that_does_not_hold_is_taken_back_and_not_tried_again(world: Make) -> None:
    """The rule gets the earlier variant, the cycle tries nothing on the withdrawn baseline, later ones leave it out."""
    w = world(m=model("fenced"))
    (first,) = await w.loop("scripted/m atomic native_api", max_candidates=1)
    promoted = first.targets[0].winner_spec_id
    w.rescript(m=model("mute"))
    (second,) = await w.loop(keys=[(M, "atomic")])
    assert [(r.claim, r.helped, r.withdrawn) for r in second.remedies] == [("variant", False, True)]
    assert second.targets[0].candidates == ()
    assert second.targets[0].new_baseline_spec_id == first.targets[0].baseline_spec_id
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert (rule.variant.name, rule.spec_id) == ("native_api", first.targets[0].baseline_spec_id)
    assert any("the rule follows the withdrawal" in text for text in w.said("note"))
    w.rescript(m=model("fenced"))
    (third,) = await w.loop(keys=[(M, "atomic")])
    assert promoted not in {r.spec_id for r in third.targets[0].candidates}


async def test_a_model_too_weak_for_a_phase_falls_back_to_one_that_was_measured(world: Make) -> None:
    """Served by it with the very spec that was measured, audited; forced, it is measured itself."""
    w = world(m=model(), big=model(extended="native"))
    await w.loop("scripted/m extended native_api", "scripted/big extended native_api")
    rules = w.rules()
    assert (rules[M, "extended"].allow, rules[M, "extended"].fallback) == (False, "scripted/big")
    assert rules["scripted/big", "extended"].allow
    with w.app() as app:
        served = await measure_model(app, MeasureRequest(M, "extended"))
        assert (served.route.outcome, served.spec.model) == ("fallback", "scripted/big")
        assert served.spec.spec_id == rules["scripted/big", "extended"].spec_id, "what was measured is what serves"
        assert served.audit_hash
        forced = await measure_model(app, MeasureRequest(M, "extended", force_model=True))
        assert forced.spec.model == M
    (second,) = await w.loop(keys=[(M, "extended"), ("scripted/big", "extended")])
    assert [(c.model, c.claim, c.helped) for c in second.remedies] == [(M, "fallback", True)]


async def test_where_no_model_passes_the_phase_is_refused(world: Make) -> None:
    """The rule says so, and the refusal names what was wrong with the other."""
    w = world(m=model(), other=model(extended="wrong"))
    await w.loop("scripted/m extended native_api", "scripted/other extended native_api")
    rule = w.rules()[M, "extended"]
    assert (rule.allow, rule.fallback) == (False, None)
    assert "scripted/other" in rule.reason
    with w.app() as app, pytest.raises(RefusedError, match="--force-model"):
        await measure_model(app, MeasureRequest(M, "extended"))


async def test_a_fallback_that_was_never_measured_is_not_named(world: Make) -> None:
    """Even where the settings prefer it."""
    w = world({"fallbacks": {"extended": ["scripted/new", "scripted/big"]}}, m=model(), big=model(extended="native"), new=model())
    await w.loop("scripted/m extended native_api", "scripted/big extended native_api")
    rule = w.rules()[M, "extended"]
    assert rule.fallback == "scripted/big"


async def test_six_cycles_flip_no_rule_on_a_fallbacks_scores(world: Make) -> None:
    """The fallback passes in the model's place again and again; the model's own standing decides."""
    w = world(m=model("fenced"), big=model(extended="native"))
    targets = ["scripted/m atomic native_api", "scripted/m extended native_api", "scripted/big extended native_api"]
    seen = []
    for number in range(6):
        if number == 0:
            await w.loop(*targets)
        else:
            await w.loop(keys=[(M, "atomic"), (M, "extended"), ("scripted/big", "extended")])
        with w.app() as app:
            for _ in range(2):
                served = await measure_model(app, MeasureRequest(M, "extended", resume=False))
                assert served.evaluation is not None
                assert (served.evaluation.model, served.evaluation.metrics.accuracy) == ("scripted/big", 1.0)
        seen.append({key: effect(rule) for key, rule in w.rules().items()})
    assert all(rules == seen[0] for rules in seen)
    with w.app() as app:
        assert app.enforcer.load().version == 1


async def test_a_deterministic_model_is_not_repeated(world: Make) -> None:
    """One pass and the sample: 7 + 4 trials for each of the three different requests."""
    w = world(m=model("fenced"))
    (cycle,) = await w.loop("scripted/m atomic native_api")
    with w.ledger() as ledger:
        found = list(ledger.read(Evaluation))
        assert {(e.determinism, e.n_runs) for e in found} == {("sampled", 1)}
        assert cycle.trials == len({e.request_id for e in found}) * (7 + 4) == 33


async def test_a_stochastic_model_gets_seven_runs(world: Make) -> None:
    """The sample disagrees with the first pass, so no spec that shares its trials is believed to be a copy."""
    w = world(m=model(("native", "wrong")))
    (cycle,) = await w.loop("scripted/m atomic native_api", max_candidates=0)
    with w.ledger() as ledger:
        (evaluation,) = ledger.read(Evaluation)
        assert (evaluation.determinism, evaluation.n_runs, evaluation.metrics.n) == ("stochastic", 7, 49)
    assert cycle.trials == 49 + 4


async def test_decisions_hold_for_want_of_data_do_not_bar_a_second_try(world: Make) -> None:
    """A server that answered nothing said nothing about the candidate."""
    w = world(m=model("fenced"))
    with w.app() as app:
        only_there = app.variant("restrained@2").instructions[:25]
    broken = model("fenced")
    broken["replies"].insert(0, {"match": {"system_contains": only_there}, "fault": {"kind": "close"}})
    w.rescript(m=broken)
    (first,) = await w.loop("scripted/m atomic native_api", candidates=_file(w, "- variant: restrained@2"))
    assert first.targets[0].candidates[0].reason_codes == ("mostly_errors", "not_enough_runs")
    w.rescript(m=model("fenced"))
    (second,) = await w.loop(keys=[(M, "atomic")])
    assert "restrained@2" in {r.variant for r in second.targets[0].candidates}


def _file(w: World, text: str) -> Path:
    w.folder.mkdir(exist_ok=True)
    path = w.folder / "candidates.yaml"
    path.write_text(text, "utf-8")
    return path


async def test_a_file_of_candidates_serves_several_cycles(world: Make) -> None:
    """What the baseline has become is passed over in the next cycle; what is left is tried against it."""
    w = world(m=model("fenced"))
    path = _file(w, "- variant: native_parsed\n- retries: 2\n")
    first, second = await w.loop("scripted/m atomic native_api", cycles=2, candidates=path)
    assert [r.changed for r in first.targets[0].candidates] == ["variant native_api -> native_parsed", "retries 0 -> 2"]
    assert [r.changed for r in second.targets[0].candidates] == ["retries 0 -> 2"]
    assert second.targets[0].candidates[0].reason_codes == ("ceiling",)


async def test_each_fact_is_recorded_once(world: Make) -> None:
    """One plan a cycle, one decision a candidate, one baseline a change; trials under the cycle's own groups."""
    w = world(m=model("fenced"))
    cycles = await w.loop("scripted/m atomic native_api", cycles=2)
    with w.ledger() as ledger:
        assert len(list(ledger.read(CyclePlan))) == 2
        decided = [(d.cycle_id, d.candidate_spec_id) for d in ledger.read(Decision)]
        assert len(decided) == len(set(decided))
        assert len(list(ledger.read(Baseline))) == 2
        assert sum(c.trials for c in cycles) == len(list(ledger.read(Trial)))


async def test_a_fallback_that_no_longer_helps_is_withdrawn_at_once(world: Make) -> None:
    """It has become as weak as the model it stands in for: the next best that was measured takes over, else nobody; and it
    comes back when it is measured as better again."""
    strong, weak = model(extended="native"), model(extended="mute")
    w = world(m=model(), big=strong, other=weak)
    everybody: list[tuple[str, Phase]] = [(M, "extended"), ("scripted/big", "extended"), ("scripted/other", "extended")]
    await w.loop(*(f"{name} {phase} native_api" for name, phase in everybody))
    assert w.rules()[M, "extended"].fallback == "scripted/big"
    w.rescript(m=model(), big=weak, other=strong)
    (second,) = await w.loop(keys=everybody, max_candidates=0)
    withdrawn = {(c.model, c.claim, c.withdrawn) for c in second.remedies}
    assert (M, "fallback", True) in withdrawn
    rule = w.rules()[M, "extended"]
    assert (rule.allow, rule.fallback) == (False, "scripted/other")
    w.rescript(m=model(), big=weak, other=weak)
    await w.loop(keys=everybody, max_candidates=0)
    rule = w.rules()[M, "extended"]
    assert (rule.allow, rule.fallback) == (False, None)
    assert "scripted/big did no better when it was last measured" in rule.reason
    w.rescript(m=model(), big=strong, other=weak)
    for _ in range(3):
        await w.loop(keys=everybody, max_candidates=0)
    assert w.rules()[M, "extended"].fallback == "scripted/big"


async def test_a_pass_over_part_of_the_suite_withdraws_no_fallback(world: Make) -> None:
    """Two prompts that went wrong say nothing about how the fallback does on all of them."""
    strong, weak = model(extended="native"), model(extended="mute")
    w = world(m=model(), big=strong)
    await w.loop(f"{M} extended native_api", "scripted/big extended native_api")
    w.rescript(m=model(), big=weak)
    with w.app() as app:
        part = await measure_model(app, MeasureRequest("scripted/big", "extended", limit=2, force_model=True))
    assert part.evaluation is not None
    assert part.evaluation.metrics.accuracy == 0.0
    (second,) = await w.loop(keys=[(M, "extended")], max_candidates=0)
    assert [(c.claim, c.withdrawn) for c in second.remedies] == [("fallback", False)]
    assert w.rules()[M, "extended"].fallback == "scripted/big"


async def test_a_warm_up_set_by_hand_is_checked_and_stays(world: Make) -> None:
    """The user's word counts more than a finding."""
    slow = model(load_ms=2000, initially_loaded=False)
    slow["replies"][0]["latency_ms"] = 6000.0
    w = world(m=slow)
    await w.loop("scripted/m atomic native_api")
    with w.app() as app:
        app.enforcer.set_rule(M, "atomic", allow=True, warm_up=True)
    (second,) = await w.loop(keys=[(M, "atomic")])
    (check,) = second.remedies
    assert (check.claim, check.helped, check.withdrawn) == ("warm_up", False, False)
    assert "set by hand" in check.detail
    assert any("did not help, it stays" in text for text in w.said("remedy"))
    assert w.rules()[M, "atomic"].warm_up
