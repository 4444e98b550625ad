"""The seams: Protocols of at most three methods. Every implementation passes the contract tests of
its seam.
"""

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
    """What a server says about a model without loading it.

    None or "unknown": the server does not say.
    """

    state: Literal["loaded", "loading", "unloaded", "sleeping", "unknown"]
    digest: str = "unknown"
    quantization: str = "unknown"
    template_hash: str = "unknown"
    family: str = "unknown"  # how the model writes calls, as its chat template shows
    engine: str = "unknown"
    engine_build: str = "unknown"
    slots: int | None = None
    context_size: int | None = None
    expires_at: str | None = None
    answers: bool | None = None  # whether the server itself answered; None when it was not asked
    tools: bool | None = None  # whether the model takes tools, as the server says; None when it does not say
    embedding_digest: str = "unknown"  # of the embedding model that is asked beside it
    logprobs: bool | None = None  # whether the server gives the log probabilities of tokens, as far as is known
    thinking: bool | None = None  # whether the model can think before it answers, as far as is known


class EnoughError(Exception):
    """Thrown into a stream of `Endpoint`: no more of the reply is wanted."""


@runtime_checkable
class Endpoint(Protocol):
    """Speaks to models. One method call is one attempt: the caller retries, and records each
    attempt.

    Failures of the server or the network raise EndpointError and nothing else. Cancelling the
    caller's task closes the connection.
    """

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Returns one whole reply."""
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yields the reply in pieces. The last one has `final`.

        A stream that takes EnoughError (`athrow`) leaves the server, and yields what came as `final`.
        """
        ...

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        ...


@runtime_checkable
class Residency(Protocol):
    """Whether a model is loaded, and how to load and unload it.

    `model` is the name that the server knows.
    """

    async def status(self, model: str) -> ModelStatus:
        """Returns the status, without loading or waking the model.

        It is "unknown" when the server does not say.
        """
        ...

    async def load(self, model: str, timeout_s: float) -> float:
        """Load the model and wait for it. Returns the time in milliseconds.

        Does not abort while the server loads. Raises EndpointError when loading fails.
        """
        ...

    async def unload(self, model: str) -> bool:
        """Force an unload. Returns False when the server cannot unload."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingSource:
    """Who embeds texts.

    Attributes:
        endpoint: answers the step `embed`.
        model: the name by which the server knows the embedding model.
    """

    endpoint: Endpoint
    residency: Residency
    model: str


@runtime_checkable
class ListsModels(Protocol):
    """What a residency can also do whose server tells which models it has."""

    async def installed(self) -> list[str] | None:
        """Returns the server's names of its models; None when it does not answer."""
        ...


@runtime_checkable
class Ledger(Protocol):
    """Append-only store.

    When `append` returns, all its records are durable. Many tasks may append at once.
    """

    async def append(self, records: Sequence[Record]) -> None:
        """Store all records or none. Skips a record that is already stored with equal content.

        Appends are stored in the order of the calls. Several may share a transaction, but the error
        of one does not affect the others. A cancelled caller gets its CancelledError once it is
        known whether its records are stored.

        Raises:
            CorruptError: a record is already stored, under this kind and id, with other content.
            StoreError: the records cannot be written.
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
        """Yields records of one kind in the order of appending.

        where: the values that index fields, or the record's id (key "id"), must have.
        """
        ...

    def close(self) -> None:
        """Close the files. May be called twice."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds one kind of cause in the evaluations of one spec, newest last. Never raises."""

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds, /) -> Sequence[Finding]:
        """Returns findings with their figures, or nothing when there is none or too little data.

        Deterministic.
        """
        ...


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What a proposer may choose from."""

    variants: Mapping[str, Variant]  # by name; those that the baseline's endpoint supports
    warm_up: bool = True  # whether it may propose a warm-up
    text_only: bool = False  # the model has no tools there, so only variants that write them into the prompt can work
    tried: Collection[str] = frozenset()  # ids of specs that were already judged against this baseline, or withdrawn


@runtime_checkable
class Proposer(Protocol):
    """Proposes what to try next. Never raises."""

    def propose(self, baseline: Spec, findings: Sequence[Finding], space: SearchSpace, /) -> Iterator[Spec]:
        """Yields candidates, most promising first. Each is the baseline with one thing changed.
        Deterministic.

        The loop takes as many as it has room for, and skips those that were tried.
        """
        ...
