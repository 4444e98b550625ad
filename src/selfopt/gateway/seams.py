"""The Protocols that the composition root implements: who serves a model, and where records go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from selfopt.dialects.routes import Route
from selfopt.records import Endpoint, ModelStatus, ReplyContent
from selfopt.variants import RenderedStep
from selfopt.web import HttpAddress

from .ticket import JournalRecord


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who serves one model.

    Attributes:
        name: the endpoint's.
        model: the model's full name, as it was asked for.
        known_as: one name for all names of the model.
        server_model: what the server calls it.
        adapter: makes the endpoint that speaks to the server.
        dialect: the one that the adapter speaks.
        speaks: the dialects of chats that can be passed on unchanged; empty where none can.
        also: further ones that can, where no call has to be read from the text of the reply.
        address: where these go; None for a server that `Upstreams.connect` has to start first.
        gate: the name that endpoints share a limit and a breaker under.
        concurrency: how many requests the gate lets through at once.
        max_reply_bytes: limit of a whole reply.
        max_stream_bytes: limit of a streamed reply.
        ignores_choice: whether the server takes no notice of `tool_choice`.
        writes_grammars: whether the server can be asked for output that a grammar limits.
        finish: changes the fields of each request as the endpoint's settings want it; None where
            they want nothing.
        gives_logprobs: whether the server can be asked for log probabilities.
        embeds: answers the steps of an embedding model within so many seconds, with None where that can't; see
            `EmbeddingSteps`.
            None: words choose the tools.
        traced: whether the server is told which trace a request belongs to.
        provider: who serves, as the GenAI conventions name it.
        streamed: whether the server is always asked for a stream, so that a reply can be ended early.
        route: the route beside chats that it is for; None for chats.
        family: tells the family that the model's chat template showed; "unknown" before any did.
    """

    name: str
    model: str
    server_model: str
    adapter: Callable[[], Endpoint]
    dialect: str = "openai_chat"
    speaks: frozenset[str] = frozenset({"openai_chat"})
    also: frozenset[str] = frozenset()
    address: HttpAddress | None = None
    gate: str = ""
    concurrency: int = 64
    max_reply_bytes: int = 4_000_000
    max_stream_bytes: int = 64_000_000
    ignores_choice: bool = False
    writes_grammars: bool = True
    finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    family: Callable[[], str] = lambda: "unknown"
    known_as: str = ""
    streamed: bool = False
    route: Route | None = None
    gives_logprobs: bool = True
    traced: bool = False
    provider: str = ""
    embeds: Callable[[RenderedStep, float], Awaitable[ReplyContent | None]] | None = None


class Upstreams(Protocol):
    """Finds who serves a model. It is told the model's name and nothing else of a request."""

    def find(self, model: str, asked: str, route: Route | None = None) -> Upstream:
        """Return who serves a model.

        Args:
            model: full name of the model that is to serve.
            asked: full name of the model that the client asked for.
            route: what it is asked for beside chats. Where its server has nothing of the kind, the upstream speaks
                no dialect.

        Raises:
            UnknownModelError: the settings do not know the model.
            ConsentError: the request may not go there.
        """
        ...

    async def connect(self, upstream: Upstream) -> HttpAddress | None:
        """Start the server if it is not running, and return its address.

        Returns None for a server that is spoken to through its adapter. Raises EndpointError when
        the server does not start. Returns at once when it runs.
        """
        ...

    async def status(self, upstream: Upstream) -> ModelStatus:
        """Ask whether the server is there, without loading or waking a model. Never raises."""
        ...


class RequestJournal(Protocol):
    """Keeps the decision about every request."""

    def add(self, record: JournalRecord) -> None:
        """Take a record, and write it to disk within 100 ms. Never waits."""
        ...

    def check(self) -> None:
        """Raise AuditError while records cannot be written: a request would leave no trace."""
        ...

    async def close(self) -> None:
        """Write what is left. May be called twice."""
        ...

    @property
    def lag_s(self) -> float:
        """Age of the oldest record that is not on disk yet."""
        ...
