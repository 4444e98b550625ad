"""Fifty times SIGKILL: nothing is lost, nothing is repeated, and the same command goes on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Cycle, CycleStart, LoopEnd, RoutingConfig, Run, RunEnd, Trial, TrialAbandoned, TrialStart
from tests.loop.kit import outline, trials_per_slot
from tests.loop.test_continue import LOOP_STEPS

from .nursery import world

ROOT = Path(__file__).parents[2]
KILLS = 50
# A kill that its loop was too short for opens the next loop, where a point strikes and a time is halved: at most one loop for each
# kill, and a few more for times.
MOST_LOOPS = 2 * KILLS
AROUND_WRITES = {"before commit", "inside commit", "after commit", "before rename", "after rename", "torn write"}
Kill = dict[str, Any]


class Nursery:
    """The process that forks attempts."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def attempt(self, folder: Path, kill: Kill | None) -> dict[str, Any]:
        """Start the command, and how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "kill": kill}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert answer["killed"] or answer["code"] == 0, "the command failed; its traceback is on standard error"
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(120) == 0


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """One for all attempts of a test."""
    opened = Nursery()
    yield opened
    opened.close()


@dataclass
class Witness:
    """What was there after a kill must be there after the next one."""

    home: Path
    trials: set[str] = field(default_factory=set)
    version: int = 0
    finished: bool = False

    def look(self) -> None:
        """After a kill, before anything is repaired: the ledger only grows, the rules are old or new, files are whole."""
        if self.home.joinpath("ledger.sqlite3").exists():
            ledger = open_ledger(self.home / "ledger.sqlite3")
            now = {t.trial_id for t in ledger.read(Trial)}
            assert self.trials <= now, "a committed trial was lost"
            assert set(trials_per_slot(ledger).values()) <= {1}, "a committed trial was repeated"
            self.trials = now
            numbers = [s.number for s in ledger.read(CycleStart)]
            assert numbers == list(range(1, len(numbers) + 1))
            self.finished = any(True for _ in ledger.read(LoopEnd))
            ledger.close()
        for path in [*self.home.glob("*.json"), *self.home.glob("reports/*.json"), *self.home.glob("routing_versions/*.json")]:
            if not path.name.startswith("."):
                json.loads(path.read_text("utf-8"))
        rules = self.home / "routing_config.json"
        if rules.exists():
            config = RoutingConfig.model_validate_json(rules.read_text("utf-8"))
            kept = self.home / "routing_versions" / f"{config.version}.json"
            assert RoutingConfig.model_validate_json(kept.read_text("utf-8")) == config
            assert config.version >= self.version
            self.version = config.version


def schedule(rng: random.Random, points: dict[str, int], whole_ms: float) -> list[Kill]:
    """Every named step, commits and renames from all sides, torn writes, and kills by time, in random order (but for the first
    step, which only a new loop has).

    points: how often each point is passed in a whole loop; a kill aims at one within the next eighth of it, so that some
    eight kills fall into one loop. whole_ms: how long a whole loop takes on this machine; times lie within its first half.
    """
    kills: list[Kill] = [{"kind": f"step {step}", "n": 1} for step in LOOP_STEPS]
    for kind, count in (
        ("before commit", 4),
        ("inside commit", 6),
        ("after commit", 4),
        ("before rename", 4),
        ("after rename", 3),
    ):
        kills += [{"kind": kind, "n": rng.randint(1, max(1, points[kind] // 8))} for _ in range(count)]
    kills += [{"kind": "torn write", "n": rng.randint(1, 4)} for _ in range(4)]
    kills += [{"kind": "time", "ms": whole_ms * rng.uniform(0.04, 0.5)} for _ in range(KILLS - len(kills))]
    first, *others = kills
    rng.shuffle(others)
    return [first, *others]


def after_a_miss(kill: Kill) -> Kill:
    """The same kill, to be the first one of a new loop: by time, twice as early; a point that a new loop passes, unchanged."""
    return kill | {"ms": kill["ms"] / 2} if kill["kind"] == "time" else kill


def test_fifty_kills(nursery: Nursery, tmp_path: Path) -> None:
    """A loop of two cycles is killed again and again until it is through, then the next one, fifty times in all however fast
    the machine is; each comes to what an undisturbed one comes to."""
    rng = random.Random("fifty kills")
    begun = time.perf_counter()
    calm = nursery.attempt(tmp_path / "calm", None)["said"]
    whole_ms = (time.perf_counter() - begun) * 1000
    wanted = outline(world(tmp_path / "calm"))
    assert calm["cycles"] == [1, 2]
    waiting = schedule(rng, calm["points"], whole_ms)
    planned = Counter(kill["kind"] for kill in waiting)
    assert planned.total() == KILLS
    struck: list[str] = []
    loops = 0
    while waiting:
        loops += 1
        assert loops <= MOST_LOOPS, f"only {len(struck)} kills struck; still waiting: {waiting}"
        folder = tmp_path / f"loop-{loops}"
        witness = Witness(folder / "home")
        while not witness.finished:
            kill = waiting.pop(0) if waiting else None
            answer = nursery.attempt(folder, kill)
            if kill is not None and answer["killed"]:
                struck.append(kill["kind"])
            elif kill is not None:
                waiting.insert(0, after_a_miss(kill))  # the loop was through before it
            witness.look()
        settle(folder, wanted)
    assert Counter(struck) == planned
    assert set(planned) == {f"step {s}" for s in LOOP_STEPS} | AROUND_WRITES | {"time"}


def settle(folder: Path, wanted: dict[str, Any]) -> None:
    """What must hold when a loop is through."""
    assert outline(world(folder)) == wanted
    ledger = open_ledger(folder / "home" / "ledger.sqlite3")
    assert set(trials_per_slot(ledger).values()) == {1}
    assert [c.number for c in ledger.read(Cycle)] == [1, 2]
    started = {s.trial_id for s in ledger.read(TrialStart)}
    ended = {t.trial_id for t in ledger.read(Trial)} | {a.trial_id for a in ledger.read(TrialAbandoned)}
    assert started == ended, "a trial that was begun is committed or abandoned"
    assert {r.run_id for r in ledger.read(Run)} == {e.run_id for e in ledger.read(RunEnd)}
    assert ledger.check() == []
    ledger.close()
    with world(folder).app() as app:
        report = app.enforcer.verify()
        assert report.ok, report.reason
