"""SIGKILL in the middle of a block and between blocks: the same command goes on to the same end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from selfopt.records import Cycle, Decision, RaceBlock, RaceEnd, Run, RunEnd, Trial, TrialAbandoned, TrialStart
from tests.forker import forker

from .kit import World
from .race_kit import sometimes

# Trials are counted for each process anew: 51 come before the race, a block takes 28.
KILLS = (("race_begun", 1), ("trial", 5), ("race_block", 1), ("trial", 11), ("race_block", 1), ("race_ended", 1), ("decided", 1))


def history(folder: Path) -> Any:
    """What the race saw and what came of it, without ids and times."""
    with World(folder, {"m": sometimes(0.4, 0.65)}).ledger() as ledger:
        runs = {run.run_id: run for run in ledger.read(Run)}
        assert set(runs) == {end.run_id for end in ledger.read(RunEnd)}
        started = {s.trial_id for s in ledger.read(TrialStart)}
        assert started == {t.trial_id for t in ledger.read(Trial)} | {a.trial_id for a in ledger.read(TrialAbandoned)}
        places = [
            (runs[t.run_id].group_id, t.request_id, t.position) for t in ledger.read(Trial) if runs[t.run_id].purpose == "race"
        ]
        assert len(places) == len(set(places)), "a committed trial was repeated"
        return (
            [(b.number, b.prompts, b.weights, sorted(b.passes.items())) for b in ledger.read(RaceBlock)],
            [
                (e.ended_by, e.detail, e.trials, [s.model_dump(exclude={"key_id"}) for s in e.standings])
                for e in ledger.read(RaceEnd)
            ],
            [(d.verdict, d.reason_codes, d.estimate, d.interval) for d in ledger.read(Decision)],
            [c.trials for c in ledger.read(Cycle)],
        )


def test_killed_within_and_between_blocks_a_race_comes_to_the_same(tmp_path: Path) -> None:
    """Blocks, evidence, decision and number of trials are those of an undisturbed command; no committed trial is lost or repeated."""
    for folder in (calm := tmp_path / "calm", stormy := tmp_path / "stormy"):
        folder.mkdir()
    with forker("tests.loop.race_child", "tests.loaded") as own_process:

        def attempt(folder: Path, *kill: str) -> int:
            code, _ = own_process.call("tests.loop.race_child:main", str(folder), *kill)
            return code

        assert attempt(calm) == 0
        blocks, *_ = wanted = history(calm)
        assert len(blocks) >= 3, "a race that is over at once shows nothing"
        for kind, count in KILLS:
            assert attempt(stormy, kind, str(count)) == -signal.SIGKILL, (kind, count)
        assert attempt(stormy) == 0
        assert history(stormy) == wanted
