"""Whole cycles over the specification's models: the loop closes, its rules are auditable, and nothing swings back and forth."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.loop import Target, current_baseline, spec_by_id
from selfopt.records import Cycle, Evaluation, Rule, RuleLimits
from selfopt.verbs.diagnosing import make_feedback
from selfopt.verbs.looping import parse_target, run_loop
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.reporting import write_artefacts
from selfopt.verbs.routing import audit_records, trace_rule
from selfopt.verbs.verifying import verify_audit
from selfopt.wiring.app import App

from .kit import HAIKU, LFM, bench_app

COLD, LFM_EXTENDED = "lfm2.5 atomic native_api", "lfm2.5 extended extended"
HAIKU_EXTENDED = "haiku extended extended"


async def cycles(app: App, count: int) -> list[Cycle]:
    """The first cycle from the specification's baselines, the others from what came of them."""
    return await run_loop(app, [parse_target(app, t) for t in (COLD, LFM_EXTENDED, HAIKU_EXTENDED)], count)


def accuracy(app: App, cycle: Cycle, model: str, phase: str) -> float | None:
    """Of the baseline that a cycle measured."""
    return next(t.baseline_accuracy for t in cycle.targets if (t.model, t.phase) == (model, phase))


def effect(rule: Rule) -> tuple[bool, str | None, bool, str | None, RuleLimits]:
    """What a rule does, whatever its reasons are."""
    return rule.allow, rule.fallback, rule.warm_up, rule.spec_id, rule.limits


async def test_the_loop_closes(tmp_path: Path) -> None:
    """Atomic goes from 71.4 % to 100 % by warm-up, and extended from 0 % to 100 % by haiku, in one cycle, seen in the next."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            first, second = await cycles(app, 2)
            assert accuracy(app, first, LFM, "atomic") == pytest.approx(5 / 7)
            assert accuracy(app, second, LFM, "atomic") == 1.0
            assert accuracy(app, second, LFM, "extended") == 0.0
            record = current_baseline(app.ledger, LFM, "atomic")
            assert record is not None
            assert spec_by_id(app.ledger, record.spec_id).warm_up.enabled
            assert {(c.claim, c.helped) for c in second.remedies if c.model == LFM} >= {("warm_up", True), ("fallback", True)}
            # Judged by what it did for the outcomes of the same variant, not by how fast this machine happens to be.
            assert any("accuracy 71% -> 100%" in c.detail for c in second.remedies if c.claim == "warm_up")
            served = await measure_model(app, MeasureRequest(LFM, "extended"))
            assert served.route.outcome == "fallback"
            assert served.evaluation is not None
            assert (served.evaluation.model, served.evaluation.metrics.accuracy) == (HAIKU, 1.0)


async def test_the_row_is_the_specifications(tmp_path: Path) -> None:
    """Without warm-up every prompt reads FFPPPPP, with it PPPPPPP."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            cold = await measure_model(app, MeasureRequest(LFM, "atomic", n_runs=7))
            await app.sender.residency(LFM, asked=LFM).unload(app.sender.server_model(LFM))
            warm = await measure_model(app, MeasureRequest(LFM, "atomic", warm_up=True, n_runs=7))
            assert cold.evaluation is not None
            assert warm.evaluation is not None
            assert {row.letters for row in cold.evaluation.rows} == {"FFPPPPP"}
            assert {row.letters for row in warm.evaluation.rows} == {"PPPPPPP"}


async def test_only_the_remedy_gets_the_credit(tmp_path: Path) -> None:
    """The warm-up of a cold baseline begins as cold as the baseline did, and is promoted; variants and longer timeouts race against a
    baseline that is as warm as they are, and gain nothing."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            (cycle,) = await run_loop(app, [parse_target(app, COLD)])
            verdicts = {c.changed: (c.verdict, c.improvement) for c in cycle.targets[0].candidates}
            verdict, gain = verdicts.pop("warm-up off -> on")
            assert verdict == "promote"
            assert gain == pytest.approx(2 / 7)
            assert verdicts
            assert all(verdict == "reject" and gain == 0 for verdict, gain in verdicts.values())


async def test_every_rule_is_auditable(tmp_path: Path) -> None:
    """Each rule in force has its audit record with a reason and leads down to single replies; the chain verifies."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            await cycles(app, 1)
            assert verify_audit(app).ok
            reasons = {r.rule_id: r.reason for r in audit_records(app)}
            rules = app.enforcer.load().rules
            assert {(r.model, r.phase) for r in rules} == {(LFM, "atomic"), (LFM, "extended"), (HAIKU, "extended")}
            for rule in rules:
                traced = trace_rule(app, rule.rule_id)
                assert reasons[rule.rule_id]
                assert traced.trials
                assert not traced.missing


