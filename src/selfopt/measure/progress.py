"""Signs of life: tells whoever shows it what a measurement is doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from selfopt.records import Outcome, SearchStanding

ProgressKind = Literal["run_started", "warm_up", "trial", "heartbeat", "run_ended", "note", "stopped"]


@dataclass(frozen=True, slots=True)
class SearchNow:
    """What a search is doing.

    Attributes:
        asked: how many trials it has made.
        most: how many it may make.
        reused: how many it took from the ledger beside them.
        trying: the way to ask that is asked now, in one line.
        prompts: on how many prompts.
        by: who proposed it.
        best: the best point so far; None before the first.
        ends_s: the time until the search ends, in seconds; None while no trial tells.
        synthetic: a model or a template wrote the prompts.
    """

    asked: int
    most: int
    reused: int
    trying: str
    prompts: int
    by: str
    best: SearchStanding | None
    ends_s: float | None
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """One sign of life.

    Attributes:
        done, total: trials of the whole measurement, those of earlier processes included. The total
            shrinks when determinism makes runs needless.
        elapsed_s: since this process began.
        eta_s: the time that is left, at the pace of the finished trials; None until one is
            finished. It does not grow while a trial takes long.
        search: what the search that asks is doing; None outside of one.
    """

    kind: ProgressKind
    label: str
    done: int
    total: int
    elapsed_s: float
    eta_s: float | None
    run_index: int = 0
    prompt_id: str | None = None
    outcome: Outcome | None = None
    note: str = ""
    search: SearchNow | None = None


ProgressSink = Callable[[Progress], None]


def ignore_progress(event: Progress) -> None:
    """A sink that ignores events."""


class Board:
    """Counts what is done. Tells the sink at each event and at least every `heartbeat_s` seconds.

    Attributes:
        prompt_id: the prompt whose trial began last. Whoever begins a trial sets it.
        done, total: see `Progress`.
        search: gives what `Progress.search` tells. Whoever searches sets it, and takes it back.
    """

    def __init__(self, sink: ProgressSink, clock: Callable[[], float], heartbeat_s: float = 1.0) -> None:
        self._sink = sink
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._began = clock()
        self._timed = 0
        self._timed_s = 0.0  # until the last of them was finished
        self._label = ""
        self._run_index = 0
        self.prompt_id: str | None = None
        self.done = 0
        self.total = 0
        self.search: Callable[[], SearchNow] | None = None

    def at(self, label: str, run_index: int) -> None:
        """Say which run the next events are about."""
        self._label, self._run_index, self.prompt_id = label, run_index, None

    def committed(self, prompt_id: str, outcome: Outcome) -> None:
        """Count a trial that is durable, and tell the sink."""
        self.done += 1
        self._timed += 1
        self._timed_s = self._clock() - self._began
        self._emit("trial", prompt_id=prompt_id, outcome=outcome)

    def tell(self, kind: ProgressKind, note: str = "") -> None:
        """Tell the sink of any other event."""
        self._emit(kind, prompt_id=self.prompt_id, note=note)

    def _emit(self, kind: ProgressKind, *, prompt_id: str | None, outcome: Outcome | None = None, note: str = "") -> None:
        elapsed_s = self._clock() - self._began
        self._sink(
            Progress(
                kind=kind,
                label=self._label,
                done=self.done,
                total=max(self.total, self.done),
                elapsed_s=elapsed_s,
                eta_s=self._eta_s(elapsed_s),
                run_index=self._run_index,
                prompt_id=prompt_id,
                outcome=outcome,
                note=note,
                search=self.search() if self.search is not None else None,
            )
        )

    def _eta_s(self, elapsed_s: float) -> float | None:
        if not self._timed:
            return None
        remaining, pace_s = max(0, self.total - self.done), self._timed_s / self._timed
        return max(0.0, remaining * pace_s - min(elapsed_s - self._timed_s, pace_s))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._emit("heartbeat", prompt_id=self.prompt_id)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[Board]:
        """Send heartbeats while the `async with` block runs."""
        task = asyncio.create_task(self._beat())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
