"""Reads the loop's state from the ledger.

The state is a fold over records, so nothing is updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from selfopt.feedback import best_known
from selfopt.measure.lookup import find, held
from selfopt.records import (
    Baseline,
    Cycle,
    CycleAbandoned,
    CyclePlan,
    CycleStart,
    Decision,
    Evaluation,
    Ledger,
    LoopEnd,
    LoopStart,
    Phase,
    Spec,
    content_hash,
)


def spec_by_id(ledger: Ledger, spec_id: str) -> Spec:
    """The spec of an id that some record names. CorruptError when the ledger does not have it."""
    return held(ledger, Spec, spec_id)


def current_baseline(ledger: Ledger, model: str, phase: Phase) -> Baseline | None:
    """The newest baseline record of a model and phase; None when there is none."""
    return next(ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True, limit=1), None)


def baselines(ledger: Ledger) -> Mapping[tuple[str, Phase], str]:
    """The spec id of the newest baseline, by model and phase."""
    return {(record.model, record.phase): record.spec_id for record in ledger.read(Baseline)}


def baseline_id(model: str, phase: Phase, spec_id: str, because: str) -> str:
    """The id of a baseline record.

    It hashes what the record names and why, so that one event has one record.
    """
    return content_hash("base", [model, phase, spec_id, because])


def promotion_behind(ledger: Ledger, model: str, phase: Phase) -> Baseline | None:
    """The promotion that the present baseline goes back to, when only adaptations came after it."""
    records = ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True)
    newest = next((record for record in records if record.source != "adapted"), None)
    return newest if newest is not None and newest.source == "promotion" else None


def evaluations(ledger: Ledger) -> list[Evaluation]:
    """Every evaluation, oldest first."""
    return list(ledger.read(Evaluation))


def newest_evaluation(ledger: Ledger, spec_id: str) -> Evaluation | None:
    """The evaluation of a spec to go by, as `selfopt.feedback.best_known` chooses it."""
    return best_known(list(ledger.read(Evaluation, {"spec_id": spec_id})))


def finished_cycles(ledger: Ledger) -> list[Cycle]:
    """The finished cycles, ordered by number."""
    return sorted(ledger.read(Cycle), key=lambda c: c.number)


def newest_cycles(ledger: Ledger, models: Iterable[str] | None, one_name: Callable[[str], str] = str) -> list[CycleStart]:
    """The newest cycle of each model, the newest first. A cycle that works on several of them is there once.

    Args:
        models: where other processes may work on other models in the same ledger. None: the newest
            cycle of all.
        one_name: gives one name for all of a model.
    """
    if models is None:
        return list(ledger.read(CycleStart, newest_first=True, limit=1))
    left = {one_name(model) for model in models}
    found: list[CycleStart] = []
    for start in ledger.read(CycleStart, newest_first=True):
        mine = {one_name(target.model) for target in start.targets} & left
        if mine:
            found.append(start)
            left -= mine
        if not left:
            break
    return found


def unfinished_cycles(ledger: Ledger, models: Iterable[str] | None, one_name: Callable[[str], str] = str) -> list[CycleStart]:
    """The cycles of `newest_cycles` that are neither finished nor abandoned. No older one goes on."""
    return [
        start
        for start in newest_cycles(ledger, models, one_name)
        if find(ledger, Cycle, start.cycle_id) is None and find(ledger, CycleAbandoned, start.cycle_id) is None
    ]


def plan_of(ledger: Ledger, start: CycleStart) -> CyclePlan | None:
    """The plan of a cycle; None before it is made."""
    return find(ledger, CyclePlan, start.cycle_id)


def next_cycle_number(ledger: Ledger) -> int:
    """The number of the next cycle: one more than the largest so far."""
    return max((s.number for s in ledger.read(CycleStart)), default=0) + 1


def decisions_of(ledger: Ledger, cycle_id: str) -> dict[tuple[str, str | None], Decision]:
    """The decisions that a cycle has made, by the spec ids of candidate and baseline."""
    return {(d.candidate_spec_id, d.baseline_spec_id): d for d in ledger.read(Decision, {"cycle_id": cycle_id})}


def open_loop(ledger: Ledger, request: str, newest: Sequence[CycleStart], *, ended_too: bool = False) -> LoopStart | None:
    """The newest loop of a request, when it has not ended and no other loop has worked on its models since.

    Args:
        newest: the newest cycle of each of its models.
        ended_too: also one that has ended.
    """
    loop = next(ledger.read(LoopStart, {"request": request}, newest_first=True, limit=1), None)
    if loop is None or ended_too:
        return loop
    if has_ended(ledger, loop):
        return None
    mine = [start.loop_id == loop.loop_id or start.cycle_id == loop.adopted for start in newest]
    begun = any(mine) or any(start.loop_id == loop.loop_id for start in ledger.read(CycleStart, newest_first=True))
    return loop if all(mine) or not begun else None


def has_ended(ledger: Ledger, loop: LoopStart) -> bool:
    """Whether a loop has ended: its cycles are finished and were handed over."""
    return find(ledger, LoopEnd, loop.loop_id) is not None


def cycles_of_loop(ledger: Ledger, loop: LoopStart) -> list[Cycle]:
    """The finished cycles of a loop, ordered by number, with the cycle that it adopted."""
    ids = {start.cycle_id for start in ledger.read(CycleStart) if start.loop_id == loop.loop_id} | {loop.adopted}
    return [cycle for cycle in finished_cycles(ledger) if cycle.cycle_id in ids]
