"""Asks a model over the kept connections that passed-on chats use."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from selfopt.dialects.jsontext import dump_json
from selfopt.dialects.kinds import Dialect
from selfopt.dialects.parts import decode_body
from selfopt.errors import EndpointError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, Endpoint
from selfopt.web import HttpAddress, Pool, UpstreamReply

from .bounded import redacted
from .coded import plain
from .passing import fault_in

RECORDED_FAULT_BYTES = 64_000
MARGIN = 8_000  # a key may begin before the end of what is recorded


class PooledEndpoint:
    """An `Endpoint` that gets whole replies over kept connections, and streams from an adapter."""

    def __init__(
        self,
        name: str,
        pool: Pool,
        dialect: Dialect,
        connect: Callable[[], Awaitable[HttpAddress]],
        adapter: Callable[[], Endpoint],
        max_reply_bytes: int,
    ) -> None:
        """Begin.

        Args:
            name: the endpoint's.
            pool: keeps the connections.
            dialect: the one that the server speaks.
            connect: returns where the server is, after starting it if necessary.
            adapter: returns the endpoint that streams.
            max_reply_bytes: limit of a reply.
        """
        self._name = name
        self._pool = pool
        self._dialect = dialect
        self._connect = connect
        self._adapter = adapter
        self._max_reply_bytes = max_reply_bytes

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return a whole reply. Raises EndpointError."""
        began = time.perf_counter()
        address = await self._connect()
        body = dump_json(self._dialect.write_request(request))
        answer: UpstreamReply | None = None
        try:
            answer = await self._pool.ask(
                address,
                b"%s%d\r\n\r\n%s" % (address.post, len(body), body),
                timeout_s=request.timeout_s,
                connect_timeout_s=request.connect_timeout_s,
                max_bytes=self._max_reply_bytes,
            )
            answer = await plain(answer, self._max_reply_bytes)
            if answer.status != 200:
                raise fault_in(answer, self._name, address)
            came = await redacted(answer.body, address.answers)
            reply = decode_body(self._dialect.decode_reply, came)
        except EndpointError as error:
            error.request_body = _text(address.errors.data(body))
            error.reply_body = (
                _text(address.errors.data(answer.body[: RECORDED_FAULT_BYTES + MARGIN])[:RECORDED_FAULT_BYTES])
                if answer is not None
                else ""
            )
            raise
        return reply.model_copy(
            update={
                "request_body": _text(address.errors.data(body)),
                "reply_body": _text(came),
                "latency_ms": (time.perf_counter() - began) * 1000,
            }
        )

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Return the adapter's stream."""
        return self._adapter().stream(request)

    async def close(self) -> None:
        """Does nothing: pool and adapter belong to others."""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
