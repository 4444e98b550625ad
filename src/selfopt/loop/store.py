"""Reading the loop's own facts back from the ledger. State is a fold over records; nothing is updated in place."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.errors import CorruptError
from selfopt.records import Baseline, Cycle, CycleStart, Decision, Evaluation, Ledger, Phase, Spec, content_hash

__all__ = [
    "baselines",
    "current_baseline",
    "evaluations",
    "finished_cycles",
    "newest_evaluation",
    "next_cycle_number",
    "put_baseline",
    "spec_by_id",
    "unfinished_cycle",
]


def spec_by_id(ledger: Ledger, spec_id: str) -> Spec:
    """The spec of an id that some record names. CorruptError when the ledger does not have it."""
    for spec in ledger.read(Spec, {"id": spec_id}, limit=1):
        return spec
    raise CorruptError(
        f"the ledger names spec {spec_id} but does not hold it; restore the ledger from a copy or start a new home"
    )


def current_baseline(ledger: Ledger, model: str, phase: Phase) -> Baseline | None:
    """The newest baseline of a model and phase."""
    return next(ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True, limit=1), None)


def baselines(ledger: Ledger) -> Mapping[tuple[str, Phase], str]:
    """Newest baseline spec id of every model and phase."""
    found: dict[tuple[str, Phase], str] = {}
    for record in ledger.read(Baseline):
        found[(record.model, record.phase)] = record.spec_id
    return found


def put_baseline(ledger: Ledger, record: Baseline) -> None:
    """Make a spec the baseline. The id hashes what led to it, so that a continued cycle does not write it twice."""
    known = current_baseline(ledger, record.model, record.phase)
    if known is not None and known.spec_id == record.spec_id and known.decision_id == record.decision_id:
        return
    if any(True for _ in ledger.read(Baseline, {"id": record.baseline_id}, limit=1)):
        return
    ledger.append([record])


def baseline_id(model: str, phase: Phase, spec_id: str, because: str) -> str:
    """Id of a baseline record: what it names and why (a decision, a cycle, a flag)."""
    return content_hash("base", [model, phase, spec_id, because])


def evaluations(ledger: Ledger) -> list[Evaluation]:
    """Every evaluation, oldest first."""
    return list(ledger.read(Evaluation))


def newest_evaluation(ledger: Ledger, spec_id: str) -> Evaluation | None:
    """The newest evaluation of one spec."""
    return next(ledger.read(Evaluation, {"spec_id": spec_id}, newest_first=True, limit=1), None)


def finished_cycles(ledger: Ledger) -> list[Cycle]:
    """Finished cycles in order of their numbers."""
    return sorted(ledger.read(Cycle), key=lambda c: c.number)


def unfinished_cycle(ledger: Ledger) -> CycleStart | None:
    """The newest cycle that was begun and not finished."""
    start = next(ledger.read(CycleStart, newest_first=True, limit=1), None)
    if start is None or any(True for _ in ledger.read(Cycle, {"id": start.cycle_id}, limit=1)):
        return None
    return start


def next_cycle_number(ledger: Ledger) -> int:
    """One more than the largest number begun so far."""
    return max((s.number for s in ledger.read(CycleStart)), default=0) + 1


def decisions_of(ledger: Ledger, cycle_id: str) -> dict[tuple[str, str | None], Decision]:
    """Decisions already made in a cycle, by candidate and baseline spec id."""
    return {(d.candidate_spec_id, d.baseline_spec_id): d for d in ledger.read(Decision, {"cycle_id": cycle_id})}
