"""A model that is right where it is sure serves that, and a stronger one the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selfopt.loop import Listener, Target
from selfopt.records import Calibration, Cycle, Finding, MixedCapabilityFigures, Recommendation, Rule
from selfopt.routing import voided_by
from selfopt.verbs.looping import run_loop
from selfopt.verbs.routing import bans_in_force

from .kit import Script, World, says
from .race_kit import ATOMIC, sample_suite, towns

Make = Callable[..., World]
SEARCH, HELDOUT = 40, 160
TOWNS = towns(SEARCH + HELDOUT)
SETTINGS: dict[str, Any] = {
    "loop": {"max_candidates": 0},
    "fallbacks": {"atomic": ["scripted/big"]},
    "serve": {"max_bad_share": 0.1, "calibrate": True},
}
WRONG: Script = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Weather"}}]}
"""It takes another word of the request for the town, so that nothing but its sureness tells."""
TARGETS = [ATOMIC, "scripted/big atomic native_api"]


def is_known(town: str) -> bool:
    """Whether the small model knows a town: two of three."""
    return int(town[4:]) % 3 != 0


def small(sure: float, unsure: float, *, honest: bool = True) -> Script:
    """A model that is right about the towns that it knows. Where it is honest, it is sure of these alone."""
    replies = []
    for town in TOWNS:
        known = is_known(town)
        tells = sure if known or not honest else unsure
        says_what = says(town, "native") if known else WRONG
        replies.append({"match": {"contains": f"{town}?", "tools": True}, "logprob": tells, **says_what})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies}


def big() -> Script:
    """A model that is always right."""
    replies = [{"match": {"contains": f"{town}?", "tools": True}, "logprob": -0.1, **says(town, "native")} for town in TOWNS]
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d2", "default": {"text": "Hm."}, "replies": replies}


def worse(model: Script) -> Script:
    """The same model, wrong about every town."""
    return {**model, "replies": [{**reply, **WRONG} for reply in model["replies"]]}


def made(world: Make, model: Script) -> World:
    w = world(m=model, big=big())
    endpoint = {"kind": "scripted", "script": str(w.script_path), "local": True, "logprobs": True}
    w.settings = {"endpoints": {"scripted": endpoint}}
    w.write(small=sample_suite(SEARCH, HELDOUT))
    return w


async def looped(w: World, **changes: Any) -> None:
    with w.app(**{**SETTINGS, **changes}) as app:
        await run_loop(app, TARGETS, listener=Listener(w.events.append))


def cycles(w: World) -> list[Cycle]:
    with w.ledger() as ledger:
        return list(ledger.read(Cycle))


def rule_of(w: World) -> Rule:
    return w.rules()["scripted/m", "atomic"]


async def test_a_model_that_is_right_when_sure_serves_that_and_escalates_the_rest(world: Make) -> None:
    """From the calibration through finding and recommendation into the rule."""
    w = made(world, small(-0.01, -3.0))
    await looped(w)
    rule = rule_of(w)
    with w.ledger() as ledger:
        (calibration,) = [one for one in ledger.read(Calibration) if one.model == "scripted/m"]
        findings = [one for one in ledger.read(Finding) if isinstance(one.figures, MixedCapabilityFigures)]
        advice = [one for one in ledger.read(Recommendation) if one.action == "escalate"]
    assert calibration.serve_when is not None
    bound = calibration.serve_when.bound
    assert (bound.bad, bound.upper <= 0.1) == (0, True)
    assert 0.5 * HELDOUT < bound.served < HELDOUT
    assert {one.model for one in advice} == {"scripted/m"}
    assert advice[0].requirements.calibration_id == calibration.calibration_id
    assert (rule.allow, rule.fallback, rule.serve_when) == (True, "scripted/big", calibration.serve_when)
    assert {one.model for one in findings} == {"scripted/m"}
    await looped(w)
    assert rule_of(w).serve_when == calibration.serve_when
    (check,) = [one for one in cycles(w)[-1].remedies if one.claim == "escalation"]
    assert (check.helped, check.withdrawn, check.after) == (True, False, 0.0)


async def test_answers_to_tools_that_the_calibration_lacks_neither_confirm_nor_break_it(world: Make) -> None:
    """Live, such requests escalate."""
    others = sample_suite(SEARCH, HELDOUT)
    weather = others["tool_sets"]["t"][0]
    others["tool_sets"]["u"] = [weather, {**weather, "name": "get_tides"}]
    for model in (small(-0.01, -3.0), worse(small(-0.01, -3.0))):
        w = made(world, small(-0.01, -3.0))
        w.write(small=others)
        await looped(w)
        before = rule_of(w).serve_when
        assert before is not None
        w.models["m"] = model
        w.engine, w.generation = None, w.generation + 1
        w.settings["endpoints"]["scripted"]["script"] = str(w.script_path)
        w.write(small=others)
        await looped(w)
        (check,) = [one for one in cycles(w)[-1].remedies if one.claim == "escalation"]
        assert (check.helped, check.withdrawn, check.after) == (None, False, None)
        assert f"only {SEARCH} fresh answers to tools that the calibration does not have" in check.detail
        assert rule_of(w).serve_when == before


async def test_a_threshold_that_fresh_replies_break_is_taken_back(world: Make) -> None:
    """The model is as sure as before, and wrong: it is judged as a whole again."""
    w = made(world, small(-0.01, -3.0))
    await looped(w)
    assert rule_of(w).serve_when is not None
    w.models["m"] = worse(w.models["m"])
    w.engine, w.generation = None, w.generation + 1
    w.settings["endpoints"]["scripted"]["script"] = str(w.script_path)
    w.write(small=sample_suite(SEARCH, HELDOUT))
    await looped(w)
    (check,) = [one for one in cycles(w)[-1].remedies if one.claim == "escalation"]
    assert (check.helped, check.withdrawn) == (False, True)
    assert rule_of(w).serve_when is None
    with w.app() as app:
        assert [ban.kind for ban in bans_in_force(app) if ban.model == "scripted/m"] == ["escalation"]
    assert not any("taken back" in text for text in w.said("plan"))


async def test_a_model_that_is_always_sure_is_judged_as_a_whole(world: Make) -> None:
    """No threshold keeps the share of wrong answers that is allowed."""
    w = made(world, small(-0.01, -3.0, honest=False))
    await looped(w)
    with w.ledger() as ledger:
        (calibration,) = [one for one in ledger.read(Calibration) if one.model == "scripted/m"]
    assert calibration.serve_when is None
    assert rule_of(w).serve_when is None


async def test_a_default_baseline_gets_its_threshold_with_its_spec(world: Make) -> None:
    """A rule without them would be void, and everything would escalate."""
    w = made(world, small(-0.01, -3.0))
    with w.app(**SETTINGS) as app:
        await run_loop(
            app, [Target("scripted/m", "atomic"), Target("scripted/big", "atomic")], listener=Listener(w.events.append)
        )
    rule = rule_of(w)
    assert rule.serve_when is not None
    assert (rule.spec_id is not None, voided_by(rule, None)) == (True, None)


async def test_a_calibration_by_other_settings_is_not_in_use(world: Make) -> None:
    """The newest one is not always the one that was asked for."""
    w = made(world, small(-0.01, -3.0))
    await looped(w)
    strict = rule_of(w).serve_when
    await looped(w, serve={"max_bad_share": 0.3, "calibrate": True})
    lax = rule_of(w).serve_when
    await looped(w)
    assert strict is not None
    assert lax is not None
    assert (lax.bound.max_bad_share, rule_of(w).serve_when) == (0.3, strict)


async def test_without_the_setting_a_cycle_calibrates_nothing(world: Make) -> None:
    """And asks no held-out prompt for it."""
    w = made(world, small(-0.01, -3.0))
    await looped(w, serve={"max_bad_share": 0.1})
    with w.ledger() as ledger:
        assert list(ledger.read(Calibration)) == []
    assert rule_of(w).serve_when is None
