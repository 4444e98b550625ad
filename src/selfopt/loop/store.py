"""Reading the loop's own facts back from the ledger. State is a fold over records; nothing is updated in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def unknown_specs(ledger: Ledger, specs: Iterable[Spec]) -> list[Spec]:
    """Those that the ledger does not have, each once. A spec may be there under another variant name: it is the same spec."""
    wanted = {spec.spec_id: spec for spec in specs}
    return [spec for spec_id, spec in wanted.items() if find(ledger, Spec, spec_id) is None]


def current_baseline(ledger: Ledger, model: str, phase: Phase) -> Baseline | None:
    """The newest baseline of a model and phase."""
    return next(ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True, limit=1), None)


def baselines(ledger: Ledger) -> Mapping[tuple[str, Phase], str]:
    """Newest baseline spec id of every model and phase."""
    return {(record.model, record.phase): record.spec_id for record in ledger.read(Baseline)}


def baseline_id(model: str, phase: Phase, spec_id: str, because: str) -> str:
    """Id of a baseline record: what it names and why (a decision, a cycle), so that the same event has one record."""
    return content_hash("base", [model, phase, spec_id, because])


def promotion_behind(ledger: Ledger, model: str, phase: Phase) -> Baseline | None:
    """The promotion that the present baseline goes back to, when nothing but adaptations came after it."""
    records = ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True)
    newest = next((record for record in records if record.source != "adapted"), None)
    return newest if newest is not None and newest.source == "promotion" else None


def withdrawn_specs(ledger: Ledger, model: str, phase: Phase) -> frozenset[str]:
    """Specs that were promoted (and perhaps adapted) and then taken back."""
    found: set[str] = set()
    lineage: list[str] = []
    for record in ledger.read(Baseline, {"model": model, "phase": phase}):
        if record.source in ("withdrawn", "rollback"):
            found.update(lineage)
            lineage = [record.spec_id] if record.source == "rollback" else []
        elif record.source == "adapted":
            lineage.append(record.spec_id)
        else:
            lineage = [record.spec_id] if record.source == "promotion" else []
    return frozenset(found - set(lineage))


def evaluations(ledger: Ledger) -> list[Evaluation]:
    """Every evaluation, oldest first."""
    return list(ledger.read(Evaluation))


def newest_evaluation(ledger: Ledger, spec_id: str) -> Evaluation | None:
    """The evaluation of one spec to go by; see `selfopt.feedback.best_known`."""
    return best_known(list(ledger.read(Evaluation, {"spec_id": spec_id})))


def finished_cycles(ledger: Ledger) -> list[Cycle]:
    """Finished cycles in order of their numbers."""
    return sorted(ledger.read(Cycle), key=lambda c: c.number)


def unfinished_cycle(ledger: Ledger) -> CycleStart | None:
    """The newest cycle, when it was begun and neither finished nor abandoned."""
    start = next(ledger.read(CycleStart, newest_first=True, limit=1), None)
    if start is None or find(ledger, Cycle, start.cycle_id) or find(ledger, CycleAbandoned, start.cycle_id):
        return None
    return start


def plan_of(ledger: Ledger, start: CycleStart) -> CyclePlan | None:
    """The plan of a cycle, once it is made."""
    return find(ledger, CyclePlan, start.cycle_id)


def next_cycle_number(ledger: Ledger) -> int:
    """One more than the largest number begun so far."""
    return max((s.number for s in ledger.read(CycleStart)), default=0) + 1


def decisions_of(ledger: Ledger, cycle_id: str) -> dict[tuple[str, str | None], Decision]:
    """Decisions already made in a cycle, by candidate and baseline spec id."""
    return {(d.candidate_spec_id, d.baseline_spec_id): d for d in ledger.read(Decision, {"cycle_id": cycle_id})}


def open_loop(ledger: Ledger, request: str, *, ended_too: bool = False) -> LoopStart | None:
    """The newest loop, when it was begun by this request and not ended; ended_too: the newest one of this request at all."""
    loop = next(ledger.read(LoopStart, {"request": request} if ended_too else None, newest_first=True, limit=1), None)
    goes_on = loop is not None and loop.request == request and (ended_too or not has_ended(ledger, loop))
    return loop if goes_on else None


def has_ended(ledger: Ledger, loop: LoopStart) -> bool:
    """Whether all cycles of a loop are finished and reported."""
    return find(ledger, LoopEnd, loop.loop_id) is not None


def cycles_of_loop(ledger: Ledger, loop: LoopStart) -> list[Cycle]:
    """The finished cycles of a loop in order, with the one that it took over."""
    ids = {start.cycle_id for start in ledger.read(CycleStart) if start.loop_id == loop.loop_id} | {loop.adopted}
    return [cycle for cycle in finished_cycles(ledger) if cycle.cycle_id in ids]
