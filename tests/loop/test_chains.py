"""A later chain in the loop: it asks nothing anew, is decided about like any change, and begins nothing that is under way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from selfopt.records import Evaluation, RaceBlock, RaceStart, Run, Trial
from selfopt.verbs.rescoring import rescore_runs

from .kit import CITIES, Script, World, model, says
from .race_kit import ATOMIC, M, candidates
from .test_continue import Stopped, stop_at
from .test_racing import positions

Make = Callable[..., World]
PARSED = "scripted/m atomic native_parsed"


def writes_calls(chance: float) -> Script:
    """A model that writes the right call as text in this share of the askings."""
    replies: list[Script] = []
    for city in CITIES:
        asks = {"contains": f"Weather in {city}?", "tools": True}
        replies.append({"match": {**asks, "chance": chance}, **says(city, "fenced")})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies}


async def test_a_race_of_two_chains_asks_for_one_of_them(world: Make, tmp_path: Path) -> None:
    """Both judge the same replies, in the race as before it; the rule moves by a decision with its evidence."""
    w = world(m=writes_calls(0.5))
    (cycle,) = await w.loop(ATOMIC, candidates=candidates(tmp_path, {"variant": "native_parsed@2"}))
    (target,) = cycle.targets
    assert (target.winner_variant, target.candidates[0].reason_codes) == ("native_parsed@2", ("improved",))
    with w.ledger() as ledger:
        assert {run.purpose for run in ledger.read(Run)} >= {"race"}
        assert len({run.request_id for run in ledger.read(Run)}) == 1
        for block in ledger.read(RaceBlock):
            one, other = block.trial_ids.values()
            assert one == other
    assert positions(w) == {1}
    rule = w.rules()[M, "atomic"]
    assert (rule.spec_id, rule.variant and rule.variant.parsers) == (target.winner_spec_id, ("all@2",))


async def test_a_race_goes_on_with_the_chain_that_it_began_with(world: Make, tmp_path: Path) -> None:
    """Its specs are stored; the loop's own proposals of today change nothing in it."""
    w = world(m=writes_calls(0.5))
    named = candidates(tmp_path, {"variant": "native_parsed"})
    with contextlib.suppress(Stopped):
        await w.loop(ATOMIC, candidates=named, on_step=stop_at("race_block"))
    with w.ledger() as ledger:
        (begun,) = ledger.read(RaceStart)
    (cycle,) = await w.loop(ATOMIC, candidates=named)
    assert (cycle.targets[0].winner_variant, cycle.targets[0].winner_spec_id) == ("native_parsed", begun.entrants[0].spec_id)
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert "all@2" not in rule.variant.parsers


async def test_a_rule_keeps_its_chain_until_a_later_one_is_decided_upon(world: Make) -> None:
    """Equal outcomes promote nothing, so a baseline that reads everything stays as it is."""
    w = world(m=model("fenced"))
    await w.loop(PARSED, max_candidates=0)
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    assert cycle.targets[0].winner_spec_id is None
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert rule.variant.name == "native_parsed"


async def test_a_later_chain_is_tried_on_the_replies_of_a_cycle_for_nothing(world: Make) -> None:
    """A deterministic candidate has its evaluation without a trial of its own, as has rescoring."""
    w = world(m=model("fenced"))
    await w.loop(ATOMIC, max_candidates=1)
    with w.app() as app:
        asked = len(list(app.ledger.read(Trial)))
        runs = [run for run in app.ledger.read(Run) if run.purpose == "measure"]
        assert len({run.request_id for run in runs}) == 1
        again = await rescore_runs(app, [runs[0].run_id], parsers=["all@2"])
        assert again.evaluation is not None
        assert (again.evaluation.variant, again.evaluation.metrics.accuracy) == ("native_parsed@2", 1.0)
        named = await rescore_runs(app, [runs[0].run_id], parsers=["json", "fit"])
        assert named.evaluation is not None
        assert named.evaluation.variant == "native_api+json+fit"
        assert len(list(app.ledger.read(Trial))) == asked
        assert {e.variant for e in app.ledger.read(Evaluation)} == {"native_api", "native_parsed@2", "native_api+json+fit"}
