"""A search takes the replies that the ledger holds, and comes to the same as one that asks anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfopt.measure.arena import Arena
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.records import Run, SearchBatch, SearchEnd, Trial

from .kit import World
from .race_kit import sample_suite, steady, with_suite
from .test_continue import Stopped, stop_at
from .test_searching import TOWNS, hinted, read, searched

Make = Callable[..., World]


def batches(world: World) -> list[tuple[object, ...]]:
    """What the search asked and learnt, in order."""
    return [
        (b.number, tuple(b.asking.items()), b.by, len(b.trial_ids), b.best.point, b.best.value) for b in read(world, SearchBatch)
    ]


async def test_what_the_baseline_was_measured_by_is_not_asked_again(world: Make) -> None:
    """Twenty search prompts under the same request_id: a search begins with them for nothing."""
    w = hinted(world)
    await searched(w)
    (end,) = read(w, SearchEnd)
    first = read(w, SearchBatch)[0]
    assert (first.by, first.reused, len(first.trial_ids)) == ("start", 20, 20)
    assert end.reused == sum(batch.reused for batch in read(w, SearchBatch)) == 20
    runs = {run.run_id: run for run in read(w, Run)}
    made = [trial for trial in read(w, Trial) if runs[trial.run_id].purpose == "search"]
    assert len(made) == end.requests <= 200


async def test_with_and_without_stored_replies_a_search_learns_the_same(world: Make, tmp_path: Path) -> None:
    """The model is deterministic, so the batches of the dearer search are the first of the cheaper one."""
    w = hinted(world)
    await searched(w)
    anew = with_suite(World(tmp_path / "anew", w.models), sample_suite(20, 100))
    await searched(anew, loop={"search": True, "search_trials": 200, "max_candidates": 2, "search_fresh": True})
    (end,) = read(anew, SearchEnd)
    assert end.reused == 0
    dear, cheap = batches(anew), batches(w)
    assert len(dear) < len(cheap)
    assert cheap[: len(dear)] == dear


async def test_a_later_search_takes_what_an_earlier_one_asked(world: Make) -> None:
    """The next cycle searches against another baseline, by the same ways to ask."""
    w = hinted(world)
    await searched(w)
    await searched(w)
    first, second = read(w, SearchEnd)
    assert second.reused >= first.requests / 2
    assert second.requests <= 200


def cut(monkeypatch: pytest.MonkeyPatch, block: int, asks: int) -> None:
    """The process dies in a block of the search, after so many asks."""
    whole = Arena.block

    async def part(self: Arena, order: BlockOrder) -> BlockResult:
        if order.purpose == "search" and order.number == block:
            await whole(self, replace(order, asks=list(order.asks)[:asks]))
            raise Stopped("in the middle of a block")
        return await whole(self, order)

    monkeypatch.setattr(Arena, "block", part)


async def test_a_search_that_died_in_a_batch_sees_the_same_trials_when_it_goes_on(
    world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own first, then the stored ones of before; what other commands asked meanwhile changes nothing."""
    calm = hinted(world)
    await searched(calm)
    w = with_suite(World(tmp_path / "stormy", calm.models), sample_suite(20, 100))
    with monkeypatch.context() as dying:
        cut(dying, block=3, asks=5)
        with pytest.raises(Stopped):
            await searched(w)
    with pytest.raises(Stopped):
        await searched(w, stop_at("search_batch", 2))
    await searched(w)
    assert batches(w) == batches(calm)
    assert [(end.requests, end.reused) for end in read(w, SearchEnd)] == [
        (end.requests, end.reused) for end in read(calm, SearchEnd)
    ]
    runs = {run.run_id: run for run in read(w, Run) if run.purpose == "search"}
    asked = [(runs[t.run_id].request_id, t.prompt_id) for t in read(w, Trial) if t.run_id in runs]
    assert len(asked) == len(set(asked)), "nothing is asked twice"


async def test_no_held_out_reply_is_taken(world: Make) -> None:
    """Held-out prompts that were asked by hand stay out of the search."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS)), sample_suite(20, 100))
    await searched(w)
    runs = {run.run_id: run for run in read(w, Run)}
    trials = {trial.trial_id: trial for trial in read(w, Trial)}
    taken: list[Any] = [trials[one] for batch in read(w, SearchBatch) for one in batch.trial_ids]
    assert {runs[trial.run_id].split for trial in taken} == {"search"}
    assert any(run.split == "heldout" for run in runs.values())


async def test_a_search_whose_space_changed_meanwhile_goes_on_another_course_and_loses_nothing(world: Make) -> None:
    """The ledger holds another batch in the place of the next one: neither is taken for the other."""
    w = hinted(world)
    with pytest.raises(Stopped):
        await searched(w, stop_at("search_batch", 2))
    first = read(w, SearchBatch)
    foreign = first[0].model_copy(
        update={"batch_id": f"{first[0].search_id}/2", "number": 2, "asking": {"form": "schema"}, "by": "an older proposer"}
    )
    with w.app() as app:
        await app.ledger.append([foreign])
    await searched(w)
    (end,) = read(w, SearchEnd)
    assert end.requests <= 200
    made = [batch for batch in read(w, SearchBatch) if "~1/" in batch.batch_id]
    assert [batch.number for batch in made] == list(range(2, 2 + len(made)))
    assert [event.text for event in w.events if event.kind == "note" and "have changed" in event.text]
