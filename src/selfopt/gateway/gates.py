"""Limits the requests at an endpoint and in its queue, and stops them while it is down."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from selfopt.dialects.refusal import Refusal
from selfopt.errors import EndpointError, EndpointFault

from .options import GatewayOptions

log = logging.getLogger("selfopt.gateway")

Probe = Callable[[], Awaitable[bool]]
DOWN: frozenset[EndpointFault] = frozenset({"timeout", "connect", "server", "protocol"})
LONGEST_BREAK_S = 60.0


class EndpointGate:
    """The limit, queue and breaker of one endpoint. Requests enter in the order they came.

    Attributes:
        state: `closed` lets requests through, `open` does not. It is `half_open` while a probe,
            which never generates, asks whether the endpoint is back.
        active: requests at the endpoint.
        waiting: one future for each request in the queue.
    """

    def __init__(self, name: str, limit: int, options: GatewayOptions, probe: Probe) -> None:
        self.name = name
        self.limit = limit
        self.active = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.state: Literal["closed", "open", "half_open"] = "closed"
        self._options = options
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._faults = 0
        self._break_s = options.own.breaker_s
        self._until = 0.0
        self._probing: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise EndpointError while the endpoint is down."""
        if self.state != "closed":
            wait_s = max(1.0, self._until - self._loop.time())
            raise EndpointError(
                f"endpoint {self.name} is down; try again in {wait_s:.0f} s",
                kind="server",
                status=503,
                retry_after_s=wait_s,
                final=True,
            )

    async def enter(self) -> None:
        """Take a place, or wait for one. Whoever entered has to `leave`.

        Raises Refusal (429) when too many requests wait, or this one waited too long.
        """
        if self.active < self.limit and not self.waiting:
            self.active += 1
            return
        if len(self.waiting) >= self._options.own.queue:
            raise self._busy("too many requests wait for it")
        place: asyncio.Future[None] = self._loop.create_future()
        self.waiting.append(place)
        timer = self._loop.call_later(self._options.own.queue_timeout_s, _give_up, place)
        try:
            await place
        except TimeoutError:
            raise self._busy(f"no place within {self._options.own.queue_timeout_s:g} s") from None
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it got the place at that very moment
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """Give the place to the first request that waits."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.active -= 1

    def _busy(self, why: str) -> Refusal:
        message = f"endpoint {self.name} is busy: {why}"
        return Refusal(429, message, code="endpoint_busy", kind="rate_limit_error", headers=(b"Retry-After: 1",))

    def worked(self) -> None:
        """Note that an attempt got an answer."""
        self._faults = 0
        self._break_s = self._options.own.breaker_s

    def failed(self, kind: EndpointFault) -> None:
        """Note that an attempt failed. Enough failures in a row open the breaker."""
        if kind not in DOWN:
            return
        self._faults += 1
        if self._faults >= self._options.own.breaker_faults and self.state == "closed":
            self.state = "open"
            self._until = self._loop.time() + self._break_s
            log.warning(
                "endpoint %s failed %d times in a row (%s) and gets no request for %g s",
                self.name,
                self._faults,
                kind,
                self._break_s,
            )
            self._probing = self._loop.create_task(self._come_back())

    async def _come_back(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._until - self._loop.time()))
            self.state = "half_open"
            if await self._probe():
                break
            self._break_s = min(self._break_s * 2, LONGEST_BREAK_S)
            self._until = self._loop.time() + self._break_s
            self.state = "open"
        self.state = "closed"
        self._faults = 0
        log.warning("endpoint %s answers again", self.name)

    def close(self) -> None:
        """Stop probing. May be called twice."""
        if self._probing is not None:
            self._probing.cancel()


def _give_up(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(TimeoutError())
