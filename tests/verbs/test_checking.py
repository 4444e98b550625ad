"""A check under way: faults of the server, servers that changed or are gone, and who may be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import selfopt
from selfopt.measure.arena import Arena
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.records import Check, RaceBlockDiscarded
from selfopt.verbs.checking import CheckRequest, run_check
from selfopt.verbs.opening import App
from tests.cli.test_check import ask, build
from tests.cli.world import Project

__all__ = ["build"]

Block = Callable[[Arena, BlockOrder], Any]


def checked(project: Project) -> tuple[Check, list[RaceBlockDiscarded]]:
    """The check of this project's file, and what was dropped on the way."""

    async def whole() -> tuple[Check, list[RaceBlockDiscarded]]:
        async with App.open(project.home) as app:
            return await run_check(app, CheckRequest(Path("selfopt.check.yaml"))), list(app.ledger.read(RaceBlockDiscarded))

    return asyncio.run(whole())


def flaky_pair(project: Project) -> None:
    """A check of two flaky builds that are alike."""
    ask(project, "model: scripted/same\nbaseline: {model: scripted/old}\nmax_regression: 0.25\n")


def faulty(times: int) -> Block:
    """A measuring of blocks of which the first so many are hit by a fault."""
    measured, calls = Arena.block, list[str]()

    async def block(self: Arena, order: BlockOrder) -> BlockResult:
        result = await measured(self, order)
        calls.append(order.group_id)
        return replace(result, fault="the server is loading") if len(calls) <= times else result

    return block


def test_a_block_that_a_fault_hit_is_asked_again(build: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped for both sides and recorded; the verdict rests on the others."""
    flaky_pair(build)
    monkeypatch.setattr(Arena, "block", faulty(1))
    check, dropped = checked(build)
    assert check.verdict == "pass"
    assert [one.race_id for one in dropped] == [check.check_id]
    rests_on = {name for row in check.rows for name in (*row.trial_ids, *row.before_trial_ids)}
    assert rests_on.isdisjoint(dropped[0].trial_ids)
    assert check.trials >= len(rests_on) + len(dropped[0].trial_ids)


def test_a_server_that_stays_faulty_leaves_it_undecided(build: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three repeats, with the fault in its reason; the build then fails or not as the file says."""
    flaky_pair(build)
    monkeypatch.setattr(Arena, "block", faulty(99))
    check, dropped = checked(build)
    assert (check.verdict, check.passes, len(dropped)) == ("undecided", False, 4)
    assert (check.reasons[0].cause, check.reasons[0].detail) == ("server_faults", "the server is loading")


def test_another_model_in_the_middle_ends_it_undecided(build: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answered before the change says nothing about what answers after it."""
    flaky_pair(build)
    measured = Arena.block

    async def block(self: Arena, order: BlockOrder) -> BlockResult:
        result = await measured(self, order)
        other = {
            name: one.model_copy(update={"digest": "sha256:other", "engine": "x"}) for name, one in result.environments.items()
        }
        return replace(result, environments=other)

    monkeypatch.setattr(Arena, "block", block)
    check, _ = checked(build)
    assert (check.verdict, check.reasons[0].cause) == ("undecided", "server_changed")


@pytest.mark.parametrize("change", ["endpoint", "digest", "gone", "variant"])
def test_recorded_runs_stand_for_a_configuration_that_cannot_be_asked(build: Project, change: str) -> None:
    """Its endpoint left the settings, another model answers, its server is down, or its variant is another."""
    ask(build, "model: scripted/old\nmin_accuracy: 0\n")
    build.ok("check", "--record", "state.json")
    path = build.root / "state.json"
    body = json.loads(path.read_text("utf-8"))
    if change == "endpoint":
        body["model"] = "nowhere/old"
    elif change == "digest":
        body["environment"]["engine"] = "another engine"
    elif change == "variant":
        body["variant"] = "no such variant"
    else:
        own = build.root / "xdg" / "selfopt" / "selfopt.toml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text('[endpoints.down]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n', "utf-8")
        spec = App.open(build.home).spec("down/old", "atomic", "native_api", {"suite": "big.yaml"})
        body |= {"model": "down/old", "endpoint": "down", "spec_id": spec.spec_id, "request_id": spec.request_id}
        body["environment"] = {"endpoint": "down", "model": "down/old"}
    path.write_text(json.dumps(body), "utf-8")
    ask(build, "model: scripted/same\nbaseline: state.json\nmax_regression: 0.3\n")
    check, _ = checked(build)
    assert check.compared_with is not None
    assert (check.compared_with.asked_again, check.figures[0].method) == (False, "recorded")


def test_a_cap_on_cost_without_prices_is_refused(build: Project) -> None:
    """It could not hold. Nothing is asked."""
    own = build.root / "xdg" / "selfopt" / "selfopt.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text('[endpoints.down]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n', "utf-8")
    ask(build, "model: down/m\nmin_accuracy: 0.5\nmax_cost: 1\n")
    build.run("check").assert_refused(2, "max_cost", "down/m has no price")
    build.run("check", "--record", "state.json").assert_refused(2, "max_cost")
    assert not (build.home / "ledger.sqlite3").exists()


def test_a_fresh_check_takes_nothing_from_an_interrupted_one(build: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python, as from the command line."""
    flaky_pair(build)
    with selfopt.open() as harness:
        one = harness.check()
        other = harness.check("selfopt.check.yaml", fresh=True)
        state = harness.record_state(to=build.root / "state.json")
        assert harness.check().passes
    assert one.passes
    assert other.check_id != one.check_id
    ids = [{name for row in check.rows for name in row.trial_ids} for check in (one, other)]
    assert ids[0].isdisjoint(ids[1])
    assert len(state.rows) == len(one.rows)
