"""Interrupted cycles and loops: what is there is used, what is missing is made, and nothing is made twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import BudgetError, UsageError
from selfopt.loop import unfinished_cycles
from selfopt.records import (
    Cycle,
    CycleAbandoned,
    CyclePlan,
    CycleStart,
    Decision,
    Evaluation,
    LoopEnd,
    LoopStart,
    Run,
    RunEnd,
    Trial,
)
from selfopt.routing import STEPS
from selfopt.verbs.looping import preview

from .kit import World, model, outline, trials_per_slot

M = "scripted/m"
ATOMIC, EXTENDED, BIG = "scripted/m atomic native_api", "scripted/m extended native_api", "scripted/big extended native_api"
Make = Callable[..., World]

LOOP_STEPS = (
    "loop_begun",
    "begun",
    "baseline_measured",
    "diagnosed",
    "planned",
    "measured",
    "decided",
    "recommended",
    *STEPS,
    "enforced",
    "finished",
    "reported",
    "loop_ended",
)


class Stopped(BaseException):
    """As if the process had been killed there: nothing catches it."""


def stop_at(step: str, times: int = 1) -> Callable[[str], None]:
    """Stop when a step is reached for the n-th time."""
    left = [times]

    def on_step(name: str) -> None:
        if name == step:
            left[0] -= 1
            if not left[0]:
                raise Stopped(step)

    return on_step


def models() -> dict[str, dict[str, object]]:
    """One that loads slowly and writes calls in an unread format, one too weak for conversations, and one that is not."""
    return {"m": model("fenced", load_ms=2000, initially_loaded=False), "weak": model(), "big": model(extended="native")}


async def test_stopped_at_every_step_it_comes_to_the_same_as_undisturbed(world: Make, tmp_path: Path) -> None:
    """Two cycles with a promotion, a warm-up, a fallback: after each step in turn, in both cycles, the same command is started
    again. Same decisions, baselines, rules, findings, cycles; no trial lost or repeated."""
    command = (ATOMIC, "scripted/weak extended native_api", BIG)
    calm = World(tmp_path / "calm", models())
    await calm.loop(*command, cycles=2)
    wanted = outline(calm)
    w = World(tmp_path / "stormy", models())
    trials: set[str] = set()
    stops = [(step, 1) for step in LOOP_STEPS]
    while stops:
        step, times = stops.pop(0)
        try:
            await w.loop(*command, cycles=2, on_step=stop_at(step, times))
            break
        except Stopped:
            pass
        with w.ledger() as ledger:
            now = {t.trial_id for t in ledger.read(Trial)}
            assert trials <= now
            trials = now
            if not stops and next(ledger.read(LoopEnd), None) is None:
                stops += [(s, 1) for s in LOOP_STEPS]
    assert outline(w) == wanted
    with w.ledger() as ledger:
        assert set(trials_per_slot(ledger).values()) == {1}
        assert len(list(ledger.read(LoopStart))) == len(list(ledger.read(LoopEnd))) == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two cycles come to when nobody stops them."""
    calm = World(tmp_path_factory.mktemp("undisturbed") / "calm", {"m": model("fenced")})
    asyncio.run(calm.loop(ATOMIC, cycles=2))
    return outline(calm)


@pytest.mark.parametrize("step", LOOP_STEPS)
async def test_each_step_of_the_second_cycle_can_be_the_last(tmp_path: Path, step: str, undisturbed: dict[str, Any]) -> None:
    """Stopped in cycle 2 only; the command goes on with cycle 2 and does not make a third."""
    w = World(tmp_path / "stormy", {"m": model("fenced")})
    first = 1 if step.startswith("loop_") or step in STEPS else 2
    stopped = False
    try:
        await w.loop(ATOMIC, cycles=2, on_step=stop_at(step, first))
    except Stopped:
        stopped = True
    assert stopped
    if step != "loop_ended":
        cycles = await w.loop(ATOMIC, cycles=2)
        assert [c.number for c in cycles] == [1, 2]
    assert outline(w) == undisturbed


