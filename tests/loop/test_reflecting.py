"""A reflection model advises a search: with consent, within bounds, once, and without held-out material."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from selfopt.errors import ConsentError, UnknownModelError
from selfopt.loop import Listener
from selfopt.records import (
    Blob,
    CyclePlan,
    Decision,
    ProposerRating,
    Reflection,
    Run,
    SearchEnd,
    SearchStart,
    Spec,
    Trial,
    WrittenChoice,
)
from selfopt.scripted.endpoint import engine_for
from selfopt.scripted.player import ScriptEngine
from selfopt.verbs.looping import run_loop
from tests.scripted.clock import ManualClock

from .kit import Script, World, says
from .race_kit import ATOMIC, sample_suite, towns, with_suite
from .test_continue import Stopped, stop_at

Make = Callable[..., World]
TOWNS = towns(120)
WISE = "Never guess: the town that the user names is what the tool wants."
PLAIN: dict[str, Any] = {"search": True, "search_trials": 200, "max_candidates": 1}
SETTINGS: dict[str, Any] = {"loop": {**PLAIN, "reflection": {"model": "scripted/r", "questions": 6}}}


def obedient() -> Script:
    """A model that is right about ten towns, and about all of them once it is told not to guess."""
    replies: list[Script] = []
    for town in TOWNS:
        asks = {"contains": f"Weather in {town}?", "tools": True}
        replies.append({"match": {**asks, "system_contains": "never guess"}, **says(town, "native")})
        replies.append({"match": asks, **(says(town, "native") if town in TOWNS[:10] else {"text": "Hm."})})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies}


def adviser(*edits: object, **more: Any) -> Script:
    """A reflection model that always answers with these edits."""
    return {"initially_loaded": True, "default": {"text": f"Well.\n```json\n{json.dumps({'edits': edits})}\n```", **more}}


def advised(world: Make, reflector: Script) -> World:
    """The model, and one that is asked about it."""
    return with_suite(world(m=obedient(), r=reflector), sample_suite(20, 100))


async def searched(world: World, **settings: Any) -> None:
    """The search of a cycle; what it found is not measured."""
    with pytest.raises(Stopped):
        await cycle(world, stop_at("searched"), **settings)


async def cycle(world: World, on_step: Callable[[str], None] | None = None, **settings: Any) -> None:
    """A cycle that searches with reflection."""
    with world.app(**(SETTINGS | settings)) as app:
        app.on_step = on_step or app.on_step
        await run_loop(app, [ATOMIC], listener=Listener(world.events.append))


def read(world: World, kind: type) -> list[Any]:
    """Every record of a kind."""
    with world.ledger() as ledger:
        return list(ledger.read(kind))


def rating(world: World, proposer: str = "reflection") -> ProposerRating:
    """How a proposer did."""
    (end,) = read(world, SearchEnd)
    found: ProposerRating = next(one for one in end.proposers if one.by == proposer)
    return found


def questions(world: World) -> list[str]:
    """What the reflection model was asked, as its server saw it."""
    assert world.engine is not None
    return [json.dumps(entry.body) for entry in world.engine.journal if entry.model == "r"]


# Where a way to ask is asked natively at once, the model is told.
AT_ONCE = {"tools": "native", "steps": "single", "form": "free", "examples": "none", "words": "free", "required_only": "no"}
WISE_EDIT = {"instructions": WISE, "parts": AT_ONCE, "fixes": [f"t{i:03d}" for i in range(10, 20)], "breaks": ["t000"]}


async def test_an_instruction_that_a_reflection_model_wrote_wins_and_is_promoted(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    await cycle(w)
    written = next(one for one in read(w, WrittenChoice) if one.part == "instructions")
    assert (written.instructions, written.by, written.model) == (WISE, "reflection", "scripted/r")
    (end,) = read(w, SearchEnd)
    assert end.ranking[0].point["instructions"] == written.name
    assert read(w, Reflection)[0].batches == 1, "it is asked right after the start"
    (plan,) = read(w, CyclePlan)
    winner = next(one for one in read(w, Spec) if one.spec_id == plan.targets[0].candidate_spec_ids[0])
    assert winner.variant.instructions == WISE
    assert any(one.verdict == "promote" and one.candidate_spec_id == winner.spec_id for one in read(w, Decision))


async def test_gepa_words_the_questions_where_it_is_told_to(world: Make) -> None:
    w = advised(world, {"initially_loaded": True, "default": {"text": f"```\n{WISE}\n```"}})
    await searched(w, loop={**PLAIN, "reflection": {"model": "scripted/r", "backend": "gepa"}})
    assert {one.instructions for one in read(w, WrittenChoice) if one.by == "reflection"} == {WISE}
    assert all("write a new instruction" in one for one in questions(w))
    assert questions(w)


async def test_a_reflection_model_is_rated_by_how_its_predictions_came_true(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    await searched(w)
    found = rating(w)
    assert found.model == "scripted/r"
    assert found.fixed == found.of_fixes > 0, "what it expected to be fixed was failed before, and passed after"
    assert (found.broken, found.of_breaks) == (0, 1)
    assert found.questions == len(read(w, Reflection)) == len(questions(w))
    assert rating(w, "random").questions == 0


async def test_a_question_shows_search_prompts_alone_and_is_kept_with_its_answer(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    await searched(w)
    asked = "\n".join(questions(w))
    assert "Town01" in asked
    assert not any(town in asked for town in TOWNS[20:])
    blobs = {one.blob_hash: one.text for one in read(w, Blob)}
    for one in read(w, Reflection):
        (attempt,) = one.exchange.attempts
        assert "trials" in blobs[attempt.request]
        assert "Never guess" in blobs[attempt.reply or ""]
        assert set(one.prompt_ids) <= {f"t{i:03d}" for i in range(20)}


@pytest.mark.parametrize(
    "text",
    [
        "For example: Weather in Town034?",
        "Some users ask about T\u200bown034.",
        "The towns are Town020, Town021 and TOWN099.",
    ],
)
async def test_held_out_material_is_refused_recorded_and_told_by_ids_alone(world: Make, text: str) -> None:
    w = advised(world, adviser({"instructions": f"Never guess. {text}"}))
    await searched(w)
    assert [one for one in read(w, WrittenChoice) if one.by == "reflection"] == []
    refused = [edit for one in read(w, Reflection) for edit in one.refused]
    assert {edit.refusal for edit in refused} == {"held_out"}
    assert {one for edit in refused for one in edit.prompt_ids} <= {f"t{i:03d}" for i in range(20, 120)}
    assert rating(w).refused == {"held_out": len(refused)}
    said = [event.text for event in w.events if event.kind == "reflection"]
    assert any("refused: it repeats held-out prompt" in one for one in said)
    assert not any("Town" in one for one in said)
    assert all("w-" not in json.dumps(one.point) for one in read(w, SearchEnd)[0].ranking if one.by == "reflection")


async def test_held_out_answers_in_examples_are_refused(world: Make) -> None:
    example = {
        "tool_set": "t",
        "request": "Is it raining there?",
        "calls": [{"name": "get_weather", "arguments": {"city": {"in": ["Town077"]}}}],
    }
    w = advised(world, adviser({"examples": [example]}))
    await searched(w)
    assert {edit.refusal for one in read(w, Reflection) for edit in one.refused} == {"held_out"}
    assert {one for r in read(w, Reflection) for edit in r.refused for one in edit.prompt_ids} == {"t077"}


async def test_an_example_that_repeats_a_search_prompt_is_not_judged_on_it(world: Make) -> None:
    calls = [{"name": "get_weather", "arguments": {"city": "Town003"}}]
    w = advised(world, adviser({"examples": [{"tool_set": "t", "request": "Weather in Town003?", "calls": calls}]}))
    await searched(w)
    (written,) = [one for one in read(w, WrittenChoice) if one.by == "reflection"]
    assert written.sources == ("t003",)
    requests = {one.request_id for one in read(w, Spec) if one.variant.examples == written.examples}
    runs = {run.run_id for run in read(w, Run) if run.purpose == "search" and run.request_id in requests}
    asked = {one.prompt_id for one in read(w, Trial) if one.run_id in runs}
    assert asked
    assert "t003" not in asked


async def test_what_is_no_edit_costs_a_proposer_its_turns_alone(world: Make) -> None:
    w = advised(world, adviser({"parts": {"tols": "native"}}, {"code": "import os"}, *[7] * 9))
    await searched(w)
    assert set(rating(w).refused) == {"unknown_part", "malformed", "too_many"}
    assert rating(w).ways == 0
    assert read(w, SearchEnd)[0].requests > 110


@pytest.mark.parametrize(
    ("reflector", "why"),
    [
        ({"initially_loaded": True, "default": {"text": "I can't help with that. {"}}, "no_json"),
        ({"initially_loaded": True, "default": {"fault": {"kind": "hang"}}}, "timeout"),
        ({"initially_loaded": True, "default": {"fault": {"kind": "status", "status": 500}}}, "error"),
    ],
)
async def test_a_model_that_never_answers_is_given_up_and_the_search_goes_on(world: Make, reflector: Script, why: str) -> None:
    w = advised(world, reflector)
    await searched(w)
    assert {one.unanswered for one in read(w, Reflection)} == {why}
    assert len(read(w, Reflection)) == rating(w).unanswered == rating(w).questions <= 3
    assert read(w, SearchEnd)[0].requests > 110


FAR: dict[str, Any] = {"loop": {**PLAIN, "reflection": {"model": "far/r"}}}


def far(world: World) -> dict[str, Any]:
    """An endpoint that is not on this machine."""
    return {"endpoints": {"far": {"kind": "scripted", "script": str(world.script_path), "local": False}}}


def server_of(world: World) -> ScriptEngine:
    """The server of that endpoint: its journal holds whatever reaches it."""
    with world.app(**far(world)) as app:
        return engine_for(app.settings.endpoint_config("far", {}), ManualClock())


async def test_without_consent_nothing_of_a_local_model_goes_to_a_remote_one(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    server = server_of(w)
    with pytest.raises(ConsentError, match=r"far/r, which would serve scripted/m, is not on this machine"):
        await cycle(w, **FAR, **far(w))
    assert list(server.journal) == []
    assert w.engine is not None
    assert list(w.engine.journal) == [], "it is told before anything is measured"


async def test_consent_that_was_taken_back_is_missed_where_the_question_is_sent(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = advised(world, adviser(WISE_EDIT))
    server = server_of(w)
    with pytest.raises(Stopped):
        await cycle(w, stop_at("search_begun"), allow_remote=True, **FAR, **far(w))
    assert read(w, SearchStart)[0].reflection == "far/r"
    monkeypatch.setattr("selfopt.verbs.looping.require_adviser", lambda *_: None)
    with pytest.raises(ConsentError):
        await cycle(w, **FAR, **far(w))
    assert list(server.journal) == []
    assert read(w, Reflection) == []


@pytest.mark.parametrize("reflection", [{}, {"model": "scripted/m"}])
async def test_a_search_that_goes_on_asks_no_model_that_the_settings_do_not_name(world: Make, reflection: dict[str, str]) -> None:
    w = advised(world, adviser(WISE_EDIT))
    with pytest.raises(Stopped):
        await cycle(w, stop_at("reflected"))
    assert read(w, SearchStart)[0].reflection == "scripted/r"
    await searched(w, loop={**PLAIN, "reflection": reflection})
    assert len(questions(w)) == 1
    assert rating(w).questions == len(read(w, Reflection)) == 1, "what was answered before still counts"


async def test_with_consent_a_remote_model_is_asked(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    server = server_of(w)
    await searched(w, allow_remote=True, **FAR, **far(w))
    assert {entry.model for entry in server.journal} == {"r"}
    assert len(server.journal) == len(read(w, Reflection)) == rating(w).questions
    assert rating(w).model == "far/r"


async def test_an_unknown_reflection_model_is_told_before_anything_is_measured(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    with pytest.raises(UnknownModelError):
        await cycle(w, loop={**PLAIN, "reflection": {"model": "nobody"}})
    assert w.engine is not None
    assert list(w.engine.journal) == []


async def test_without_a_model_nothing_is_asked(world: Make) -> None:
    w = advised(world, adviser(WISE_EDIT))
    await searched(w, loop=PLAIN)
    assert questions(w) == []
    assert read(w, Reflection) == []


def ranked(world: World) -> list[tuple[dict[str, str], float]]:
    """What the search found."""
    (end,) = read(world, SearchEnd)
    return [(one.point, one.value) for one in end.ranking]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world after a search that nobody killed. It is only read."""
    folder = tmp_path_factory.mktemp("undisturbed")
    whole = with_suite(World(folder / "whole", {"m": obedient(), "r": adviser(WISE_EDIT)}), sample_suite(20, 100))
    asyncio.run(searched(whole))
    return whole


@pytest.mark.parametrize(("step", "nth"), [("search_batch", 2), ("search_batch", 6), ("reflected", 1)])
async def test_a_search_that_was_killed_comes_to_the_same_end_and_asks_no_question_twice(
    world: Make, undisturbed: World, step: str, nth: int
) -> None:
    w = advised(world, adviser(WISE_EDIT))
    left = [nth]

    def stop(done: str) -> None:
        left[0] -= done == step
        if done == step and left[0] == 0:
            raise Stopped(done)

    with pytest.raises(Stopped):
        await cycle(w, stop)
    assert read(w, SearchEnd) == []
    await searched(w)
    assert ranked(w) == ranked(undisturbed)
    assert len(questions(w)) == len(read(w, Reflection)) == len(read(undisturbed, Reflection))
    assert [one.edits for one in read(w, Reflection)] == [one.edits for one in read(undisturbed, Reflection)]
