"""Passing a chat on to an OpenAI-compatible server as it is, and its answer back as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from selfopt.errors import AuditError, EndpointError

from .body import ChatBody
from .options import GatewayOptions
from .refusal import Refusal, from_endpoint_error
from .seams import Upstream, Upstreams
from .ticket import Attempt, Ticket
from .upstream import HttpAddress, Pool, UpstreamReply
from .web import Reply

__all__ = ["Passing"]

Headers = Callable[[Ticket], list[bytes]]
PASSED_ON = (b"content-type", b"content-encoding")


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode


class Passing:
    """Asks the server that serves a decision and answers the client with what it says."""

    def __init__(self, options: GatewayOptions, upstreams: Upstreams, pool: Pool) -> None:
        self._options = options
        self._upstreams = upstreams
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    async def serve(
        self, chat: ChatBody, reply: Reply, ticket: Ticket, headers: Headers, audited: asyncio.Future[None] | None
    ) -> None:
        """Answer the client. Refusal when no server did."""
        assert ticket.served is not None
        upstream = self._upstreams.find(ticket.served)
        address = upstream.address or await self._upstreams.connect(upstream)
        assert address is not None
        body = chat.forwarded(upstream.server_model)
        payload = b"%s%d\r\n\r\n%s" % (address.post, len(body), body)
        answer = await self._whole(upstream, address, payload, ticket)
        if audited is not None:
            try:
                await audited
            except AuditError as error:
                raise Refusal(503, str(error), code="audit_failed", kind="server_error") from None
        self._note_usage(answer, ticket)
        lines = headers(ticket)
        lines.extend(b"%s: %s" % (name, answer.headers[name]) for name in PASSED_ON if name in answer.headers)
        reply.send(answer.status, lines, answer.body)

    async def _whole(self, upstream: Upstream, address: HttpAddress, payload: bytes, ticket: Ticket) -> UpstreamReply:
        options, began = self._options, self._loop.time()
        try:
            answer = await self._pool.ask(
                address,
                payload,
                timeout_s=options.timeout_s,
                connect_timeout_s=options.connect_timeout_s,
                max_bytes=upstream.max_reply_bytes,
            )
        except EndpointError as error:
            ticket.attempts.append(Attempt(upstream.model, round((self._loop.time() - began) * 1000, 3), error.kind))
            raise from_endpoint_error(error, address.shown) from None
        ticket.attempts.append(Attempt(upstream.model, round((self._loop.time() - began) * 1000, 3)))
        return answer

    def _note_usage(self, answer: UpstreamReply, ticket: Ticket) -> None:
        try:
            usage = _read_answer(answer.body).usage
        except (msgspec.DecodeError, RecursionError):
            return
        if usage is not None:
            ticket.input_tokens, ticket.output_tokens = usage.prompt_tokens, usage.completion_tokens
