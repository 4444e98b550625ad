"""Stored replies as a world to search: true to what was judged, without any text, and held out by tool sets."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from selfopt.records import SearchBatch, SearchStart
from selfopt.search.marks import Objective
from selfopt.search.search import Search
from selfopt.variants.space import point_from, point_text, possible, readings_of
from tests.loop.kit import World
from tests.loop.test_sure import eager, looped, made

from .conftest import PERF, Run

SMALL = {
    "prompts": [
        {"id": f"{tool_set}{place}", "kind": "k", "tool_set": tool_set, "needs_call": place > 0}
        for tool_set in "ab"
        for place in range(3)
    ],
    # Passed is 1, called is 2. The first prompt of each tool set needs no call, the others do.
    "ways": {
        "native": {"": "233" + "220", "fit=yes": "132" + "133"},
        "tools=signatures": {"": "100" + "122", "fit=yes": "230" + "233"},
    },
}


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of stored worlds."""
    monkeypatch.syspath_prepend(str(PERF))
    return importlib.import_module("search_parts.stored")


@pytest.fixture
def export(stored: Any) -> Any:
    """The module that writes them."""
    return importlib.import_module("search_replay_export")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file with one small world."""
    path = tmp_path / "replay.json"
    path.write_text(json.dumps({"worlds": {"deep": SMALL}}))
    return path


def test_stored_replies_are_searched_at_equal_requests(run: Run, tmp_path: Path) -> None:
    """By the script, with the file that comes with it."""
    done = run(tmp_path, "search.py", "--replay", "--seeds", "1", "--search", "ours", "--search", "random ways", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for world in ("deep", "wide"):
        rows = result[world]["rows"]
        assert set(rows) == {"ours", "random ways"}
        for row in rows.values():
            assert len(row["0"]["worth"]) == 8
            assert all(0 <= share <= 1 for share in row["0"]["worth"])


def test_the_file_holds_sixty_points_of_the_space_in_each_world_and_an_outcome_for_each_prompt(stored: Any) -> None:
    """With nothing but a digit for each."""
    worlds = stored.read(stored.REPLAY)["worlds"]
    assert set(worlds) == {"deep", "wide"}
    for world in worlds.values():
        points = [
            {**point_from(way), **point_from(reading or "native")} for way, found in world["ways"].items() for reading in found
        ]
        assert len(points) == 60
        assert all(possible(point, frozenset({"tools", "grammar", "logprobs"})) for point in points)
        outcomes = [digits for found in world["ways"].values() for digits in found.values()]
        assert {len(digits) for digits in outcomes} == {len(world["prompts"])}
        assert set("".join(outcomes)) <= set("0123")


def test_what_is_held_out_shares_no_tools_with_what_is_searched_and_tells_of_restraint(stored: Any) -> None:
    """Whatever the seed."""
    for name in ("deep", "wide"):
        splits = stored.splits_of(stored.read(stored.REPLAY)["worlds"][name]["prompts"])
        assert len(set(splits)) == len(splits) > 30
        for seed in range(len(splits)):
            prompts = stored.StoredWorld(name, seed).prompts
            parts = [[one for one in prompts if one.held_out is out] for out in (True, False)]
            assert {one.tool_set for one in parts[0]} == set(splits[seed])
            assert not {one.tool_set for one in parts[0]} & {one.tool_set for one in parts[1]}
            assert all(sum(not one.needs_call for one in part) >= 2 for part in parts)


def test_the_truth_of_a_stored_point_is_what_was_judged_on_held_out_prompts(stored: Any, small: Path) -> None:
    """Counted by hand."""
    (a, b) = ((seed, "ab"[stored.splits_of(SMALL["prompts"])[seed] == ("b",)]) for seed in (0, 1))
    assert {a[1], b[1]} == {"a", "b"}
    truths = {out: stored.StoredWorld("deep", seed, small).truth for seed, out in (a, b)}
    native, read_so = truths["a"]({}), truths["a"]({"fit": "yes"})
    assert (native.accuracy, native.call_accuracy, native.restraint) == (2 / 3, 1.0, 0.0)
    assert (read_so.accuracy, read_so.call_accuracy, read_so.restraint) == (2 / 3, 0.5, 1.0)
    other = truths["b"]({"tools": "signatures"})
    assert (other.accuracy, other.call_accuracy, other.restraint) == (1 / 3, 0.0, 1.0)


def test_a_search_of_stored_replies_asks_only_what_was_asked_and_ends_when_all_is_known(stored: Any, small: Path) -> None:
    """Proposals of other ways are passed over."""
    world = stored.StoredWorld("deep", 0, small)
    prompts = tuple(one.id for one in world.prompts if not one.held_out)
    search, asked = Search(stored.StoredRoom(world).plan(prompts, 0), Objective()), set()
    while (batch := search.next()) is not None:
        asked |= {(point_text(batch.asking), one) for one in batch.prompts}
        search.told(batch, world.marks(batch.asking, batch.prompts))
    assert asked == {(way, one) for way in SMALL["ways"] for one in prompts}
    assert search.requests == world.size == len(asked)


def test_scripted_reflection_names_another_stored_point_and_at_best_what_it_mends(stored: Any, small: Path) -> None:
    """It has no other points than the searches."""
    world, rng = stored.StoredWorld("deep", 0, small), Random(0)
    failed = [one.id for one in world.prompts if not one.held_out]
    for _ in range(30):
        point, mends = world.reflect({}, failed, rng)
        assert point in world.points()
        assert point != {}
        assert set(mends) <= set(failed)
    assert world.reflect({}, [], rng) is None


def test_readings_are_spread_evenly_over_the_choices_of_every_part(export: Any) -> None:
    """The first one changes nothing."""
    found = export.evenly(list(readings_of({}, ("tools", "logprobs"))), 30)
    assert found[0] == {}
    assert len({point_text(one) for one in found}) == 30
    for part, choices in {"fit": 2, "offered": 3, "spelling": 2, "backing": 3, "surety": 7}.items():
        counts = Counter(one.get(part) for one in found)
        assert len(counts) == choices
        assert max(counts.values()) - min(counts.values()) <= 10 / choices


def test_a_home_without_searches_is_said_to_hold_too_little_and_is_left_as_it_was(run: Run, tmp_path: Path) -> None:
    """In one line."""
    for home in (tmp_path / "none", tmp_path):
        done = run(tmp_path, "search_replay_export.py", str(home), "--out", str(tmp_path / "out.json"))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert not list(tmp_path.iterdir())


async def test_outcomes_of_a_search_are_written_as_they_were_judged(export: Any, tmp_path: Path) -> None:
    """From a ledger that is not changed: a model that always calls is right where it is sure, and held back elsewhere."""
    w = made(lambda **models: World(tmp_path / "world", models, {}), eager(-0.05, -1.0))
    await looped(w)
    before = w.home.joinpath("ledger.sqlite3").read_bytes()
    kept = export.exported(w.home, "scripted/m", str(w.folder / "small.yaml"))
    assert w.home.joinpath("ledger.sqlite3").read_bytes() == before
    with w.ledger() as ledger:
        (start,) = ledger.read(SearchStart)
        asked = {point_text(batch.asking) for batch in ledger.read(SearchBatch)}
    deep = kept["worlds"]["deep"]
    assert {one["id"] for one in deep["prompts"]} == set(start.prompt_ids)
    assert set(deep["ways"]) <= asked
    needs = [one["needs_call"] for one in deep["prompts"]]
    assert set(needs) == {True, False}
    native = deep["ways"]["native"]
    assert native[""] == "".join("3" if one else "2" for one in needs)
    assert "".join("3" if one else "1" for one in needs) in [digits for text, digits in native.items() if "surety" in text]