async def test_six_cycles_do_not_oscillate(tmp_path: Path) -> None:
    """No rule flips, although the fallback passes everything in the model's place again and again."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            seen: list[dict[str, object]] = []
            targets = [parse_target(app, t) for t in (COLD, LFM_EXTENDED, HAIKU_EXTENDED)]
            for number in range(6):
                await run_loop(app, targets if number == 0 else [Target(t.model, t.phase) for t in targets])
                for _ in range(2):
                    served = await measure_model(app, MeasureRequest(LFM, "extended", resume=False))
                    assert served.evaluation is not None
                    assert served.evaluation.model == HAIKU
                await make_feedback(app)
                seen.append({r.rule_id: effect(r) for r in app.enforcer.load().rules})
            assert all(rules == seen[0] for rules in seen)
            assert app.enforcer.load().version == 1
            own = [e for e in app.ledger.read(Evaluation) if (e.model, e.phase) == (LFM, "extended")]
            assert own
            assert all(e.metrics.accuracy == 0.0 for e in own)


async def test_a_feedback_and_enforcement_after_the_loop_changes_nothing(tmp_path: Path) -> None:
    """What the loop enforced is what the same evidence asks for outside of it."""
    from selfopt.verbs.routing import enforce_file

    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            await cycles(app, 2)
            await make_feedback(app)
            assert enforce_file(app).changes == ()


async def test_a_cycle_stopped_anywhere_is_continued(tmp_path: Path) -> None:
    """Stopped after each of its steps in turn, a cycle ends with the same rules, and no trial is made twice."""
    with bench_app(tmp_path / "whole") as (app, _):
        async with app:
            whole = (await cycles(app, 1))[0]
            wanted = [effect(r) for r in app.enforcer.load().rules]
    # After version_written the change is completed by the next load, so config_renamed is not come to again.
    stops = ["begun", "planned", "measured", "decided", "audit_written", "version_written", "enforced"]
    home = tmp_path / "home"
    for stop in stops:
        with bench_app(home) as (app, _):

            def leave(step: str, stop: str = stop) -> None:
                if step == stop:
                    raise KeyboardInterrupt(step)

            async with app:
                app.on_step = leave
                with pytest.raises(KeyboardInterrupt):
                    await cycles(app, 1)
    with bench_app(home) as (app, _):
        async with app:
            finished = (await cycles(app, 1))[0]
            assert (finished.number, finished.trials) == (1, whole.trials)
            assert [effect(r) for r in app.enforcer.load().rules] == wanted
            assert verify_audit(app).ok


async def test_the_artefacts_have_the_specifications_keys(tmp_path: Path) -> None:
    """CYCLE_1_RESULTS.json and meta_loop_history.json name candidates, winner and improvement."""
    import json

    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            await cycles(app, 1)
            paths = {p.name: json.loads(p.read_text("utf-8")) for p in write_artefacts(app) if p.suffix == ".json"}
    result = paths["CYCLE_1_RESULTS.json"]
    assert result["winner"]["model"] == LFM
    assert result["improvement"] == pytest.approx(2 / 7)
    assert len(result["candidates_tested"]) > 1
    assert {"baseline", "candidates", "winner", "improvement"} <= set(paths["meta_loop_history.json"]["cycles"][0])


async def test_enforcement_switched_off_changes_no_rule_and_diverts_nobody(tmp_path: Path) -> None:
    """SELFOPT_ENFORCEMENT__ENABLED=false: the loop measures and recommends, and that is all."""
    with bench_app(tmp_path / "home", SELFOPT_ENFORCEMENT__ENABLED="false") as (app, _):
        async with app:
            await cycles(app, 1)
            assert app.enforcer.load().version == 0
            served = await measure_model(app, MeasureRequest(LFM, "extended"))
            assert served.spec.model == LFM
            assert any(r.action == "disable" for r in (await make_feedback(app)).recommendations)


async def test_the_extended_gate_switched_off_allows_a_weak_model(tmp_path: Path) -> None:
    """SELFOPT_POLICY__EXTENDED_GATE_ENABLED=false: measured, recommended against, not disabled."""
    with bench_app(tmp_path / "home", SELFOPT_POLICY__EXTENDED_GATE_ENABLED="false") as (app, _):
        async with app:
            await cycles(app, 1)
            rule = app.enforcer.load().rule_for(LFM, "extended")
            assert rule is not None
            assert rule.allow


async def test_warm_up_switched_off_is_neither_proposed_nor_enforced(tmp_path: Path) -> None:
    """SELFOPT_WARM_UP__ENABLED=false: no candidate, no rule and no run has one."""
    with bench_app(tmp_path / "home", SELFOPT_WARM_UP__ENABLED="false") as (app, engine):
        async with app:
            await cycles(app, 2)
            assert not any(rule.warm_up for rule in app.enforcer.load().rules)
            assert not any(e.warm_up for e in app.ledger.read(Evaluation))
            assert not any("2+2" in entry.last_user for entry in engine.journal)
