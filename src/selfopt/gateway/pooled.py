"""Asks a model over the kept connections that passed-on chats use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from selfopt.dialects.asked_logprobs import AskedLogProbs
from selfopt.dialects.jsontext import dump_json, parse_json
from selfopt.dialects.kinds import PASSED_PATHS, Dialect
from selfopt.dialects.known_server import KnownServer
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.ordinary_reply import ordinary_reply
from selfopt.dialects.parts import decode_body
from selfopt.errors import EndpointError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, Endpoint
from selfopt.records.trace import onward_lines
from selfopt.web import HttpAddress, Pool, UpstreamReply

from .bounded import redacted
from .coded import plain
from .passing import fault_in

_encode = msgspec.json.Encoder().encode
RECORDED_FAULT_BYTES = 64_000
PROBE_TIMEOUT_S = 5.0
KEYS = frozenset({"Authorization", "x-api-key"})  # which the address has
MARGIN = 8_000  # a key may begin before the end of what is recorded


class PooledEndpoint:
    """An `Endpoint` that gets whole replies over kept connections, and streams from an adapter.

    Its replies hold neither bodies nor latency: nothing of live traffic reads these.
    """

    def __init__(
        self,
        name: str,
        pool: Pool,
        dialect: Dialect,
        connect: Callable[[], Awaitable[HttpAddress]],
        adapter: Callable[[], Endpoint],
        max_reply_bytes: int,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Begin.

        Args:
            name: the endpoint's.
            pool: keeps the connections.
            dialect: the one that the server speaks.
            connect: returns where the server is, after starting it if necessary.
            adapter: returns the endpoint that streams.
            max_reply_bytes: limit of a reply.
            finish: changes the body of each request as the endpoint's settings want it.
        """
        self._name = name
        self._pool = pool
        self._dialect = dialect
        self._connect = connect
        self._adapter = adapter
        self._max_reply_bytes = max_reply_bytes
        self._finish = finish
        self._path = PASSED_PATHS.get(dialect.name, PASSED_PATHS[OpenAIChat.name]).encode()
        self._lines = "".join(f"{name}: {dialect.headers[name]}\r\n" for name in dialect.headers if name not in KEYS).encode()
        self._known = KnownServer(dialect) if isinstance(dialect, OpenAIChat) else None
        self._logprobs = AskedLogProbs(max_reply_bytes)
        # A dialect that is almost this one may read its replies in another way.
        self._ordinary = getattr(type(dialect), "decode_reply", None) is OpenAIChat.decode_reply

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return a whole reply. Raises EndpointError."""
        address = await self._connect()
        known = self._known
        if known is not None and known.needed(request):
            told = partial(self._told, address, request)
            await known.ask(partial(told, address.get), partial(told, address.props))
        first = sent = self._logprobs.allowed(request, streamed=False)
        corrected = False
        while True:
            try:
                reply = await self._ask(address, sent)
            except EndpointError as error:
                plain = self._logprobs.blamed(first, sent, error, streamed=False)
                if plain is None and (corrected or not self._taught(sent, error)):
                    raise
                corrected, sent = corrected or plain is None, plain or sent
            else:
                self._logprobs.answered(first, sent, streamed=False)
                return reply

    def _taught(self, request: ChatRequest, error: EndpointError) -> bool:
        """Say whether the server refused a field of ours that the request can do without."""
        dialect = self._dialect
        return error.kind == "bad_request" and isinstance(dialect, OpenAIChat) and dialect.refused(request, error.reply_body)

    async def _told(self, address: HttpAddress, request: ChatRequest, question: bytes) -> Any:
        """Return the JSON of an answer; None if it is none."""
        answer = await self._pool.ask(
            address,
            question,
            timeout_s=min(PROBE_TIMEOUT_S, request.timeout_s),
            connect_timeout_s=request.connect_timeout_s,
            max_bytes=self._max_reply_bytes,
        )
        if answer.status != 200:
            raise fault_in(answer, self._name, address)
        return _json(answer.body)

    async def _ask(self, address: HttpAddress, request: ChatRequest) -> ChatReply:
        written = self._dialect.write_request(request)
        body = _written(written if self._finish is None else self._finish(written))
        answer: UpstreamReply | None = None
        try:
            answer = await self._pool.ask(
                address,
                b"%s%d%s\r\n\r\n%s" % (address.posting(self._path, self._lines), len(body), onward_lines(), body),
                timeout_s=request.timeout_s,
                connect_timeout_s=request.connect_timeout_s,
                max_bytes=self._max_reply_bytes,
            )
            answer = await plain(answer, self._max_reply_bytes)
            if answer.status != 200:
                raise fault_in(answer, self._name, address)
            came = await redacted(answer.body, address.answers)
            reply = ordinary_reply(came) if self._ordinary and request.logprobs is None else None
            return reply or decode_body(self._dialect.decode_reply, came)
        except EndpointError as error:
            error.request_body = _text(address.errors.data(body))
            error.reply_body = (
                _text(address.errors.data(answer.body[: RECORDED_FAULT_BYTES + MARGIN])[:RECORDED_FAULT_BYTES])
                if answer is not None
                else ""
            )
            raise

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Return the adapter's stream."""
        return self._adapter().stream(request)

    async def close(self) -> None:
        """Does nothing: pool and adapter belong to others."""


def _written(body: dict[str, Any]) -> bytes:
    """The JSON of a request, which `dump_json` writes too, and takes longer."""
    try:
        return _encode(body)
    except (TypeError, ValueError):  # lone surrogates
        return dump_json(body)


def _json(data: bytes) -> Any:
    try:
        return parse_json(data.decode("utf-8", "replace"))
    except ValueError:
        return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
