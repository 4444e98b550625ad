"""Writes to the audit trail in groups: one write and one sync for all events that wait."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from selfopt.errors import AuditError, StoreError
from selfopt.home import AuditEvent, ChainedFile
from selfopt.routing import render_log


class TrailSink:
    """Appends events to the audit trail, in a thread of its own.

    Events that come during a write form the next group. The readable log is updated when no event
    waits: it can be made from the trail at any time, so no request has to wait for it.
    """

    def __init__(self, trail: ChainedFile) -> None:
        self._trail = trail
        self._waiting: list[tuple[AuditEvent, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")

    def append(self, event: AuditEvent) -> asyncio.Future[None]:
        """Return a future that is done when the event is on disk, or has AuditError."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((event, done))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        return done

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                error: StoreError | None = None
                try:
                    await loop.run_in_executor(self._thread, self._trail.append_all, [event for event, _ in group])
                except StoreError as failed:
                    error = failed
                for _, done in group:
                    if done.cancelled():
                        continue
                    if error is None:
                        done.set_result(None)
                    else:
                        done.set_exception(AuditError(str(error)))
                if not self._waiting:
                    await loop.run_in_executor(self._thread, render_log, self._trail)
        finally:
            self._writer = None

    async def close(self) -> None:
        """Write the events that wait. May be called twice."""
        while self._writer is not None:
            await asyncio.wait([self._writer])
        self._thread.shutdown(wait=True)