async def test_a_remedy_enforced_by_a_cycle_is_not_checked_by_that_cycle_when_it_is_continued(world: Make) -> None:
    """The fallback rule is in force when the cycle is continued; its check belongs to the next one."""
    w = world(m=model(), big=model(extended="native"))
    with pytest.raises(Stopped):
        await w.loop(EXTENDED, BIG, on_step=stop_at("enforced"))
    assert w.rules()[M, "extended"].fallback == "scripted/big"
    (cycle,) = await w.loop(EXTENDED, BIG)
    assert cycle.remedies == ()


@pytest.mark.parametrize("cap", [1, 5, 8, 11, 13, 20, 32])
async def test_a_cap_in_mid_cycle_stops_with_a_clear_error_and_decides_nothing(world: Make, cap: int) -> None:
    """Exit code 1; the message names cycle and cap; the same command continues, and the trials are those of one whole cycle."""
    w = world(m=model("fenced"))
    with pytest.raises(
        BudgetError, match=rf"cycle 1 stopped .* max_trials = {cap} reached .*the same command continues"
    ) as caught:
        await w.loop(ATOMIC, settings={"limits": {"retries": 0, "max_trials": cap}})
    assert caught.value.exit_code == 1
    with w.ledger() as ledger:
        assert len(list(ledger.read(Trial))) == cap
        assert not list(ledger.read(Decision))
        assert unfinished_cycles(ledger, None)
    (cycle,) = await w.loop(ATOMIC)
    assert (cycle.number, cycle.trials) == (1, 33)
    with w.ledger() as ledger:
        assert set(trials_per_slot(ledger).values()) == {1}


async def test_a_cap_that_is_exactly_enough_is_no_error(world: Make) -> None:
    """33 trials are all that the cycle takes."""
    w = world(m=model("fenced"))
    (cycle,) = await w.loop(ATOMIC, settings={"limits": {"retries": 0, "max_trials": 33}})
    assert cycle.trials == 33


async def test_small_caps_one_after_another_reach_the_end(world: Make) -> None:
    """Ten trials a time, as somebody with a small budget would."""
    w = world(m=model(("native", "wrong")))
    for _ in range(20):
        try:
            (cycle,) = await w.loop(ATOMIC, max_candidates=0, settings={"limits": {"retries": 0, "max_trials": 10}})
            break
        except BudgetError:
            continue
    assert cycle.trials == 49 + 4
    with w.ledger() as ledger:
        newest = list(ledger.read(Evaluation))[-1]
        assert (newest.n_runs, cycle.targets[0].baseline_evaluation_id) == (7, newest.evaluation_id)


async def test_an_interrupted_cycle_of_other_targets_is_named_and_abandoned_on_record(world: Make) -> None:
    """Its trials stay, its runs are closed, its number is not used again."""
    w = world(m=model("fenced"), big=model(extended="native"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("planned"))
    with w.app() as app:
        assert preview(app, []).continues == 1
    (cycle,) = await w.loop(BIG)
    assert cycle.number == 2
    (said,) = w.said("abandoned")
    assert "cycle 1 (scripted/m atomic)" in said
    with w.ledger() as ledger:
        (record,) = ledger.read(CycleAbandoned)
        assert (record.number, record.reason) == (1, "this command works on other models or phases")
        assert len(list(ledger.read(Trial))) > cycle.trials
        ends = {e.run_id for e in ledger.read(RunEnd)}
        assert all(r.run_id in ends for r in ledger.read(Run))
    (third,) = await w.loop(ATOMIC)
    assert third.number == 3
    assert third.trials == 33, "an abandoned cycle's measurements are not taken for fresh ones"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({"baseline": "scripted/m atomic restrained"}, "another baseline"),
        ({"candidates": "- retries: 3\n"}, "other candidates"),
        ({"max_candidates": 1}, "at most 1 candidate,"),
    ],
)
async def test_a_command_that_asks_for_something_else_does_not_continue_silently(
    world: Make, command: dict[str, Any], why: str
) -> None:
    """Another baseline, other candidates, fewer of them: the interrupted cycle is given up with the reason."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("planned"))
    path = w.folder / "candidates.yaml"
    path.write_text(command.get("candidates", ""), "utf-8")
    more = {**command, **({"candidates": path} if "candidates" in command else {})}
    (cycle,) = await w.loop(more.pop("baseline", ATOMIC), **more)
    assert cycle.number == 2
    assert why in w.said("abandoned")[0]


async def test_another_command_on_the_same_targets_takes_the_interrupted_cycle_over(world: Make) -> None:
    """`loop --cycles 2` after an interrupted `loop`: the cycle counts as its first."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("measured"))
    cycles = await w.loop(keys=[(M, "atomic")], cycles=2)
    assert [c.number for c in cycles] == [1, 2]
    with w.ledger() as ledger:
        assert [s.number for s in ledger.read(CycleStart)] == [1, 2]
        assert not list(ledger.read(CycleAbandoned))


