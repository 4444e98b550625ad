"""The kinds of endpoints, and the interface of a dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from selfopt.extensions import Registry

if TYPE_CHECKING:
    from selfopt.records import ChatRequest, Endpoint, EndpointConfig, Residency

    from .parts import Parts, StreamDecoder


PASSED_PATHS: Mapping[str, str] = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic": "/messages",
}
"""The dialects whose requests can be passed on to a server unchanged, and where below its base URL it takes them."""


OPENAI_HOST = "api.openai.com"


class Dialect(Protocol):
    """Writes the requests to one server and reads its replies. It sends nothing itself.

    Attributes:
        name: the name of the dialect. Requests keep extra fields for it under this name.
        root: the server's base URL, without a slash at the end.
        url: the URL for chats.
        headers: the headers of every request, including the key.
    """

    name: str
    root: str
    url: str
    headers: dict[str, str]

    def write_request(self, request: ChatRequest, *, streamed: bool = False) -> dict[str, Any]:
        """Write the body of a request.

        Raises:
            EndpointError: `bad_request`, when the dialect cannot express the request.
        """
        ...

    def decode_reply(self, data: Any) -> Parts:
        """Read a whole reply.

        Raises:
            EndpointError: the reply reports an error.
            ValueError: it is not a reply of this dialect.
        """
        ...

    def decoder(self) -> StreamDecoder:
        """Make a decoder for one streamed reply."""
        ...


@dataclass(frozen=True, slots=True)
class EndpointKind:
    """Describes a kind of endpoint. Packages register instances of this class.

    Attributes:
        dialect: makes the dialect for a configuration. Raises SettingsError for an incomplete one.
        speaks: the name of that dialect.
        base_url: where its server is, unless the settings say; None where they have to.
        key_header: what stands before the key in the head of a request.
        in_process: makes an endpoint and a residency that run in this process; returns None for a
            configuration that names a server.
        residency: makes the residency for a configuration. Without it, models count as loaded.
        serverless: whether it works without a base URL, on this machine alone.
        engine: whether the embedded engine starts its servers as child processes.
        grammars: whether its servers accept GBNF grammars, unless the settings say otherwise.
        openai_path: where, below their base URL, its servers answer OpenAI's API too; None where they
            do not, or speak it anyway.
        writes_grammars: whether its dialect has words for a grammar. Without them a request that
            needs one is refused before it is sent.
        any_schema: whether its servers accept every JSON Schema. None: only local servers do.
        ignores_choice: whether its servers take no notice of a required tool call. They accept
            schemas then, which can demand one.
        counts_idle: whether its servers unload models that have been idle for some time.
        logprobs: whether its servers give the log probabilities of tokens. None: some do, so they are
            asked.
        thinks: whether a model of this name can think before it answers. None: its name does not say.
        takes_temperature: whether a model of this name takes a temperature.
        lists_models: whether its residency can list the installed models.
        default_port: the port of an address that names none.
        url_variable: the environment variable that names the server's address.
        slots: requests that a server on this machine is asked at the same time while something is
            measured, unless the settings say otherwise. It mostly works on one at a time.
        slots_elsewhere: the same for a server elsewhere, which works for many.
        passable: takes out of the fields of a request that is passed on what its servers would refuse and
            only the gateway wrote; None where there is nothing of the kind.
        one_name: one name for all that its servers understand as the same model. It is compared,
            and never sent. By default every name is a model of its own.
    """

    dialect: Callable[[EndpointConfig], Dialect]
    speaks: str
    base_url: str | None = None
    key_header: str = "Authorization: Bearer"
    in_process: Callable[[EndpointConfig], tuple[Endpoint, Residency] | None] | None = None
    residency: Callable[[EndpointConfig], Residency] | None = None
    serverless: bool = False
    engine: bool = False
    grammars: bool = False
    openai_path: str | None = None
    writes_grammars: bool = True
    any_schema: bool | None = False
    ignores_choice: bool = False
    counts_idle: bool = False
    logprobs: bool | None = None
    thinks: Callable[[str], bool | None] = lambda _model: None
    takes_temperature: Callable[[str], bool] = lambda _model: True
    lists_models: bool = False
    default_port: int | None = None
    url_variable: str | None = None
    slots: int = 1
    slots_elsewhere: int = 4
    passable: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    one_name: Callable[[str], str] = str

    def speaks_at(self, host: str | None) -> tuple[str, ...]:
        """The dialects that its server at a host speaks without a loss. OpenAI's own speaks its newer one, too."""
        return (self.speaks, "openai_responses") if host == OPENAI_HOST and self.speaks == "openai_chat" else (self.speaks,)


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
