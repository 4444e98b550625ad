"""Races within cycles: what is stochastic is promoted on evidence, whatever interrupts the gathering of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfopt.measure.progress import Progress
from selfopt.records import (
    Cycle,
    Decision,
    Evaluation,
    RaceBlock,
    RaceEnd,
    RaceStart,
    Run,
    RunEnd,
    Trial,
    TrialAbandoned,
    TrialStart,
)

from .kit import World, outline
from .race_kit import ATOMIC, M, candidates, sometimes
from .test_continue import Stopped, stop_at

Make = Callable[..., World]
RACE_STEPS = ("planned", "measured", "race_begun", "race_block", "race_ended", "decided", "enforced", "finished")


def positions(world: World) -> set[int]:
    """How often each place of each block was answered."""
    with world.ledger() as ledger:
        runs = {run.run_id: run for run in ledger.read(Run)}
        counts: dict[tuple[str | None, str, int], int] = {}
        for trial in ledger.read(Trial):
            run = runs[trial.run_id]
            if run.purpose == "race":
                key = (run.group_id, run.request_id, trial.position)
                counts[key] = counts.get(key, 0) + 1
        return set(counts.values())


async def test_a_better_stochastic_candidate_is_promoted_by_a_race(world: Make, tmp_path: Path) -> None:
    """On fresh trials of both, block by block, with every figure in the decision; the candidate has no run of its own."""
    w = world(m=sometimes(0.3, 0.9))
    (cycle,) = await w.loop(ATOMIC, candidates=candidates(tmp_path))
    (target,) = cycle.targets
    assert (target.winner_variant, target.candidates[0].reason_codes) == ("restrained", ("improved",))
    with w.ledger() as ledger:
        (start,), (end,), (decision,) = ledger.read(RaceStart), ledger.read(RaceEnd), ledger.read(Decision)
        blocks = list(ledger.read(RaceBlock))
        assert (start.alpha, start.number, start.entrants[0].entered_with) == (0.025, 1, 1)
        assert (end.winner_spec_id, end.ended_by, end.blocks) == (target.winner_spec_id, "promoted", len(blocks))
        assert [block.number for block in blocks] == list(range(len(blocks)))
        seen = decision.evidence.race
        assert seen == end.standings[0].evidence()
        assert seen.state == "promoted"
        assert seen.log_e >= seen.log_e_needed
        assert decision.claim == "this_suite"
        assert decision.interval is not None
        assert decision.interval[0] > 0
        runs = {run.run_id: run for run in ledger.read(Run)}
        mine = [run for run in runs.values() if run.spec_id == target.winner_spec_id]
        assert {run.purpose for run in mine} == {"race"}
        assert all(run.warm_up.status == "complete" for run in runs.values() if run.purpose == "race" and run.run_index == 0)
        known = {trial.trial_id: runs[trial.run_id].spec_id for trial in ledger.read(Trial)}
        for block in blocks:
            assert all(known[i] == spec_id for spec_id, ids in block.trial_ids.items() for i in ids)
        measured = next(ledger.read(Evaluation, {"id": target.candidates[0].evaluation_id or ""}))
        assert (measured.race_id, measured.n_runs) == (start.race_id, len(blocks))
    assert positions(w) == {1}
    assert w.rules()[M, "atomic"].spec_id == target.winner_spec_id


async def test_a_worse_candidate_is_dropped_and_a_copy_is_never_promoted(world: Make, tmp_path: Path) -> None:
    """Evidence against them ends the race; the baseline stays."""
    w = world(m=sometimes(0.6, 0.2))
    (cycle,) = await w.loop(ATOMIC, candidates=candidates(tmp_path, {"variant": "restrained"}, {"timeout_s": 50}))
    worse, copy = cycle.targets[0].candidates
    assert worse.verdict == copy.verdict == "reject"
    assert "futile" in worse.reason_codes or "behind" in worse.reason_codes
    assert cycle.targets[0].winner_spec_id is None


async def test_stopped_at_every_step_a_race_comes_to_the_same(world: Make, tmp_path: Path) -> None:
    """After each step in turn, and within blocks, the same command goes on: same blocks, same evidence, same decision, no trial lost or
    made twice."""
    named = candidates(tmp_path)
    calm = World(tmp_path / "calm", {"m": sometimes(0.4, 0.8)})
    await calm.loop(ATOMIC, candidates=named)
    w = World(tmp_path / "stormy", {"m": sometimes(0.4, 0.8)})
    stops: list[Any] = [*RACE_STEPS, *([3, 17, 1, 8] * 4)]
    while True:
        more: dict[str, Any] = {}
        if stops:
            stop = stops.pop(0)
            more = {"on_step": stop_at(stop)} if isinstance(stop, str) else {"progress": _after(stop)}
        try:
            await w.loop(ATOMIC, candidates=named, **more)
            break
        except Stopped:
            pass
    assert w.said("resume")
    assert _race(w) == _race(calm)
    assert outline(w) == outline(calm)
    assert positions(w) == {1}
    with w.ledger() as ledger:
        started = {s.trial_id for s in ledger.read(TrialStart)}
        assert started == {t.trial_id for t in ledger.read(Trial)} | {a.trial_id for a in ledger.read(TrialAbandoned)}
        assert {r.run_id for r in ledger.read(Run)} == {e.run_id for e in ledger.read(RunEnd)}


def _after(trials: int) -> Callable[[Progress], None]:
    """Stop after so many trials of this process."""
    left = [trials]

    def progress(event: Progress) -> None:
        if event.kind == "trial":
            left[0] -= 1
            if not left[0]:
                raise Stopped

    return progress


def _race(world: World) -> Any:
    """Everything that a race saw and came to, without ids and times."""
    with world.ledger() as ledger:
        blocks = [(b.number, b.prompts, b.weights, sorted(b.passes.items())) for b in ledger.read(RaceBlock)]
        ends = [
            (e.ended_by, e.detail, [s.model_dump(exclude={"key_id"}) for s in e.standings], e.trials)
            for e in ledger.read(RaceEnd)
        ]
        decisions = [(d.verdict, d.reason_codes, d.estimate, d.interval) for d in ledger.read(Decision)]
        return blocks, ends, decisions, [c.trials for c in ledger.read(Cycle)]
