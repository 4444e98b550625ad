"""Plays a script in this process: like the scripted server, but without a socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from selfopt.dialects.faults import parse_retry_after, status_error
from selfopt.dialects.jsontext import bounded_text, parse_json, printable
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.parts import Travelled, reply_of
from selfopt.errors import EndpointError, SettingsError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig, LoadEvidence, ModelStatus

from .player import Clock, ScriptedChat, ScriptEngine, Turn
from .script import load_script
from .vendors import LOADING_BODY, Answer, fault_bytes, openai_chat, openai_reply

_engines: WeakValueDictionary[tuple[str, str], ScriptEngine] = WeakValueDictionary()


def engine_for(config: EndpointConfig, clock: Clock | None = None) -> ScriptEngine:
    """The engine that plays the script of this configuration.

    An endpoint and a residency with the same configuration share one engine while either lives.

    Raises:
        SettingsError: the script cannot be used.
    """
    if config.script is None:
        raise SettingsError(f"endpoint {config.name}: script is missing; give a YAML file (docs/SCRIPTED.md) or a base_url")
    key = (config.name, config.script)
    engine = _engines.get(key)
    if engine is None:
        engine = _engines[key] = ScriptEngine(load_script(config.script), clock)
    return engine


class ScriptedEndpoint:
    """An `Endpoint` that plays a script. A fault raises the EndpointError of a real server."""

    def __init__(self, config: EndpointConfig, engine: ScriptEngine | None = None) -> None:
        """Raises SettingsError when the script cannot be used."""
        self._config = config
        self._dialect = OpenAIChat(config.model_copy(update={"base_url": "http://127.0.0.1"}))
        self.engine = engine or engine_for(config)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return one whole reply. Raises EndpointError when the script has a fault for it."""
        body = self._dialect.write_request(request)
        sent = json.dumps(body, ensure_ascii=False)
        given = self._config.api_key.get_secret_value() if self._config.api_key is not None else None
        if self.engine.script.api_key not in (None, given):
            raise self._error(401, "Invalid API key", sent)
        clock, chat = self.engine.clock, openai_chat(body)
        started = clock.now()
        try:
            ticket = self.engine.arrive(chat)
        except KeyError:
            known = ", ".join(self.engine.script.models)
            raise self._error(404, f"model {chat.model!r} not found (this script has: {known})", sent) from None
        if ticket.refused:
            raise status_error(self._who, 503, {}, sent, json.dumps(LOADING_BODY))
        if not await self.engine.wait(ticket, request.timeout_s):
            raise EndpointError(
                f"{self._who}: no complete reply within {request.timeout_s:g} s; raise the timeout or warm the model up first",
                kind="timeout",
                bodies=(sent, ""),
            )
        received = await self._received(ticket, request.timeout_s, started, sent)
        latency_ms = (clock.now() - started) * 1000
        return self._read(received, Travelled(sent, latency_ms, latency_ms), ticket)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply in two pieces, the second of which has `final`."""
        reply = await self.chat(request)
        yield ChatChunk(text=reply.content.text, thinking=reply.content.thinking)
        yield ChatChunk(final=reply)

    async def close(self) -> None:
        """Do nothing: no resources are held."""

    @property
    def _who(self) -> str:
        return f"endpoint {self._config.name} (scripted)"

    def _error(self, status: int, message: str, sent: str) -> EndpointError:
        return status_error(self._who, status, {}, sent, json.dumps({"error": {"message": message}}))

    async def _received(self, ticket: Turn, timeout_s: float, started: float, sent: str) -> bytes:
        """The bytes that a server would send. Raises the error of a fault that sends none."""
        whole, fault = json.dumps(openai_reply(Answer.of(ticket)), ensure_ascii=False).encode(), ticket.fault
        if fault is None:
            return whole
        if fault.kind in ("close", "truncated"):
            seen = whole[: len(whole) // 2].decode("utf-8", "replace") if fault.kind == "truncated" else ""
            raise self._protocol("connection closed in mid-reply", sent, seen)
        if fault.kind == "slow":
            wait_s = len(whole) / fault.chunk_bytes * fault.chunk_ms / 1000
            left_s = timeout_s - (self.engine.clock.now() - started)
            await self.engine.clock.sleep(min(wait_s, max(0.0, left_s)))
            if wait_s > left_s:
                raise EndpointError(f"{self._who}: no complete reply within {timeout_s:g} s", kind="timeout", bodies=(sent, ""))
            return whole
        if fault.kind == "status":
            error = status_error(self._who, fault.status, {}, sent, self._without_key(fault_bytes(fault)).decode())
            error.retry_after_s = parse_retry_after(fault.retry_after)
            raise error
        return self._without_key(fault_bytes(fault))

    def _without_key(self, data: bytes) -> bytes:
        key = self.engine.script.api_key
        return data.replace(key.encode(), b"[key]") if key else data

    def _protocol(self, what: str, sent: str, received: str) -> EndpointError:
        return EndpointError(f"{self._who}: {printable(what)}", kind="protocol", bodies=(sent, received))

    def _read(self, received: bytes, travelled: Travelled, ticket: Turn) -> ChatReply:
        limit = self._config.max_reply_bytes
        if len(received) > limit:
            seen = bounded_text(received, 64_000)
            raise self._protocol(f"reply is larger than {limit} bytes (max_reply_bytes)", travelled.request_text, seen)
        try:
            text = received.decode("utf-8")
            parts = self._dialect.decode_reply(parse_json(text))
        except ValueError as error:
            raise self._protocol(f"reply is broken: {error}", travelled.request_text, bounded_text(received, 64_000)) from None
        before, wait_ms = ticket.entry.state_before, ticket.entry.load_wait_ms
        parts.load = LoadEvidence(before=before, load_ms=wait_ms, loaded=wait_ms > 0)
        return reply_of(parts, text, travelled)


class ScriptedResidency:
    """A `Residency` whose models are those of a script."""

    def __init__(self, config: EndpointConfig, engine: ScriptEngine | None = None) -> None:
        """Raises SettingsError when the script cannot be used."""
        self._config = config
        self.engine = engine or engine_for(config)

    async def status(self, model: str) -> ModelStatus:
        """The model's state. Loads nothing."""
        return self.engine.status(model)

    async def installed(self) -> list[str]:
        """The names of the script's models."""
        return list(self.engine.script.models)

    async def load(self, model: str, timeout_s: float) -> float:
        """Load the model.

        Returns:
            The milliseconds that it took.

        Raises:
            EndpointError: `timeout`, or `not_found` for a model that the script does not define.
        """
        clock = self.engine.clock
        started = clock.now()
        try:
            ticket = self.engine.arrive(ScriptedChat(model, "in_process", load_only=True))
        except KeyError:
            known = ", ".join(self.engine.script.models)
            raise EndpointError(
                f"endpoint {self._config.name}: model {model!r} not found (this script has: {known})", kind="not_found"
            ) from None
        if not await self.engine.wait(ticket, timeout_s):
            raise EndpointError(f"endpoint {self._config.name}: {model} not loaded within {timeout_s:g} s", kind="timeout")
        return (clock.now() - started) * 1000

    async def unload(self, model: str) -> bool:
        """Unload the model. Returns False if the script forbids it."""
        return self.engine.unload(model)
