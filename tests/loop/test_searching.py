"""A search finds what a cycle tries, keeps what it asked, and promotes nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selfopt.errors import BudgetError, EndpointError
from selfopt.loop import Listener
from selfopt.measure.arena import Arena
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.records import CyclePlan, Decision, Run, SearchEnd, SearchStart, Spec, Trial
from selfopt.verbs.looping import parse_target, preview, run_loop
from selfopt.words.calls import variant_lines

from .kit import World
from .race_kit import ATOMIC, sample_suite, steady, towns, with_suite
from .test_continue import Stopped, stop_at

Make = Callable[..., World]
TOWNS = towns(120)
SEARCH = {"loop": {"search": True, "search_trials": 200, "max_candidates": 2}}


async def searched(world: World, on_step: Callable[[str], None] | None = None, **settings: Any) -> None:
    """A cycle that searches."""
    with world.app(**(SEARCH | settings)) as app:
        app.on_step = on_step or app.on_step
        await run_loop(app, [ATOMIC], listener=Listener(world.events.append))


def read(world: World, kind: type) -> list[Any]:
    """Every record of a kind."""
    with world.ledger() as ledger:
        return list(ledger.read(kind))


def hinted(world: Make) -> World:
    """A model that is right about ten towns, and about all of them once it is told to call."""
    return with_suite(world(m=steady(TOWNS[:10], TOWNS)), sample_suite(20, 100))


async def test_a_search_finds_an_instruction_that_no_catalogue_has_and_the_gates_promote_it(world: Make) -> None:
    w = hinted(world)
    await searched(w)
    (end,) = read(w, SearchEnd)
    assert end.requests <= 200
    assert end.compared >= 24
    assert end.ranking[0].point["instructions"] in ("call", "call_and_hold", "copy")
    assert [one.value for one in end.ranking] == sorted((one.value for one in end.ranking), reverse=True)
    (plan,) = read(w, CyclePlan)
    (target,) = plan.targets
    assert target.screened == end.compared, "the race knows how many points were ranked"
    assert len(target.candidate_spec_ids) == 2
    assert {decision.verdict for decision in read(w, Decision)} <= {"promote", "hold", "reject"}
    assert any(decision.verdict == "promote" for decision in read(w, Decision))
    winner = next(spec for spec in read(w, Spec) if spec.spec_id == target.candidate_spec_ids[0])
    assert any("Call the tools" in line for line in variant_lines(winner.variant))


async def test_a_dry_run_of_a_search_that_was_cut_off_counts_the_search(world: Make) -> None:
    """What it will try is not known before it ends."""
    w = hinted(world)
    for step, planned in (("search_batch", False), ("planned", True)):
        with pytest.raises(Stopped):
            await searched(w, stop_at(step))
        with w.app(**SEARCH) as app:
            plan = preview(app, [parse_target(app, ATOMIC)])
        assert plan.continues == 1
        assert [bool(pairs) for _, _, pairs in plan.targets] == [planned]
        assert plan.search_trials == (0 if planned else 200)


@pytest.mark.parametrize("step", ["search_begun", "search_batch", "searched", "planned"])
async def test_a_search_that_was_killed_goes_on_and_asks_nothing_twice(world: Make, step: str) -> None:
    w = hinted(world)
    with pytest.raises(Stopped):
        await searched(w, stop_at(step))
    await searched(w)
    assert len(read(w, SearchStart)) == len(read(w, SearchEnd)) == 1
    assert 180 < read(w, SearchEnd)[0].requests <= 200
    runs = {run.run_id: run for run in read(w, Run) if run.purpose == "search"}
    asked = [(runs[t.run_id].request_id, t.prompt_id) for t in read(w, Trial) if t.run_id in runs]
    assert len(asked) == len(set(asked)) == read(w, SearchEnd)[0].requests


async def test_a_search_asks_search_prompts_alone_and_keeps_trials_for_what_comes_after(world: Make) -> None:
    w = hinted(world)
    await searched(w, limits={"max_trials": 450})
    with w.ledger() as ledger:
        runs = {run.run_id: run for run in ledger.read(Run)}
        trials = list(ledger.read(Trial))
    assert {runs[t.run_id].split for t in trials if runs[t.run_id].purpose == "search"} == {"search"}
    (end,) = read(w, SearchEnd)
    assert end.stopped is not None
    assert "max_trials" in end.stopped
    assert any("are kept back for the candidates" in text for text in w.said("note"))
    assert read(w, Decision), "the candidates were measured and decided"


async def test_a_cap_that_leaves_too_little_for_the_candidates_still_leaves_a_quarter_to_the_search(world: Make) -> None:
    """What was found is kept, and the same command goes on with the candidates when it may."""
    w = hinted(world)
    with pytest.raises(BudgetError, match="the same command continues it"):
        await searched(w, limits={"max_trials": 300})
    (end,) = read(w, SearchEnd)
    assert end.requests >= 20
    assert end.ranking
    await searched(w)
    assert len(read(w, SearchEnd)) == 1
    assert read(w, Decision)


async def test_without_the_setting_nothing_is_searched(world: Make) -> None:
    w = hinted(world)
    await searched(w, loop={"search": False})
    assert read(w, SearchStart) == []
    assert read(w, CyclePlan)[0].targets[0].screened == 0


async def test_each_batch_says_what_is_tried_and_what_is_best(world: Make) -> None:
    w = hinted(world)
    await searched(w)
    told = [event.text for event in w.events if event.kind == "search"]
    assert told[0].startswith("0 of at most 200 trials, 20 reused: native on 20 prompts (start); best so far: ")
    assert all("best so far: " in text for text in told)
    assert any(text.startswith("the search ends: 200 trials were for the search") for text in w.said("note"))


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_server_that_goes_away_ends_no_search(world: Make, monkeypatch: pytest.MonkeyPatch, comes_back: bool) -> None:
    """The batch is asked again when it answers; else the same command goes on."""
    real, faults = Arena.block, iter([False, True])

    async def block(self: Arena, order: BlockOrder, **more: Any) -> BlockResult:
        if order.purpose == "search" and next(faults, False):
            return BlockResult({}, (), {}, fault="the server does not answer")
        return await real(self, order, **more)

    async def recover(self: Arena, spec: Spec) -> bool:
        return comes_back

    monkeypatch.setattr(Arena, "block", block)
    monkeypatch.setattr(Arena, "recover", recover)
    w = hinted(world)
    if not comes_back:
        with pytest.raises(EndpointError, match="the same command goes on"):
            await searched(w)
        assert read(w, SearchEnd) == []
    await searched(w)
    (end,) = read(w, SearchEnd)
    assert end.ranking[0].point["instructions"] in ("call", "call_and_hold", "copy")
    assert next(faults, None) is None, "the server did go away"


async def test_a_server_that_says_it_answers_and_never_does_is_not_waited_for_for_ever(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search stops after some tries, and the same command goes on."""
    real, tries = Arena.block, list[str]()

    async def block(self: Arena, order: BlockOrder, **more: Any) -> BlockResult:
        if order.purpose != "search":
            return await real(self, order, **more)
        tries.append(order.block_id)
        return BlockResult({}, (), {}, fault="the server does not answer")

    async def recover(self: Arena, spec: Spec) -> bool:
        return True

    monkeypatch.setattr(Arena, "block", block)
    monkeypatch.setattr(Arena, "recover", recover)
    w = hinted(world)
    with pytest.raises(EndpointError, match="the same command goes on"):
        await searched(w, policy={"max_discards": 2})
    assert len(tries) == 3
    assert read(w, SearchEnd) == []
