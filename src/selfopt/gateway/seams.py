"""What the gateway is handed: who serves a model, and where its records go. At most three methods each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from selfopt.records import Endpoint, ModelStatus
from selfopt.web import HttpAddress

from .ticket import JournalRecord


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who serves one model. name: the endpoint's; server_model: the model's name there. adapter: the endpoint that speaks to it. speaks: the dialect of
    chats that can be passed on as they are, to `address`, or to what `Upstreams.connect` says where it has to be started first. gate: what it shares its limit and its breaker with; concurrency: requests at once. max_stream_bytes: of one streamed reply."""

    name: str
    model: str
    server_model: str
    adapter: Callable[[], Endpoint]
    speaks: str = "openai_chat"
    address: HttpAddress | None = None
    gate: str = ""
    concurrency: int = 64
    max_reply_bytes: int = 4_000_000
    max_stream_bytes: int = 64_000_000


class Upstreams(Protocol):
    """Models by name. Nothing of a request but the model's name reaches it."""

    def find(self, model: str, asked: str) -> Upstream:
        """Who serves a model named in full, for a request that asked for that one or another. UnknownModelError; ConsentError where the
        request may not go there."""
        ...

    async def connect(self, upstream: Upstream) -> HttpAddress | None:
        """The address of one that has to be started first; None for one that is spoken to through its endpoint.
        EndpointError when it does not start. Fast when it runs."""
        ...

    async def status(self, upstream: Upstream) -> ModelStatus:
        """Whether its server is there, without generating, loading or waking anything. Never raises."""
        ...


class RequestJournal(Protocol):
    """Where the decision about every request goes."""

    def add(self, record: JournalRecord) -> None:
        """Take it; durable within 100 ms. Never waits."""
        ...

    def check(self) -> None:
        """AuditError while nothing can be written: a request that came then would leave no trace."""
        ...

    async def close(self) -> None:
        """Write what is left. May be called twice."""
        ...

    @property
    def lag_s(self) -> float:
        """Age of the oldest record that is not durable yet."""
        ...
