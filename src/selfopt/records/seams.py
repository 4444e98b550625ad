"""The seams: Protocols of at most three methods. Each has one contract test suite that every implementation passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, runtime_checkable

from .base import Record
from .chat import ChatChunk, ChatReply, ChatRequest
from .config import PolicyThresholds
from .evaluation import Evaluation
from .finding import Finding
from .spec import Spec
from .variant import Variant

R = TypeVar("R", bound=Record)


class ModelStatus(Record):
    """What a server tells about a model without loading it. None or "unknown": it does not tell.

    answers: whether the server itself answered; None: it was not asked."""

    state: Literal["loaded", "loading", "unloaded", "sleeping", "unknown"]
    digest: str = "unknown"
    quantization: str = "unknown"
    template_hash: str = "unknown"
    engine: str = "unknown"
    engine_build: str = "unknown"
    slots: int | None = None
    context_size: int | None = None
    expires_at: str | None = None
    answers: bool | None = None


@runtime_checkable
class Endpoint(Protocol):
    """Speaks to models. One call is one attempt: retries belong to the caller, who records each.

    Raises EndpointError and nothing else for what a server or the network does. Cancelling the caller's task closes the
    connection.
    """

    async def chat(self, request: ChatRequest) -> ChatReply:
        """One whole reply."""
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The reply in pieces; the last has `final`."""
        ...

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        ...


@runtime_checkable
class Residency(Protocol):
    """Is a model loaded? `model` is the name that the server knows."""

    async def status(self, model: str) -> ModelStatus:
        """Never loads, never wakes, never raises for a server that does not tell: that is state "unknown"."""
        ...

    async def load(self, model: str, timeout_s: float) -> float:
        """Load and wait, without aborting while the server loads; returns milliseconds. EndpointError when it fails."""
        ...

    async def unload(self, model: str) -> bool:
        """Force an unload; False where the server cannot."""
        ...


@runtime_checkable
class Ledger(Protocol):
    """Append-only store. What `append` was given is durable, all or nothing, when it returns. Many tasks may append at once."""

    async def append(self, records: Sequence[Record]) -> None:
        """Store all of them or none. A record whose kind and id are there already with equal content is passed over.

        Appends are stored in the order in which they were asked for. Some may share a transaction; an error of one does not
        touch the others. An asker that is cancelled gets its CancelledError only once it is known whether the records are stored.

        Raises:
            CorruptError: a record is there already with other content.
            StoreError: it cannot be written.
        """
        ...

    def read(
        self,
        record_type: type[R],
        where: Mapping[str, str | int] | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[R]:
        """Records of one kind in the order they were appended; `where` compares `record_id` (key "id") and index fields."""
        ...

    def close(self) -> None:
        """Give back files. May be called twice."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds one sort of cause in evaluations of one spec (the newest last). Never raises, on any evaluations."""

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds, /) -> Sequence[Finding]:
        """Findings with their figures; empty when there is nothing or not enough to say. The same input gives the same output."""
        ...


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What a proposer may choose from.

    variants: the catalogue by name, as the baseline's endpoint can be asked. warm_up: whether warm-up may be proposed. tried: ids
    of the specs that were judged against this baseline already, or withdrawn.
    """

    variants: Mapping[str, Variant]
    warm_up: bool = True
    tried: Collection[str] = frozenset()


@runtime_checkable
class Proposer(Protocol):
    """Proposes what to try next. Never raises, on any baseline and findings."""

    def propose(self, baseline: Spec, findings: Sequence[Finding], space: SearchSpace, /) -> Iterator[Spec]:
        """Candidates, each the baseline with one thing changed, most promising first. The loop takes as many as it has room for and
        passes over what was tried. The same input gives the same candidates."""
        ...
