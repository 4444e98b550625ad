"""Which sorts of endpoints there are, and what a dialect has to offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from selfopt.extensions import Registry

if TYPE_CHECKING:
    from selfopt.records import ChatRequest, Endpoint, EndpointConfig, Residency

    from .parts import Parts, StreamDecoder


class Dialect(Protocol):
    """How one server is spoken to. It is made from the server's configuration and sends nothing.

    Attributes:
        name: of the dialect; fields that a request carries beside are kept under it.
        root: the server's base URL, without a slash at its end.
        url: where chats are sent.
        headers: what goes with every request, the key included.
    """

    name: str
    root: str
    url: str
    headers: dict[str, str]

    def write_request(self, request: ChatRequest, *, streamed: bool = False) -> dict[str, Any]:
        """The body of a request. EndpointError `bad_request` for what this dialect has no words for."""
        ...

    def decode_reply(self, data: Any) -> Parts:
        """A whole reply taken apart. EndpointError for an error in it, ValueError for anything else."""
        ...

    def decoder(self) -> StreamDecoder:
        """What puts a streamed reply together; one for each reply."""
        ...


@dataclass(frozen=True, slots=True)
class EndpointKind:
    """What has to be known of a sort of endpoint before it is spoken to. This is what a package offers.

    Attributes:
        dialect: how its servers are spoken to. SettingsError for a configuration that lacks something.
        speaks: the name of that dialect.
        in_process: makes what answers in this process, where a configuration asks for it; else None.
        residency: what asks its servers which models are loaded. Without one, models count as always there.
        serverless: it needs no base URL, and without one its requests stay on this machine.
        engine: its servers are children of this process, which the embedded engine starts.
        grammars: its servers take GBNF grammars, unless the settings say otherwise.
        any_schema: its servers take every JSON Schema; None: those on this machine do.
        counts_idle: its servers unload a model some time after it was asked for last.
        lists_models: its residency can list the models that are installed.
        default_port: of an address without one, as `url_variable` may have it.
        url_variable: an environment variable that names the server's address.
    """

    dialect: Callable[[EndpointConfig], Dialect]
    speaks: str
    in_process: Callable[[EndpointConfig], tuple[Endpoint, Residency] | None] | None = None
    residency: Callable[[EndpointConfig], Residency] | None = None
    serverless: bool = False
    engine: bool = False
    grammars: bool = False
    any_schema: bool | None = False
    counts_idle: bool = False
    lists_models: bool = False
    default_port: int | None = None
    url_variable: str | None = None


ENDPOINT_KINDS: Registry[EndpointKind] = Registry(
    "selfopt.dialects",
    {
        "openai_compatible": "selfopt.dialects.openai_chat:KIND",
        "ollama": "selfopt.dialects.ollama:KIND",
        "anthropic": "selfopt.dialects.anthropic:KIND",
        "scripted": "selfopt.scripted.kind:KIND",
        "embedded": "selfopt.dialects.openai_chat:EMBEDDED",
    },
    EndpointKind,
)
