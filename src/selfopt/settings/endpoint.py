"""The settings of one endpoint, and the endpoints that everybody has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, get_args

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from selfopt.dialects.kinds import ENDPOINT_KINDS, PASSED_PATHS, EndpointKind
from selfopt.dialects.logprobs import TOP
from selfopt.records import Record, ServerKind, is_loopback

from .proxies import NONE as NO_PROXY
from .proxies import proxy_of_environment, proxy_url


class Table(Record):
    """A table of settings.

    Refuses true and false where a number is wanted, which pydantic would take as 1 and 0.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            kinds = set(get_args(annotation) or (annotation,))
            if kinds & {int, float} and bool not in kinds:
                raise ValueError(f"must be a {'' if float in kinds else 'whole '}number, not true or false")
        return value


CHAT = "openai_chat"
_CHAT = frozenset({"model", "messages", "tools", "tool_choice", "stream", "stream_options"})


class EndpointSettings(Table):
    """One endpoint.

    Attributes:
        kind: One of `ENDPOINT_KINDS`.
        base_url: Address of its server; None without a server.
        api_key: Only the user's own file may hold it.
        api_key_env: The environment variable that holds the key.
        local: Requests do not leave this machine (or your own network). None: as base_url says.
        grammar: Its server takes GBNF grammars, as llama.cpp does; other servers get a JSON Schema.
            None: embedded and scripted endpoints do.
        server: The program that answers at an OpenAI-compatible address. `llama.cpp`, `vllm` and
            `sglang` get fields that others refuse (`chat_template_kwargs`, `cache_prompt`). None:
            local servers are asked what they are, and remote ones count as `other`.
        also: Further dialects that the server of an OpenAI-compatible address speaks, such as `anthropic`
            (llama.cpp and vLLM do). The gateway passes chats of their clients on unchanged.
        omit: Fields that its requests are sent without, such as `temperature` or `options.seed`.
        extra_body: Fields that all its requests get, in place of their own.
        logprobs: Measurements ask for the log probabilities of tokens, which change no reply and no
            evidence. None: where the kind of the endpoint may have them. A server that refuses is
            asked without. A variant that reads them asks for them in any case.
        script: YAML file of a scripted endpoint.
        slots: Requests at the same time. None: as `Settings.concurrency_of` says.
        max_reply_bytes: How much of one reply is read.
        proxy: URL of an HTTP proxy, which may hold user and password; `none` for no proxy. None: as
            the environment says (HTTPS_PROXY and others), for a server that is not local.
    """

    kind: str
    base_url: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True)
    api_key_env: str | None = None
    local: bool | None = None
    grammar: bool | None = None
    server: ServerKind | None = None
    also: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    extra_body: dict[str, Any] = Field(default_factory=dict)
    logprobs: bool | None = None
    script: str | None = None
    slots: int | None = Field(default=None, ge=1, le=64)
    max_reply_bytes: int = Field(default=4_000_000, ge=1_000, le=100_000_000)
    proxy: SecretStr | None = Field(default=None, exclude=True)
    ray_resources: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ENDPOINT_KINDS.builtin and ENDPOINT_KINDS.get(value) is None:
            raise ValueError(f"must be one of {', '.join(ENDPOINT_KINDS.names())}, or a kind that an installed package offers")
        return value

    @field_validator("also")
    @classmethod
    def _spoken_beside(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind = ENDPOINT_KINDS.get(str(info.data.get("kind")))
        own = kind.speaks if kind is not None else ""
        known = [name for name in PASSED_PATHS if name != own]
        if value and own != CHAT:
            raise ValueError("is only for kinds of endpoints that speak openai_chat; leave it out")
        for name in value:
            if name not in known:
                raise ValueError(f"can name {', '.join(known)}, not {name!r}")
        return value

    @field_validator("omit", "extra_body")
    @classmethod
    def _no_part_of_the_chat(cls, value: Any) -> Any:
        own = sorted(_CHAT & {str(place).partition(".")[0] for place in value})
        if own:
            raise ValueError(f"{own[0]!r} is a part of the chat itself, which no setting changes; name another field")
        return value

    @property
    def traits(self) -> EndpointKind:
        """The traits of this kind of endpoint."""
        found = ENDPOINT_KINDS.get(self.kind)
        assert found is not None, self.kind
        return found

    @property
    def plays_here(self) -> bool:
        """Whether this process plays its replies, without a server."""
        return self.base_url is None and self.traits.in_process is not None

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine.

        `local` decides, else there is no server or its address is loopback.
        """
        if self.local is not None:
            return self.local
        return self.traits.serverless if self.base_url is None else is_loopback(self.base_url)

    @property
    def is_loopback(self) -> bool:
        """Whether its address means another machine on every machine."""
        return self.base_url is not None and is_loopback(self.base_url)

    def proxy_url(self, name: str, url: str, environ: Mapping[str, str]) -> SecretStr | None:
        """Returns the proxy for requests to this URL of the endpoint. Raises SettingsError.

        There is none for this machine, whatever names one.
        """
        if is_loopback(url):
            return None
        if self.proxy is not None:
            given = self.proxy.get_secret_value().strip()
            return None if given.lower() == NO_PROXY else SecretStr(proxy_url(given, f"endpoints.{name}.proxy"))
        found = None if self.is_local else proxy_of_environment(url, environ)
        return SecretStr(proxy_url(found[1], f"endpoint {name}: {found[0]}")) if found is not None else None

    @property
    def asks_logprobs(self) -> bool:
        """Whether measurements ask it for log probabilities."""
        wanted = self.traits.logprobs is not False if self.logprobs is None else self.logprobs
        return wanted and "logprobs" not in self.omit

    @property
    def may_give_logprobs(self) -> bool:
        """Whether it can be asked for log probabilities, wanted or not: by a variant that reads them."""
        return (self.traits.logprobs is not False or self.logprobs is True) and "logprobs" not in self.omit

    def logprobs_asked(self, *, read: bool) -> int | None:
        """Returns how many of the likeliest tokens a measurement asks it for at each place, with the log
        probabilities of all tokens; None when it asks for none.

        read: whether the variant reads them, and is nothing without.
        """
        return TOP if self.asks_logprobs or (read and self.may_give_logprobs) else None

    @property
    def takes_grammars(self) -> bool:
        """Whether a GBNF grammar can constrain its output."""
        return self.traits.grammars if self.grammar is None else self.grammar

    @property
    def takes_any_schema(self) -> bool:
        """Whether any JSON Schema can constrain its output.

        Clouds take only a part of JSON Schema.
        """
        any_schema = self.traits.any_schema
        return self.is_local if any_schema is None else any_schema

    def takes_temperature(self, model: str) -> bool:
        """Whether the temperature of a request counts. model: as its server knows it."""
        own = {"temperature", "options.temperature"}
        return self.traits.takes_temperature(model) and own.isdisjoint(self.omit) and own.isdisjoint(self.extra_body)


@lru_cache(16_384)
def one_name(kind: str, name: str) -> str:
    """Returns one name for all names that a kind of endpoint understands as the same model."""
    found = ENDPOINT_KINDS.get(kind)
    return found.one_name(name) if found is not None else name


def default_endpoints() -> dict[str, EndpointSettings]:
    """Returns the endpoints that are there without any settings, by name."""
    return {
        "local": EndpointSettings(kind="embedded"),
        "ollama": EndpointSettings(kind="ollama", base_url="http://127.0.0.1:11434"),
        "openai": EndpointSettings(kind="openai_compatible", base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY"),
        "anthropic": EndpointSettings(kind="anthropic", base_url="https://api.anthropic.com", api_key_env="ANTHROPIC_API_KEY"),
        "openrouter": EndpointSettings(
            kind="openai_compatible", base_url="https://openrouter.ai/api/v1", api_key_env="OPENROUTER_API_KEY"
        ),
    }
