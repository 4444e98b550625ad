"""Serves a script over HTTP on this machine: the OpenAI, Anthropic and Ollama APIs."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

from aiohttp import web

from selfopt.dialects.jsontext import parse_json
from selfopt.errors import SettingsError
from selfopt.reading.thinking_marks import thinks_by_template

from . import vendors
from .completions import completion_chat, completion_pieces, completion_reply, ranked
from .embedding import embedding_of, packed_of
from .player import Clock, JournalEntry, ScriptedChat, ScriptEngine, Turn
from .script import Script

MAX_REQUEST_BYTES = 16_000_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Whole = Callable[[vendors.Answer], dict[str, Any]]
Pieces = Callable[[vendors.Answer], Iterable[str]]


class ScriptedServer:
    """A running server.

    Attributes:
        engine: the state of its models.
        base_url: where it listens.
    """

    def __init__(self, engine: ScriptEngine, runner: web.AppRunner, base_url: str) -> None:
        self.engine = engine
        self.base_url = base_url
        self._runner = runner

    @property
    def journal(self) -> deque[JournalEntry]:
        """The requests received, oldest first. Only the newest are kept."""
        return self.engine.journal

    async def close(self) -> None:
        """Stop listening and drop open requests. Calling it again does nothing."""
        await self._runner.cleanup()


async def serve_scripted(script: Script, host: str = "127.0.0.1", port: int = 0, clock: Clock | None = None) -> ScriptedServer:
    """Start a server that plays a script.

    Args:
        script: what to play.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        clock: replaces the machine's clock.

    Raises:
        SettingsError: the server cannot listen on this address.
    """
    engine = ScriptEngine(script, clock)
    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_key_checker(script.api_key)])
    app.add_routes(_Routes(engine).all())
    # A timeout of 0 means none at all: closing would wait for a request that hangs.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port or --host"
        ) from None
    bound = runner.addresses[0]
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return ScriptedServer(engine, runner, f"http://{shown}:{bound[1]}")


def _key_checker(api_key: str | None) -> Any:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key", "")
        if api_key is not None and given != api_key and request.path != "/health":
            return _error(401, "Invalid API key", "authentication_error")
        return await handler(request)

    return check


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(content, ensure_ascii=False), status=status, content_type="application/json")


def _error(status: int, message: str, kind: str) -> web.Response:
    return _json({"error": {"code": status, "message": message, "type": kind}}, status)


class _Routes:
    def __init__(self, engine: ScriptEngine) -> None:
        self._engine = engine

    def all(self) -> list[web.RouteDef]:
        """Every route of the server."""
        generated = partial(vendors.ollama_reply, generate=True)
        openai = self._chatting(vendors.openai_chat, vendors.openai_reply, vendors.openai_pieces)
        anthropic = self._chatting(vendors.anthropic_chat, vendors.anthropic_reply, vendors.anthropic_events)
        ollama = self._chatting(vendors.ollama_chat, vendors.ollama_reply, vendors.ollama_pieces)
        generate = self._chatting(vendors.ollama_chat, generated, lambda answer: [json.dumps(generated(answer)) + "\n"])
        return [
            web.post("/v1/chat/completions", openai),
            web.post("/v1/messages", anthropic),
            web.post("/api/chat", ollama),
            web.post("/api/generate", generate),
            web.post("/v1/completions", self._chatting(completion_chat, completion_reply, completion_pieces)),
            web.post("/v1/embeddings", self._embeddings),
            web.post("/v1/rerank", self._rerank),
            web.post("/api/embed", self._embed),
            web.post("/api/show", self._ollama_show),
            web.get("/api/ps", self._ollama_ps),
            web.get("/api/tags", self._ollama_tags),
            web.get("/api/version", self._ollama_version),
            web.get("/v1/models", self._models),
            web.get("/health", self._health),
            web.post("/models/load", self._load),
            web.post("/models/unload", self._unload),
            web.post("/scripted/unload", self._unload),
            web.get("/scripted/state", self._state),
            web.get("/scripted/journal", self._journal),
        ]

    # chats

    def _chatting(self, read: Callable[[dict[str, Any]], ScriptedChat], whole: Whole, pieces: Pieces) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._chat(request, read, whole, pieces)

        return handle

    async def _chat(
        self, request: web.Request, read: Callable[[dict[str, Any]], ScriptedChat], whole: Whole, pieces: Pieces
    ) -> web.StreamResponse:
        body = await _body_of(request)
        if body is None:
            return _error(400, "body is not a JSON object", "invalid_request_error")
        chat = read(body)
        if chat.load_only and chat.keep_alive_s == 0 and chat.model in self._engine.script.models:
            self._engine.unload(chat.model)
            return _json({"model": chat.model, "created_at": vendors.CREATED_AT, "done": True, "done_reason": "unload"})
        try:
            ticket = self._engine.arrive(chat)
        except KeyError:
            said = f"model '{chat.model}' not found (this script has: {', '.join(self._engine.script.models)})"
            return _json({"error": said}, 404) if chat.dialect == "ollama" else _error(404, said, "not_found_error")
        if ticket.refused:
            return _json(vendors.LOADING_BODY, status=503)
        await self._engine.wait(ticket)
        if chat.load_only:
            return _json({"model": chat.model, "created_at": vendors.CREATED_AT, "done": True, "done_reason": "load"})
        streamed = body.get("stream", chat.dialect == "ollama") is True
        answer = vendors.Answer.of(ticket)
        if ticket.fault is not None:
            payload = "".join(pieces(answer)) if streamed else json.dumps(whole(answer), ensure_ascii=False)
            return await self._faulty(request, ticket, payload.encode())
        if not streamed:
            return _json(whole(answer))
        kind = "application/x-ndjson" if chat.dialect == "ollama" else "text/event-stream"
        return await _send(request, (piece.encode() for piece in pieces(answer)), kind)

    async def _faulty(self, request: web.Request, ticket: Turn, payload: bytes) -> web.StreamResponse:
        fault = ticket.fault
        assert fault is not None
        if fault.kind in ("close", "hang"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault.kind == "truncated":
            response = web.StreamResponse(headers={"Content-Length": str(len(payload))})
            response.content_type = "application/json"
            await response.prepare(request)
            await response.write(payload[: len(payload) // 2])
            if request.transport is not None:
                request.transport.close()
            return response
        if fault.kind == "slow":
            chunks = (payload[i : i + fault.chunk_bytes] for i in range(0, len(payload), fault.chunk_bytes))
            return await _send(request, chunks, "application/json", self._engine.clock, fault.chunk_ms / 1000)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        status = fault.status if fault.kind == "status" else 200
        return web.Response(body=vendors.fault_bytes(fault), status=status, headers=headers, content_type="application/json")

    # embeddings

    async def _embeddings(self, request: web.Request) -> web.Response:
        texts = await self._texts(request, "input")
        if isinstance(texts, web.Response):
            return texts
        packed = (await _body_of(request) or {}).get("encoding_format") == "base64"
        vectors = [packed_of(embedding_of(text)) if packed else embedding_of(text) for text in texts]
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        return _json({"object": "list", "data": data, "usage": _tokens(texts)})

    async def _embed(self, request: web.Request) -> web.Response:
        texts = await self._texts(request, "input")
        return texts if isinstance(texts, web.Response) else _json({"embeddings": list(map(embedding_of, texts))})

    async def _rerank(self, request: web.Request) -> web.Response:
        texts = await self._texts(request, "documents")
        if isinstance(texts, web.Response):
            return texts
        body = await _body_of(request) or {}
        query, top = body.get("query"), body.get("top_n")
        if not isinstance(query, str):
            return _error(400, "query is no text", "invalid_request_error")
        results = ranked(query, texts)
        return _json({"object": "list", "results": results[: top if isinstance(top, int) else None], "usage": _tokens(texts)})

    async def _texts(self, request: web.Request, field: str) -> list[str] | web.Response:
        body = await _body_of(request) or {}
        model, texts = str(body.get("model", "")), body.get(field)
        if model not in self._engine.script.models:
            return _error(404, f"model '{model}' not found", "not_found_error")
        texts = [texts] if field == "input" and isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return _error(400, f"{field} is no list of texts", "invalid_request_error")
        return texts

    # the state of models

    async def _models(self, _request: web.Request) -> web.Response:
        data = [
            {
                "id": name,
                "object": "model",
                "created": vendors.CREATED,
                "owned_by": "scripted",
                "status": {"value": self._engine.state(name)},
                "meta": {"digest": spec.digest, "quantization": spec.quantization, "n_ctx": spec.context_size},
            }
            for name, spec in self._engine.script.models.items()
        ]
        return _json({"object": "list", "data": data})

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _ollama_ps(self, _request: web.Request) -> web.Response:
        loaded = {name: spec for name, spec in self._engine.script.models.items() if self._engine.state(name) == "loaded"}
        told = {"expires_at": "2100-01-01T00:00:00Z", "size_vram": 0}
        listed = [
            self._ollama_entry(name) | told | {"context_length": spec.context_size or 4096} for name, spec in loaded.items()
        ]
        return _json({"models": listed})

    async def _ollama_tags(self, _request: web.Request) -> web.Response:
        return _json({"models": [self._ollama_entry(name) for name in self._engine.script.models]})

    async def _ollama_version(self, _request: web.Request) -> web.Response:
        return _json({"version": "0.0.0-scripted"})

    async def _ollama_show(self, request: web.Request) -> web.Response:
        name = str((await _body_of(request) or {}).get("model", "")).removesuffix(":latest")
        spec = self._engine.script.models.get(name)
        if spec is None:
            return _json({"error": f"model '{name}' not found"}, status=404)
        details = self._ollama_entry(name)["details"]
        capabilities = ["completion", "tools", *(["thinking"] if thinks_by_template(spec.template) else [])]
        return _json({"template": spec.template, "details": details, "model_info": {}, "capabilities": capabilities})

    def _ollama_entry(self, name: str) -> dict[str, Any]:
        spec = self._engine.script.models[name]
        tagged = name if ":" in name else f"{name}:latest"
        details = {"format": "gguf", "family": "scripted", "parameter_size": "0B", "quantization_level": spec.quantization}
        return {"name": tagged, "model": tagged, "digest": spec.digest, "size": 1, "details": details}

    async def _load(self, request: web.Request) -> web.Response:
        model = str((await _body_of(request) or {}).get("model", ""))
        try:
            ticket = self._engine.arrive(ScriptedChat(model, "load", load_only=True))
        except KeyError:
            return _error(404, f"model '{model}' not found", "not_found_error")
        await self._engine.wait(ticket)
        return _json({"success": True})

    async def _unload(self, request: web.Request) -> web.Response:
        body = await _body_of(request) or {}
        if "model" in body:
            done = self._engine.unload(str(body["model"]))
        else:
            done = {self._engine.unload(name) for name in self._engine.script.models} == {True}
        return _json({"success": done}, status=200 if done else 400)

    async def _state(self, _request: web.Request) -> web.Response:
        names = self._engine.script.models
        return _json({"models": {name: {"state": self._engine.state(name), "loads": self._engine.loads(name)} for name in names}})

    async def _journal(self, _request: web.Request) -> web.Response:
        return _json({"requests": [asdict(entry) for entry in self._engine.journal]})


def _tokens(texts: list[str]) -> dict[str, int]:
    total = sum(map(len, texts)) // 4
    return {"prompt_tokens": total, "total_tokens": total}


async def _body_of(request: web.Request) -> dict[str, Any] | None:
    try:
        body = parse_json((await request.read()).decode("utf-8"))
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


async def _send(
    request: web.Request, chunks: Iterable[bytes], kind: str, clock: Clock | None = None, pause_s: float = 0.0
) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = kind
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
        if clock is not None:
            await clock.sleep(pause_s)
    await response.write_eof()
    return response
