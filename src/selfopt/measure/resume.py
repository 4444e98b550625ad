"""Reads what the ledger holds of a group of runs, and closes runs that were cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from selfopt.records import (
    Conclusion,
    Delivery,
    Environment,
    Evaluation,
    Ledger,
    Purpose,
    Record,
    Run,
    RunEnd,
    Spec,
    Trial,
    TrialAbandoned,
    TrialStart,
)

from .lookup import find
from .trial import JudgedTrial

PassKey = tuple[Purpose, int]


T = TypeVar("T", Trial, JudgedTrial)


@dataclass(slots=True)
class PassState(Generic[T]):
    """One pass. It consists of one run, or of several after interruptions. trials: by prompt id."""

    runs: list[Run] = field(default_factory=list)
    trials: dict[str, T] = field(default_factory=dict)

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """The prompts of the whole pass, which are those of its first run.

        A continuing run has only what was left.
        """
        return self.runs[0].prompt_ids if self.runs else ()

    @property
    def complete(self) -> bool:
        """Whether every prompt has its trial."""
        return bool(self.runs) and len(self.trials) >= len(self.prompt_ids)


def passes_of(ledger: Ledger, runs: Iterable[Run]) -> dict[PassKey, PassState[Trial]]:
    """The passes that the runs of one request_id make up, in the order in which they began.

    A run that its server failed from its beginning is left out.
    """
    found: dict[PassKey, PassState[Trial]] = {}
    for run in runs:
        end = find(ledger, RunEnd, run.run_id)
        if end is not None and end.fault is not None:
            continue
        current = found.setdefault((run.purpose, run.run_index), PassState())
        current.runs.append(run)
        current.trials.update((trial.prompt_id, trial) for trial in ledger.read(Trial, {"run_id": run.run_id}))
    return found


def run_end(run: Run, trials: int, at: str) -> RunEnd:
    """The end of a run in which so many trials were committed."""
    whole = trials == len(run.prompt_ids)
    return RunEnd(run_id=run.run_id, status="complete" if whole else "interrupted", trials=trials, at=at)


def closing_records(ledger: Ledger, run: Run, at: str, reason: str) -> list[Record]:
    """The records that end a run that was cut off. Empty when the ledger does not hold the run.

    Trials that were started and not committed are abandoned, for the given reason.
    """
    if find(ledger, Run, run.run_id) is None:
        return []
    committed = {trial.trial_id for trial in ledger.read(Trial, {"run_id": run.run_id})}
    settled = committed | {gone.trial_id for gone in ledger.read(TrialAbandoned, {"run_id": run.run_id})}
    return [
        *(
            TrialAbandoned(trial_id=start.trial_id, run_id=run.run_id, at=at, reason=reason)
            for start in ledger.read(TrialStart, {"run_id": run.run_id})
            if start.trial_id not in settled
        ),
        run_end(run, len(committed), at),
    ]


async def close_open_runs(ledger: Ledger, runs: Iterable[Run], now: Callable[[], str]) -> int:
    """Close every run that has no end, because its process died.

    Returns how many trials are abandoned.

    The caller has to hold the lock of the home: the runs of a live process look the same.
    """
    reason = "its process ended before the trial was committed"
    ends = [closing_records(ledger, run, now(), reason) for run in runs if find(ledger, RunEnd, run.run_id) is None]
    if ends:
        await ledger.append([record for closing in ends for record in closing])
    return sum(len(closing) - 1 for closing in ends)


def undelivered(ledger: Ledger, request: str) -> str | None:
    """The group of a request's newest measurement, if it is concluded but was never delivered."""
    newest = next(iter(ledger.read(Conclusion, {"request": request}, newest_first=True, limit=1)), None)
    return newest.group_id if newest is not None and find(ledger, Delivery, newest.group_id) is None else None


def conclusion_of(ledger: Ledger, group_id: str, request: str, at: str) -> list[Record]:
    """The record to append with a group's last evaluation; nothing when the ledger has it."""
    return [] if find(ledger, Conclusion, group_id) else [Conclusion(group_id=group_id, request=request, at=at)]


async def deliver(ledger: Ledger, group_id: str, at: str) -> None:
    """Record that the result of a group was delivered.

    Does nothing when it was before, or when the group is not concluded.
    """
    if find(ledger, Conclusion, group_id) is not None and find(ledger, Delivery, group_id) is None:
        await ledger.append([Delivery(group_id=group_id, at=at)])


def open_groups(
    ledger: Ledger, spec: Spec, prompt_ids: tuple[str, ...], pending: str | None = None
) -> list[tuple[str, Environment | None]]:
    """The groups of this spec and these prompts that no evaluation has concluded, newest first.

    Groups of a cycle are left out, since the cycle continues them.

    Args:
        pending: a group that is included although it is concluded.

    Returns:
        The id of each group, with its newest environment.
    """
    groups: dict[str, list[Run]] = {}
    for run in ledger.read(Run, {"spec_id": spec.spec_id}):
        if run.group_id is not None and run.cycle_id is None and run.purpose in ("measure", "determinism"):
            groups.setdefault(run.group_id, []).append(run)
    if not groups:
        return []
    concluded = {run_id for e in ledger.read(Evaluation, {"spec_id": spec.spec_id}) for run_id in e.run_ids}
    return [
        (group_id, find(ledger, Environment, runs[-1].environment_id))
        for group_id, runs in reversed(groups.items())
        if (group_id == pending or not any(run.run_id in concluded for run in runs))
        and runs[0].purpose == "measure"
        and set(runs[0].prompt_ids) == set(prompt_ids)
    ]
