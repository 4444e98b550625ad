"""What a measurement is given: the parts behind their Protocols, and whatever tests replace."""

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
from selfopt.records.seams import EmbeddingSource

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
        """Returns the result and the blobs that it refers to."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before another attempt, in seconds.

    The wait is base_s * 2^(failures - 1), at most cap_s; one half of it is random (equal jitter). A
    Retry-After is honoured up to retry_after_cap_s.
    """

    base_s: float = 0.5
    cap_s: float = 30.0
    retry_after_cap_s: float = 60.0

    def wait_s(self, failures: int, retry_after_s: float | None, rng: random.Random) -> float:
        """The wait after so many failures (counted from 1), in seconds."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        jittered = ceiling * (0.5 + 0.5 * rng.random())
        if retry_after_s is None:
            return jittered
        return max(jittered, min(retry_after_s, self.retry_after_cap_s))


def one_slot(spec: Spec) -> int:
    """One request at a time."""
    return 1


def unknown_price(spec: Spec, usage: Usage, busy_s: float) -> float | None:
    """No price is known."""
    return None


def no_embedding(spec: Spec) -> EmbeddingSource | None:
    """No embedding model is asked."""
    return None


def no_logprobs(spec: Spec) -> int | None:
    """No log probabilities are asked for."""
    return None


@dataclass(frozen=True, slots=True)
class MeasureContext:
    """The parts that a measurement uses, mostly as functions of the spec.

    It does not close the endpoints.

    Attributes:
        model_name_for: the name by which the server knows the model.
        warm_up: loads a model and makes it ready.
        slots_for: how many requests may be under way at once, at least 1.
        price_for: cost of one trial, by its tokens and the seconds that the model was busy; None when
            unknown.
        logprobs_for: how many of the likeliest tokens to ask for at each place, with the log
            probabilities of all tokens; None: ask for none.
        embedding_for: who answers the steps of a spec's embedding model; None where it needs none.
            Raises where the settings do not allow it.
        clock: monotonic, in seconds.
        sleep, rng: used for retries only.
        now: the time for records.
        progress: is told what the measurement is doing.
        idle_s: residency is asked again after so many seconds without a reply.
        heartbeat_s: the longest silence of `progress`.
        executor_for: who does the trials, given the ledger and the number of slots.
    """

    ledger: Ledger
    endpoint_for: Callable[[Spec], Endpoint]
    residency_for: Callable[[Spec], Residency]
    model_name_for: Callable[[Spec], str]
    suite_for: Callable[[Spec], Suite]
    warm_up: WarmUpCall
    slots_for: Callable[[Spec], int] = one_slot
    price_for: Callable[[Spec, Usage, float], float | None] = unknown_price
    logprobs_for: Callable[[Spec], int | None] = no_logprobs
    embedding_for: Callable[[Spec], EmbeddingSource | None] = no_embedding
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
    """What a measurement works at: the parts, the meter and the board.

    Attributes:
        stored: ids of specs and environments that are known to be in the ledger.
    """

    context: MeasureContext
    meter: BudgetMeter
    board: Board
    stored: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, context: MeasureContext, meter: BudgetMeter) -> Desk:
        """A desk with a new board."""
        return cls(context, meter, Board(context.progress, context.clock, context.heartbeat_s))


@dataclass(frozen=True, slots=True)
class Labels:
    """What runs record beside the spec; see `records.Run`. requested_model None: the spec's."""

    group_id: str | None = None
    requested_model: str | None = None
    cycle_id: str | None = None
    rule_id: str | None = None
    forced: bool = False
    overrides: tuple[str, ...] = ()
    purpose: Purpose = "measure"