async def test_a_cycle_whose_suite_has_changed_is_not_continued(world: Make) -> None:
    """Its specs can't be measured any more; a new one takes the suite as it is."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(keys=[(M, "atomic")], on_step=stop_at("planned"))
    from .kit import suite

    w.write(small=suite("small", "atomic", "Weather in", ("Hello!", "Bye!", "Why?")))
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    assert cycle.number == 2
    assert "have changed since" in w.said("abandoned")[0]
    assert "the content of the suite" in w.said("note")[0]


async def test_a_finished_loop_is_not_repeated_under_its_key(world: Make) -> None:
    """The quickstart's way of asking twice for the same; without a key the same command measures anew."""
    w = world(m=model("fenced"))
    first = await w.loop(ATOMIC, key="mine/1")
    again = await w.loop(ATOMIC, key="mine/1")
    assert again == first
    other = await w.loop(ATOMIC, key="mine/2")
    assert [c.number for c in other] == [2]
    with w.ledger() as ledger:
        assert len(list(ledger.read(Cycle))) == 2


async def test_reports_that_a_kill_prevented_are_written_by_the_next_call(world: Make) -> None:
    """Stopped between the ledger and the files."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("finished"))
    report = w.home / "reports" / "CYCLE_1_RESULTS.json"
    assert not report.exists()
    (cycle,) = await w.loop(ATOMIC)
    assert cycle.number == 1
    assert report.exists()


async def test_what_a_continued_cycle_tells_is_what_it_did(world: Make) -> None:
    """It says that it continues, and repeats findings, plan and decisions for the reader."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("decided"))
    w.events.clear()
    await w.loop(ATOMIC)
    kinds = [event.kind for event in w.events]
    assert kinds[0] == "resume"
    assert {"finding", "plan", "decision", "promoted", "enforcement", "finished"} <= set(kinds)
    assert all(event.text for event in w.events)


async def test_the_same_model_and_phase_twice_is_a_usage_error(world: Make) -> None:
    """One baseline each."""
    w = world(m=model())
    with pytest.raises(UsageError, match="names scripted/m atomic twice"):
        await w.loop(ATOMIC, "scripted/m atomic restrained")
    with pytest.raises(UsageError, match="at least 1"):
        await w.loop(ATOMIC, cycles=0)


async def test_plans_are_made_once(world: Make) -> None:
    """A continued cycle tries what was planned, also when its findings would now lead elsewhere."""
    w = world(m=model("fenced"))
    with pytest.raises(Stopped):
        await w.loop(ATOMIC, on_step=stop_at("planned"))
    w.rescript(m=model("native"))
    (cycle,) = await w.loop(ATOMIC)
    with w.ledger() as ledger:
        (plan,) = ledger.read(CyclePlan)
    assert [r.spec_id for r in cycle.targets[0].candidates] == list(plan.targets[0].candidate_spec_ids)
