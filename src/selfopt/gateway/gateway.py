"""The gateway: its paths, and its life from listening to closing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

import msgspec

from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.messages_client import MESSAGES_CLIENT
from selfopt.dialects.openai_client import OPENAI_CLIENT
from selfopt.dialects.refusal import Refusal
from selfopt.dialects.responses_client import RESPONSES_CLIENT
from selfopt.dialects.routes import DIALECTS, FREE_ROUTES, Route
from selfopt.errors import AuditError
from selfopt.web import BadMessage, Denied, HttpRequest, MemoryTrimmer, Pool, Reply, WebServer

from .access import Access, require_json
from .chat import ChatService
from .drift import DriftWatch
from .earlier import PATH as RESPONSES
from .keys import Caller, FileKeys
from .metrics import CONTENT_TYPE
from .openapi import OPENAPI_JSON
from .page import PageDoor, StateOfGateway
from .page_process import PageProcess
from .pass_through import PassThroughService
from .refusal import JSON, not_audited
from .service import ChatParts
from .shared_figures import SharedFigures, merged
from .spent_elsewhere import SpentElsewhere
from .thresholds import ThresholdWatch
from .ticket import header_value
from .told_outcomes import FeedbackService
from .warmth import KeepWarm

PRUNE_S = 2.0
NAMES_S = 1.0
MOST_TOLD, MOST_SAID = 10, 300
FREE = frozenset({b"/v1/feedback", *(b"/v1/%s" % route.encode() for route in FREE_ROUTES)})
"""What is asked for by POST and costs nothing, so that it does not count as a request of its key."""
_encode = msgspec.json.Encoder().encode
Answer = Callable[[HttpRequest, Reply, Caller], Awaitable[None]]
CHAT_PATHS: Mapping[bytes, ClientDialect] = {
    b"/v1/chat/completions": OPENAI_CLIENT,
    b"/v1/responses": RESPONSES_CLIENT,
    b"/v1/messages": MESSAGES_CLIENT,
}
"""Where clients of each dialect ask. Every error on such a path has the form that the dialect's clients expect."""
CLIENTS: Mapping[str, ClientDialect] = {dialect.name: dialect for dialect in CHAT_PATHS.values()}
BESIDE: Mapping[bytes, tuple[ClientDialect, Route]] = {
    b"/v1/%s" % route.encode(): (CLIENTS[name], route) for route, name in DIALECTS.items()
}
"""Where clients ask for something beside chats."""


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What the composition root hands over.

    Attributes:
        models: returns the full names and aliases that can be asked now, for `/v1/models`.
        served_before: whether a process of that name has recorded requests in this home.
        spent: follows what keys spend elsewhere, in one process.
        worker: the number of this process among several; None for the only one.
        figures: those of all processes, where several serve.
        page: draws what is below `/ui`; None where that is off.
    """

    chat: ChatParts
    keys: FileKeys
    pool: Pool
    models: Callable[[], Awaitable[list[str]]]
    served_before: Callable[[str], bool] = lambda writer: False
    warmth: KeepWarm | None = None
    thresholds: ThresholdWatch | None = None
    drift: DriftWatch | None = None
    spent: SpentElsewhere | None = None
    worker: int | None = None
    figures: SharedFigures | None = None
    page: PageProcess | None = None


class Gateway:
    """Listens and answers. Make it within the loop that it is to run in."""

    def __init__(self, parts: GatewayParts) -> None:
        self.parts = parts
        self._options = parts.chat.options
        self._access = Access(self._options, parts.keys)
        told = () if parts.drift is None else (parts.drift.told,)
        feedback = FeedbackService(parts.chat.journal, parts.chat.clock, parts.served_before, *told)
        self._loop = asyncio.get_running_loop()
        self._pruning: asyncio.TimerHandle | None = None
        self._learning: asyncio.Future[list[str]] | None = None
        self._resident = MemoryTrimmer()
        self.server: WebServer | None = None
        self._page = PageDoor(parts.page, parts.pool, self._state) if parts.page is not None else None
        self._table: dict[bytes, dict[bytes, Answer]] = {
            **{path: {b"POST": ChatService(parts.chat, dialect).answer} for path, dialect in CHAT_PATHS.items()},
            **{path: {b"POST": PassThroughService(parts.chat, *beside).answer} for path, beside in BESIDE.items()},
            b"/v1/feedback": {b"POST": feedback.answer},
            b"/openapi.json": {b"GET": self._openapi},
            b"/v1/models": {b"GET": self._models},
            b"/health": {b"GET": self._health},
            b"/ready": {b"GET": self._ready},
            b"/metrics": {b"GET": self._metrics},
        }

    async def start(self, shared: socket.socket | None = None) -> None:
        """Listen. shared: a listening socket that several processes share.

        Raises SettingsError when the address cannot be listened on. Whatever it raises, all that it
        opened is closed.
        """
        try:
            await self._start(shared)
        except BaseException:
            await self.close()
            raise

    async def _start(self, shared: socket.socket | None) -> None:
        self.parts.chat.rules.start()
        self.parts.keys.start()
        if self.parts.thresholds is not None:
            await self.parts.thresholds.begin(self.parts.chat.rules.current.config)
        self.server = WebServer(self.admit, self._options.web, _unreadable)
        await self.server.listen(self._options.own.host, self._options.own.port, shared)
        self._prune()
        if self.parts.warmth is not None:
            self.parts.warmth.start(self.parts.chat.rules.current.config)
        if self.parts.drift is not None:
            self.parts.drift.follow(self.parts.chat.rules.current.config)
        if self.parts.spent is not None:
            self.parts.spent.start()

    def _prune(self) -> None:
        self.parts.pool.prune()
        self._resident.settle()
        if self.parts.chat.tracing.sink is not None and (self._pruning is None or self.parts.chat.metrics.models.strange):
            self._learning_names()  # what is sent to a collector names them too
        shared, worker = self.parts.figures, self.parts.worker
        if shared is not None and worker is not None and (shared.wanted or self._pruning is None):
            shared.write(worker, self._figures())
        self._pruning = self._loop.call_later(PRUNE_S, self._prune)

    @property
    def base_url(self) -> str:
        """The base URL for clients."""
        assert self.server is not None
        host = self._options.own.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server.port}/v1"

    @property
    def ready(self) -> bool:
        """Whether every model that the rules want warm has been dealt with once."""
        return self.parts.warmth is None or self.parts.warmth.ready

    async def close(self) -> None:
        """Finish the requests under way, then close everything.

        Cancelled, it cuts them, and still records them. May be called twice.
        """
        if self._pruning is not None:
            self._pruning.cancel()
        if self._learning is not None:
            self._learning.cancel()
        self.parts.chat.rules.close()
        self.parts.keys.close()
        # The last named is closed first, and each whatever becomes of those before it: what was served is recorded.
        async with AsyncExitStack() as closing:
            chat = self.parts.chat
            for recorder in (chat.tracing.sink, chat.access_log, chat.audit, chat.journal, self.parts.drift):
                if recorder is not None:
                    closing.push_async_callback(recorder.close)
            if self.parts.page is not None:
                closing.push_async_callback(self.parts.page.close)
            closing.callback(self.parts.pool.close)
            closing.callback(self.parts.chat.attempts.close_gates)
            if self.parts.chat.earlier is not None:
                closing.push_async_callback(self.parts.chat.earlier.close)
            if self.server is not None:
                closing.push_async_callback(self.server.close, self._options.own.drain_s)
            for keeper in (self.parts.thresholds, self.parts.warmth, self.parts.spent):
                if keeper is not None:
                    closing.push_async_callback(keeper.close)

    def admit(self, request: HttpRequest) -> Callable[[HttpRequest, Reply], Awaitable[None]]:
        """Return who answers a request, by its head. Raises Denied if nobody does."""
        if self._page is not None and self._page.has(request.path):
            self._page.admit(request)
            return self._page.answer
        preflight = self._access.origins.preflight(request)
        if preflight is not None:
            raise Denied(204, preflight, b"")
        try:
            caller = self._access.admit(request)
            methods, earlier = self._table.get(request.path), self.parts.chat.earlier
            if methods is None and request.path.startswith(b"/v1/models/"):
                methods = {b"GET": self._model}
            if methods is None and request.path.startswith(RESPONSES):
                methods = {b"GET": earlier.answer, b"DELETE": earlier.forget} if earlier is not None else _NONE_KEPT
            if methods is None:
                raise Refusal(404, "nothing is served at this path; see /openapi.json", code="not_found")
            answer = methods.get(b"GET" if request.method == b"HEAD" else request.method)
            if answer is None:
                allowed = b"Allow: " + b", ".join(methods)
                raise Refusal(405, "this path does not take that method", code="method_not_allowed", headers=(allowed,))
            require_json(request)
        except Refusal as refusal:
            self._note(request, refusal)
            lines = self._access.origins.lines(request)
            raise Denied(refusal.status, [JSON, *refusal.headers, *lines], _told(request, refusal)) from None
        return partial(self._answer, answer, caller)

    def _note(self, request: HttpRequest, refusal: Refusal) -> None:
        """Count and log a request that was turned away before it became a chat."""
        self.parts.chat.metrics.turned_away(refusal.status)
        if self.parts.chat.access_log is not None:
            self.parts.chat.access_log.turned_away(request, refusal.status, refusal.code)

    def _let_in(self, caller: Caller, request: HttpRequest) -> Sequence[bytes]:
        """Count a request of a key, and return the headers that say what is left. Raises Refusal where nothing is."""
        try:
            return self.parts.chat.allowances.enter(caller.key)
        except Refusal as refusal:
            self._note(request, refusal)
            raise

    async def _answer(self, answer: Answer, caller: Caller, request: HttpRequest, reply: Reply) -> None:
        reply.always = self._access.origins.lines(request)
        try:
            if request.method == b"POST" and request.path.startswith(b"/v1/") and request.path not in FREE:
                reply.always = (*reply.always, *self._let_in(caller, request))
            await answer(request, reply, caller)
        except (AuditError, Refusal) as error:
            refusal = error if isinstance(error, Refusal) else not_audited(error)
            reply.send(refusal.status, [JSON, *refusal.headers], _told(request, refusal))

    def _state(self) -> StateOfGateway:
        """What the page tells of this process."""
        chat = self.parts.chat
        alone = [gate.name for gate in chat.attempts.gates.values() if gate.state == "open"]
        alone += [model for gate in chat.attempts.gates.values() for model, one in gate.models.items() if one.state == "open"]
        fault = ""
        try:
            chat.journal.check()
        except AuditError as error:
            fault = str(error)
        return StateOfGateway(tuple(alone[:MOST_TOLD]), fault[:MOST_SAID], chat.rules.faults, self.parts.worker or 0)

    async def _health(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        reply.send(200, [JSON], b'{"status":"ok"}')

    async def _openapi(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        reply.send(200, [JSON], OPENAPI_JSON)

    async def _ready(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        try:
            self.parts.chat.journal.check()  # what cannot be recorded is not served
        except AuditError:  # everybody may read this: the reason, which may name files, is for the log
            raise Refusal(503, "records cannot be written", code="audit_failed", kind="server_error") from None
        if not self.ready:
            raise Refusal(
                503,
                "models that the rules want warm are being loaded",
                code="warming_up",
                kind="server_error",
                headers=(b"Retry-After: 1",),
            )
        await self._health(request, reply, caller)

    async def _metrics(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        if self.parts.chat.metrics.models.strange:
            await self._learn_names()
        text, shared, worker = self._figures(), self.parts.figures, self.parts.worker
        if shared is not None and worker is not None:
            shared.ask()
            text = merged([text, *shared.others(worker)])
        reply.send(200, [CONTENT_TYPE], text)

    def _figures(self) -> bytes:
        """Return what this process counts."""
        chat = self.parts.chat
        assert self.server is not None
        gauges = {
            "selfopt_audit_lag_seconds": ("Age of the oldest record of a request that is not durable yet.", chat.journal.lag_s),
            "selfopt_rules_version": ("Version of the rules in force.", chat.rules.current.config.version),
            "selfopt_rules_faults": ("Changed rules that were refused since the start.", chat.rules.faults),
            "selfopt_connections": ("Open connections of clients.", len(self.server.connections)),
            "selfopt_held_bytes": ("Bodies under way and answers that clients do not take.", self.server.held.used),
        }
        config = chat.rules.current.config
        ruled = {chat.one_name(rule.model) for rule in config.rules}
        drift = () if self.parts.drift is None else self.parts.drift.lines(config)
        more = [*chat.costs.saved.lines(), *chat.allowances.lines(), *drift]
        more += [] if chat.tracing.sink is None else chat.tracing.sink.lines()
        worker = "" if self.parts.worker is None else str(self.parts.worker)
        return chat.metrics.text(chat.attempts.gates.values(), gauges, worker, ruled, more)

    async def _learn_names(self) -> None:
        """Ask the servers which models they have, for a second: a name that one has may be a label."""
        await asyncio.wait([self._learning_names()], timeout=NAMES_S)

    def _learning_names(self) -> asyncio.Future[list[str]]:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.ensure_future(self.parts.models())
            self._learning.add_done_callback(lambda done: done.cancelled() or done.exception())  # the figures do without
        return self._learning

    async def _models(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        names = [name for name in await self.parts.models() if self._shown(name, caller)]
        reply.send(200, [JSON], _encode({"object": "list", "data": [_model_object(name) for name in names]}))

    async def _model(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        name = unquote(request.path.removeprefix(b"/v1/models/").decode("latin-1"))
        if name not in await self.parts.models() or not self._shown(name, caller):
            raise Refusal(404, "no such model; see /v1/models", code="model_not_found", param="model")
        reply.send(200, [JSON], _encode(_model_object(name)))

    def _shown(self, name: str, caller: Caller) -> bool:
        return caller.may_ask(self.parts.chat.resolve(name), self.parts.chat.one_name)


def _told(request: HttpRequest, refusal: Refusal) -> bytes:
    return _spoken_at(request.path).fault(refusal)


def _spoken_at(path: bytes) -> ClientDialect:
    found = CHAT_PATHS.get(path) or (BESIDE[path][0] if path in BESIDE else None)
    return found or (MESSAGES_CLIENT if path.startswith(b"/v1/messages/") else OPENAI_CLIENT)


def _unreadable(path: bytes, bad: BadMessage) -> bytes:
    """The body of the error for a request that could not be read."""
    kind = "server_error" if bad.status >= 500 else "invalid_request_error"
    return _spoken_at(path).fault(Refusal(bad.status, bad.message.decode(), code=bad.code.decode(), kind=kind))


async def _none_kept(request: HttpRequest, reply: Reply, caller: Caller) -> None:
    raise Refusal(404, "the gateway keeps no answers; its setting keep_responses would", code="not_found", param="response_id")


_NONE_KEPT: dict[bytes, Answer] = {b"GET": _none_kept, b"DELETE": _none_kept}


def _model_object(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": header_value(name.partition("/")[0]).decode()}


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop of uvloop, or None if that is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
