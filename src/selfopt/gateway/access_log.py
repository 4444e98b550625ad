"""Logs one line for each chat and each request that was turned away, without content or keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

import msgspec

from selfopt.home import escape_control
from selfopt.records import utc_now
from selfopt.web import HttpRequest

from .journal import encode_record
from .ticket import RequestRecord
from .tracing import told_trace

LONGEST_NAME = 200
LONGEST_REASON = 500
CLOSE_S = 2.0
"""So long a server that ends waits for whoever reads its lines."""
_HEAD = b'{"level":"info","logger":"selfopt.gateway.access","message":"request",'


class TurnedAway(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="turned_away"):
    """A request that was refused by its head.

    Attributes:
        path: without its query.
        code: of the error.
        trace_id, span_id: as its client said.
    """

    at: str
    method: str
    path: str
    status: int
    code: str
    trace_id: str | None = None
    span_id: str | None = None


class AccessLog:
    """Writes lines in groups, in a thread of its own, so that a slow reader holds up no request.

    Make it within the running loop.
    """

    def __init__(self, write: Callable[[str], None], *, as_json: bool, pause_s: float = 0.1, limit: int = 10_000) -> None:
        """Begin.

        Args:
            write: gets whole lines, in the thread.
            as_json: whether lines are JSON.
            pause_s: how long a line waits for others.
            limit: how many lines may wait; further ones are dropped and counted.
        """
        self._write = write
        self._as_json = as_json
        self._pause_s = pause_s
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._groups: SimpleQueue[tuple[asyncio.Future[None], list[RequestRecord | TurnedAway], int] | None] = SimpleQueue()
        # A daemon: a write that nobody reads lasts for ever, and must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._waiting: list[RequestRecord | TurnedAway] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def add(self, record: RequestRecord | TurnedAway) -> None:
        """Take a record. Never waits, never raises."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._waiting.append(record)
        if self._timer is None and self._writing is None:
            self._timer = self._loop.call_later(self._pause_s, self._begin)

    def turned_away(self, request: HttpRequest, status: int, code: str) -> None:
        """Take a request that was refused by its head."""
        trace = told_trace(request)
        ids = (None, None) if trace is None else (trace.trace_id, trace.span_id)
        self.add(TurnedAway(utc_now(), request.method.decode("latin-1"), request.path.decode("latin-1"), status, code, *ids))

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._waiting = self._waiting, []
        dropped, self._dropped = self._dropped, 0
        self._writing = self._loop.create_future()
        if self._thread.ident is None:
            self._thread.start()
        self._groups.put((self._writing, lines, dropped))

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            done, lines, dropped = group
            with suppress(Exception):  # a line that could not be written is lost
                self._put(lines, dropped)
            with suppress(RuntimeError):  # the loop may be gone
                self._loop.call_soon_threadsafe(self._written, done)

    def _written(self, done: asyncio.Future[None]) -> None:
        self._writing = None
        done.set_result(None)
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(self._pause_s, self._begin)

    def _put(self, records: list[RequestRecord | TurnedAway], dropped: int) -> None:
        text = "".join([self._line(record) for record in records])
        if dropped:
            text += (
                f"{dropped} lines of the access log were dropped: nobody read them in time\n"
                if not self._as_json
                else (
                    f'{{"level":"warning","logger":"selfopt.gateway.access","message":"lines were dropped","dropped":{dropped}}}\n'
                )
            )
        self._write(text)

    def _line(self, record: RequestRecord | TurnedAway) -> str:
        if self._as_json:
            return (_HEAD + encode_record(_bounded(record))[1:]).decode("utf-8", "replace") + "\n"
        if isinstance(record, TurnedAway):
            text = f"{record.at} {record.method} {record.path} turned away {record.status} {record.code}"
        else:
            text = _told(record)
        return escape_control(text, LONGEST_NAME * 4 + LONGEST_REASON) + "\n"

    async def close(self, patience_s: float = CLOSE_S) -> None:
        """Write the lines that wait. May be called twice.

        patience_s: what nobody has read until then is lost, in seconds.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self._waiting or self._writing is not None:
                    if self._writing is not None:
                        await asyncio.wait([self._writing])
                        continue
                    self._begin()
        if self._timer is not None:
            self._timer.cancel()
        self._groups.put(None)


def _bounded(record: RequestRecord | TurnedAway) -> RequestRecord | TurnedAway:
    """Shorten names and reasons, some of which a client chose."""
    if isinstance(record, TurnedAway):
        return msgspec.structs.replace(record, path=record.path[:LONGEST_NAME]) if len(record.path) > LONGEST_NAME else record
    if len(record.model) <= LONGEST_NAME and len(record.reason) <= LONGEST_REASON:
        return record
    return msgspec.structs.replace(record, model=record.model[:LONGEST_NAME], reason=record.reason[:LONGEST_REASON])


def _told(record: RequestRecord) -> str:
    served = f" by {record.served}" if record.served is not None and record.served != record.model else ""
    parts = (
        record.at,
        record.id,
        record.outcome,
        str(record.status),
        f"{record.model[:LONGEST_NAME] or '-'}{served}",
        record.phase if record.route is None else record.route,
        f"rule {record.rule}" if record.rule is not None else "",
        f"version {record.version}",
        f"variant {record.variant}" if record.variant is not None else "",
        f"{len(record.attempts)} attempts" if len(record.attempts) > 1 else "",
        f"{record.latency_ms:.1f} ms",
        f"({record.reason[:LONGEST_REASON]})" if record.reason else "",
    )
    return " ".join(part for part in parts if part)
