"""What a measurement is given: the parts behind their Protocols, and everything that tests must be able to replace."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from selfopt.records import (
    Blob,
    ChatRequest,
    Endpoint,
    Ledger,
    Purpose,
    Residency,
    Spec,
    Suite,
    Usage,
    WarmUp,
    WarmUpResult,
    utc_now,
)

from .budget import BudgetMeter
from .executor import AsyncExecutor, Executor
from .progress import Board, ProgressSink, ignore_progress


class WarmUpCall(Protocol):
    """Loads a model and makes it ready; `selfopt.residency.warm_up` is one."""

    def __call__(
        self,
        endpoint: Endpoint,
        residency: Residency,
        model: str,
        requests: Sequence[ChatRequest],
        policy: WarmUp,
        clock: Callable[[], float],
        /,
    ) -> Awaitable[tuple[WarmUpResult, list[Blob]]]:
        """The result and the blobs it refers to."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before further attempts: base_s * 2^(failures - 1), at most cap_s, of which a random half is kept (equal
    jitter). A Retry-After is honoured up to retry_after_cap_s. Seconds."""

    base_s: float = 0.5
    cap_s: float = 30.0
    retry_after_cap_s: float = 60.0

    def wait_s(self, failures: int, retry_after_s: float | None, rng: random.Random) -> float:
        """How long to wait after so many failures (from 1)."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        jittered = ceiling * (0.5 + 0.5 * rng.random())
        if retry_after_s is None:
            return jittered
        return max(jittered, min(retry_after_s, self.retry_after_cap_s))


def one_slot(spec: Spec) -> int:
    """One request at a time."""
    return 1


def unknown_price(spec: Spec, usage: Usage) -> float | None:
    """Nobody knows what this cost."""
    return None


@dataclass(frozen=True, slots=True)
class MeasureContext:
    """The parts, as functions of the spec. The owner of endpoints closes them.

    model_name_for: the name that the server knows; slots_for: how many requests may be under way at once (>= 1);
    price_for: cost of one trial, None when unknown; warm_up: see WarmUpCall. clock in seconds (monotonic), sleep and rng
    are used for retries only; now is the time written into records. idle_s: residency is asked again after so long
    without a reply; heartbeat_s: the longest silence of `progress`. executor_for: who does the trials, given the ledger and
    how many slots there are.
    """

    ledger: Ledger
    endpoint_for: Callable[[Spec], Endpoint]
    residency_for: Callable[[Spec], Residency]
    model_name_for: Callable[[Spec], str]
    suite_for: Callable[[Spec], Suite]
    warm_up: WarmUpCall
    slots_for: Callable[[Spec], int] = one_slot
    price_for: Callable[[Spec, Usage], float | None] = unknown_price
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    now: Callable[[], str] = utc_now
    progress: ProgressSink = ignore_progress
    hardware: str = "unknown"
    backoff: Backoff = Backoff()
    idle_s: float = 60.0
    heartbeat_s: float = 1.0
    executor_for: Callable[[Ledger, int], Executor] = AsyncExecutor


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a measurement is kept track of: the parts, what may be spent, and who is told. stored: ids of the specs and
    environments that the ledger is known to have."""

    context: MeasureContext
    meter: BudgetMeter
    board: Board
    stored: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, context: MeasureContext, meter: BudgetMeter) -> Desk:
        """A new one."""
        return cls(context, meter, Board(context.progress, context.clock, context.heartbeat_s))


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written into the runs beside the spec; see records.Run. requested_model None: the spec's own."""

    group_id: str | None = None
    requested_model: str | None = None
    cycle_id: str | None = None
    rule_id: str | None = None
    forced: bool = False
    overrides: tuple[str, ...] = ()
    purpose: Purpose = "measure"
