"""What was promoted for other models is tried early, and what a search began with stays what it began with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selfopt.records import Decision, SearchBatch, SearchEnd, SearchStart
from selfopt.variants.space import asking_part
from selfopt.verbs.looping import run_loop

from .kit import World
from .race_kit import ATOMIC, sample_suite, steady, with_suite
from .test_continue import Stopped, stop_at
from .test_searching import SEARCH, TOWNS, read

Make = Callable[..., World]
OTHER = "scripted/n atomic native_api"


async def promoted(world: Make) -> World:
    """A world in which a search promoted a point for one model; another model is like it."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS), n=steady(TOWNS[:10], TOWNS)), sample_suite(20, 100))
    with w.app(**SEARCH) as app:
        await run_loop(app, [ATOMIC])
    assert any(decision.verdict == "promote" for decision in read(w, Decision))
    return w


async def test_a_point_that_another_model_was_promoted_with_is_proposed_by_transfer(world: Make) -> None:
    """It comes as a proposal, and the same search goes on after a kill with what it began with."""
    w = await promoted(world)
    winner = next(d.candidate_spec_id for d in read(w, Decision) if d.verdict == "promote")
    point = next(one.point for end in read(w, SearchEnd) for one in end.ranking if one.spec_id == winner)
    with w.app(**SEARCH) as app:
        app.on_step = stop_at("search_batch", 2)
        with pytest.raises(Stopped):
            await run_loop(app, [OTHER])
    start = read(w, SearchStart)[-1]
    assert start.priors == (point,)
    with w.app(**SEARCH) as app:
        await run_loop(app, [OTHER])
    mine = [batch for batch in read(w, SearchBatch) if batch.search_id == start.search_id]
    assert [batch.number for batch in mine] == list(range(len(mine)))
    first = next(batch for batch in mine if batch.by == "transfer")
    assert first.asking == asking_part(point)
    assert read(w, SearchStart)[-1] == start


async def test_the_model_itself_and_another_phase_give_no_priors(world: Make) -> None:
    """What held-out prompts said of a model does not choose what is tested on them for it."""
    w = await promoted(world)
    with w.app(**SEARCH) as app:
        await run_loop(app, [ATOMIC])
    assert [start.priors for start in read(w, SearchStart)] == [(), ()]
