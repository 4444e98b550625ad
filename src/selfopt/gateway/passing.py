"""Passes a request on unchanged to a server that speaks its dialect, and the answer back as it comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import msgspec

from selfopt.dialects.causes import cause_of
from selfopt.dialects.clients import Counted
from selfopt.dialects.faults import status_fault
from selfopt.dialects.openai_edit import UNREADABLE
from selfopt.dialects.passed_chat import counted, readable
from selfopt.dialects.refusal import Refusal
from selfopt.errors import EndpointError
from selfopt.home import escape_control
from selfopt.records.trace import onward_lines
from selfopt.web import HttpAddress, Pool, UpstreamReply, UpstreamStream

from .bounded import redacted
from .coded import Inflating, inflater_for, plain
from .deltas import DeltaRedactors
from .joined import JoinedAnswer, can_be_joined
from .live_request import LiveRequest
from .offered import OfferedTools, offered_by
from .options import GatewayOptions
from .refusal import JSON, from_endpoint_error
from .relay import Relay
from .route_usage import note_route_usage
from .seams import Upstream, Upstreams
from .ticket import Ticket
from .watched_stream import WatchedStream
from .whole_answer import WholeAnswer, with_calls

SHOWN_TYPE_BYTES = 200
SHOWN_ERROR_BYTES = 2000
READ_ERROR_BYTES = 65_536
NOT_IMPLEMENTED = 501  # llama.cpp: it was started without what the route needs


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Ending(msgspec.Struct):
    choices: list[_Choice] = []
    stop_reason: str | None = None


class _Fault(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"")
    message: msgspec.Raw = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    message: str


_read_ending = msgspec.json.Decoder(_Ending).decode
_read_fault = msgspec.json.Decoder(_Fault).decode
_read_message = msgspec.json.Decoder(_Message | str).decode


class Passing:
    """Passes requests on over kept connections. Of a good answer, it reads the token counts only."""

    def __init__(self, options: GatewayOptions, upstreams: Upstreams, pool: Pool) -> None:
        self._options = options
        self._upstreams = upstreams
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    async def answer(self, exchange: LiveRequest) -> None:
        """Make one attempt. Raises EndpointError if it failed before anything was sent."""
        upstream = exchange.upstream
        address = upstream.address or await self._start(exchange, upstream)
        joined = upstream.streamed and not exchange.chat.stream and exchange.dialect.passed.watched
        joined = joined and can_be_joined(exchange.chat) and self._offered(exchange) is not None
        body = exchange.chat.forwarded(upstream.server_model, upstream.finish, streamed=joined)
        payload = b"%s%d%s\r\n\r\n%s" % (address.posting(exchange.path, exchange.lines), len(body), onward_lines(), body)
        if exchange.chat.stream:
            await self._streamed(exchange, upstream, address, payload)
        else:
            await self._whole(exchange, upstream, address, payload, joined=joined)

    def _offered(self, exchange: LiveRequest) -> OfferedTools | None:
        return offered_by(exchange, self._options) if exchange.dialect.passed.watched else None

    async def _start(self, exchange: LiveRequest, upstream: Upstream) -> HttpAddress:
        try:
            async with asyncio.timeout(exchange.timeout_s):
                address = await self._upstreams.connect(upstream)
        except TimeoutError:
            raise EndpointError(f"{upstream.model} had not started after {exchange.timeout_s:g} s", kind="timeout") from None
        assert address is not None
        return address

    async def _joined(self, exchange: LiveRequest, upstream: Upstream, address: HttpAddress, payload: bytes) -> UpstreamReply:
        """Return a whole answer that is asked for as a stream, and ended if it repeats itself."""
        answer, stream = await self._pool.open(
            address,
            payload,
            timeout_s=exchange.timeout_s,
            connect_timeout_s=self._options.limits.connect_timeout_s,
            max_bytes=upstream.max_stream_bytes,
        )
        try:
            if answer.status != 200:
                return replace(answer, body=await stream.drain(READ_ERROR_BYTES))
            joined = JoinedAnswer()

            def take(data: bytes) -> None:
                joined.take(data)
                if joined.cut:
                    stream.cut()

            stream.pipe(take)
            await stream.wait()
            exchange.ticket.cut = "repeats" if joined.cut else None
            return replace(answer, headers={b"content-type": b"application/json"}, body=joined.whole())
        finally:
            self._pool.done(address, stream)

    async def _whole(
        self, exchange: LiveRequest, upstream: Upstream, address: HttpAddress, payload: bytes, *, joined: bool
    ) -> None:
        if joined:
            answer = await self._joined(exchange, upstream, address, payload)
        else:
            answer = await self._pool.ask(
                address,
                payload,
                timeout_s=exchange.timeout_s,
                connect_timeout_s=self._options.limits.connect_timeout_s,
                max_bytes=upstream.max_reply_bytes,
            )
        answer = await plain(answer, upstream.max_reply_bytes)
        if answer.status != 200:
            await self._error(exchange, upstream, address, answer)
            return
        body = await redacted(answer.body, address.answers)
        offered = self._offered(exchange)
        if (
            offered is None
            or (found := await with_calls(body, offered, call_ids(exchange), once=exchange.ticket.cut is not None)) is None
        ):
            if exchange.route is None:
                _count(exchange.dialect.passed.counted(body), exchange.ticket)
            else:
                note_route_usage(body, exchange.ticket)
        else:
            # A call may spell a key in a way that the text does not.
            body = body if found.body is body else await redacted(found.body, address.answers)
            _note(found, offered, exchange.ticket)
            if exchange.ticket.unmet and exchange.helped:
                raise uncalled()
        if exchange.ticket.trace is not None and exchange.ticket.trace.own is not None:
            _note_finish(body, exchange.ticket)
        await exchange.settle()
        exchange.reply.send(200, _lines(exchange, answer, address), body)

    async def _streamed(self, exchange: LiveRequest, upstream: Upstream, address: HttpAddress, payload: bytes) -> None:
        answer, stream = await self._pool.open(
            address,
            payload,
            timeout_s=exchange.timeout_s,
            connect_timeout_s=self._options.limits.connect_timeout_s,
            max_bytes=upstream.max_stream_bytes,
        )
        relay: Relay | None = None
        try:
            if answer.status != 200:
                body = await stream.drain(SHOWN_ERROR_BYTES * 4)
                told = UpstreamReply(answer.status, answer.headers, body)
                await self._error(exchange, upstream, address, await plain(told, READ_ERROR_BYTES))
                return
            inflater = inflater_for(answer)
            await exchange.settle()
            events = answer.headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
            offered = self._offered(exchange)
            deltas = DeltaRedactors(address.secrets if events or offered is not None else ())
            watch = WatchedStream(offered, call_ids(exchange), self._loop.time) if offered is not None else None
            relay = Relay(exchange, _lines(exchange, answer, address), stream, deltas, address.answers, watch)
            inflating = Inflating(inflater, relay.take, upstream.max_stream_bytes) if inflater is not None else None
            try:
                stream.pipe(relay.take if inflating is None else inflating.take)
                await _to_its_end(stream, relay)
                if inflating is not None and (watch is None or watch.cut is None):
                    inflating.end()
            except EndpointError as error:
                if not exchange.reply.status:
                    raise
                relay.break_off()
                raise from_endpoint_error(error, f"endpoint {upstream.name}") from None
            _count(await relay.end(), exchange.ticket)
        finally:
            if relay is not None:
                relay.close()
            self._pool.done(address, stream)

    async def _error(self, exchange: LiveRequest, upstream: Upstream, address: HttpAddress, answer: UpstreamReply) -> None:
        """Handle an error status.

        Tells the client what it did wrong itself, and raises EndpointError for everything else.
        """
        status = answer.status
        fault = fault_in(answer, upstream.name, address)
        if exchange.route is not None and status == NOT_IMPLEMENTED:
            exchange.ticket.outcome = "rejected"
            raise Refusal(404, str(fault), code="route_not_served", param="model")
        own = fault.kind in ("bad_request", "not_found")
        told = exchange.dialect.passed.error(answer.body[:READ_ERROR_BYTES]) if own else None
        if told is None or exchange.answered:
            raise fault
        await exchange.settle()
        exchange.reply.send(status, [JSON, *exchange.ticket.headers()], address.told(told))
        exchange.ticket.reason = f"upstream {status}"


async def _to_its_end(stream: UpstreamStream, relay: Relay) -> None:
    """Wait for the end of a stream. A client that leaves with the last event got everything, and nothing was cancelled."""
    try:
        await stream.wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not relay.said_all or task is None:
            raise
        task.uncancel()


def _lines(exchange: LiveRequest, answer: UpstreamReply, address: HttpAddress) -> list[bytes]:
    lines = exchange.ticket.headers()
    kind = answer.headers.get(b"content-type")
    if kind is not None:
        lines.append(b"content-type: %s" % address.told(kind[:SHOWN_TYPE_BYTES]))
    return lines


def unfit(why: str) -> EndpointError:
    """Return the error for a reply that is no fault of the server, and that another model may do better."""
    return EndpointError(why, kind="protocol", final=True).blame("content")


def uncalled() -> EndpointError:
    """Return the error for a reply without the call that was required."""
    return unfit("a tool call was required, and the model made none")


def call_ids(exchange: LiveRequest) -> str:
    """The beginning of the ids of calls that have none."""
    return f"call_{exchange.ticket.id.removeprefix('req-')}"


def _note(found: WholeAnswer, offered: OfferedTools, ticket: Ticket) -> None:
    """Note what an answer held."""
    if found.usage is not None:
        _count(counted(found.usage), ticket)
    ticket.read_calls, ticket.mended_calls = found.read, found.mended
    ticket.unmet = "tool_choice" if offered.required and not found.called else None


def _note_finish(body: bytes, ticket: Ticket) -> None:
    """Note why the model ended its answer. Only spans tell it."""
    with suppress(*UNREADABLE):
        ending = _read_ending(body)
        ticket.finish = ending.choices[0].finish_reason if ending.choices else ending.stop_reason


def _count(counted: Counted | None, ticket: Ticket) -> None:
    if counted is not None:
        ticket.input_tokens, ticket.output_tokens = counted.asked, counted.said
        ticket.bill.told(counted.asked, counted.said, counted.cached)


def fault_in(answer: UpstreamReply, name: str, address: HttpAddress) -> EndpointError:
    """Return the error that an answer with another status than 200 stands for."""
    status = answer.status
    message = error_message(answer.body, address)
    kind = status_fault(status, message)
    if kind == "auth":
        message = "the gateway's key is not accepted there; check the endpoint's api_key or api_key_env"
    return EndpointError(
        f"endpoint {name} answered {status}: {message or 'no text'}",
        kind=kind,
        status=status,
        retry_after_s=retry_after(answer.headers.get(b"retry-after")),
        final=300 <= status < 400,
    ).because(cause_of(status, None, message, ""), message)


def error_message(body: bytes, address: HttpAddress) -> str:
    """Return what the server says went wrong, on one line, without its key and address."""
    text = ""
    body = readable(address.told(body[:READ_ERROR_BYTES]))
    try:
        fault = _read_fault(body)
        said = _read_message(fault.error if len(fault.error) else fault.message)
        text = said if isinstance(said, str) else said.message
    except UNREADABLE:
        pass
    if not text:
        text = body[:SHOWN_ERROR_BYTES].decode("utf-8", "replace")
    return escape_control(address.told(text.encode("utf-8", "replace")).decode("utf-8", "replace").strip(), 500)


def retry_after(value: bytes | None) -> float | None:
    """Seconds of a Retry-After header; None when it says none."""
    if value is not None and value.isdigit() and len(value) < 7:
        return float(value)
    return None
