"""Limits the requests at an endpoint and in its queue, and stops them while it is down."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from selfopt.dialects.refusal import Refusal
from selfopt.errors import EndpointError, EndpointFault
from selfopt.home import escape_control

from .breakers import DOWN, LONGEST_BREAK_S, BreakerState, ModelBreaker, down
from .options import GatewayOptions
from .shared_breaks import SharedBreak

log = logging.getLogger("selfopt.gateway")

Probe = Callable[[], Awaitable[bool]]
MAX_BREAKERS = 256
LONGEST_PROBE_S = 5.0


class EndpointGate:
    """The limit, queue and breakers of one endpoint. Requests enter in the order they came.

    A fault of the server counts for the endpoint, one of a model for the model. When a model's
    breaker opens, or several models fail and none answers, the probe says whether it is the server:
    a client can make models fail, but not the probe.

    Attributes:
        state: `closed` lets requests through, `open` does not. It is `half_open` while a probe,
            which never generates, asks whether the endpoint is back. While another worker leaves the
            endpoint alone, it is `open`.
        models: the breakers of the models that failed last, by full name.
        active: requests at the endpoint.
        waiting: one future for each request in the queue.
    """

    def __init__(self, name: str, limit: int, options: GatewayOptions, probe: Probe, shared: SharedBreak | None = None) -> None:
        """shared: what other workers say of the endpoint; None for the only one."""
        self.name = name
        self.limit = limit
        self.active = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._state: BreakerState = "closed"
        self._shared = shared
        self.models: dict[str, ModelBreaker] = {}
        self._options = options
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._faults = 0
        self._failing: set[str] = set()
        self._model_faults = 0
        self._break_s = options.own.breaker_s
        self._until = 0.0
        self._probing: asyncio.Task[None] | None = None

    @property
    def state(self) -> BreakerState:
        """See the class."""
        return "open" if self._state == "closed" and self._shared is not None and self._shared.left_s else self._state

    def check(self, model: str) -> None:
        """Raise EndpointError while the endpoint or the model is down. model: its full name."""
        if self._state != "closed":
            raise down(f"endpoint {self.name}", self._until - self._loop.time())
        if self._shared is not None and (left_s := self._shared.left_s):
            raise down(f"endpoint {self.name}", left_s)
        if self.models and (breaker := self.models.get(model)) is not None:
            breaker.check(model)

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

    def worked(self, model: str) -> None:
        """Note that an attempt got an answer."""
        self._faults = 0
        self._break_s = self._options.own.breaker_s
        if self._failing or self.models:
            self._failing.clear()
            self._model_faults = 0
            self.models.pop(model, None)

    def undecided(self, model: str) -> None:
        """Note that an attempt ended without showing whether model and server work."""
        if self.models and (breaker := self.models.get(model)) is not None:
            breaker.undecided()

    def failed(self, model: str, error: EndpointError) -> None:
        """Note that an attempt failed. Enough faults in a row open a breaker."""
        if error.kind not in DOWN or error.blames == "content" or error.cause in ("payment", "rate"):
            self.undecided(model)
        elif error.blames == "server":
            self.undecided(model)
            self._faults += 1
            if self._faults >= self._options.own.breaker_faults:
                self._open(error.kind)
        else:
            self._failed_model(model, error.kind)

    def _failed_model(self, model: str, kind: EndpointFault) -> None:
        own = self._options.own
        breaker = self.models.get(model)
        if breaker is None:
            if len(self.models) >= MAX_BREAKERS:
                self.models.pop(next(iter(self.models)))
            breaker = self.models[model] = ModelBreaker(own.breaker_faults, own.breaker_s, self._time)
        opened = breaker.failed()
        if opened:
            log.warning(
                "model %s failed %d times in a row (%s) and is left alone", escape_control(model, 200), breaker.faults, kind
            )
        if len(self._failing) < MAX_BREAKERS:
            self._failing.add(model)
        self._model_faults += 1
        several = self._model_faults >= own.breaker_faults and len(self._failing) > 1
        if (opened or several) and self._state == "closed" and (self._probing is None or self._probing.done()):
            self._probing = self._loop.create_task(self._look(kind))

    def _time(self) -> float:
        return self._loop.time()

    async def _look(self, kind: EndpointFault) -> None:
        """Ask whether the server of models that fail is there at all."""
        if await self._probe():
            self._failing.clear()
            self._model_faults = 0
            return
        self._begin_break(kind)
        await self._come_back()

    def _open(self, kind: EndpointFault) -> None:
        if self._state != "closed":
            return
        if self._probing is not None:
            self._probing.cancel()
        self._begin_break(kind)
        self._probing = self._loop.create_task(self._come_back())

    def _begin_break(self, kind: EndpointFault) -> None:
        self._state = "open"
        self._leave_alone()
        log.warning("endpoint %s keeps failing (%s) and gets no request for %g s", self.name, kind, self._break_s)

    def _leave_alone(self) -> None:
        self._until = self._loop.time() + self._break_s
        if self._shared is not None:
            self._shared.begin(self._break_s + LONGEST_PROBE_S)  # the others wait for what this worker's probe finds

    async def _come_back(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._until - self._loop.time()))
            self._state = "half_open"
            if await self._probe():
                break
            self._break_s = min(self._break_s * 2, LONGEST_BREAK_S)
            self._leave_alone()
            self._state = "open"
        self._state = "closed"
        if self._shared is not None:
            self._shared.end()
        self._faults = self._model_faults = 0
        self._failing.clear()
        self.models.clear()
        log.warning("endpoint %s answers again", self.name)

    def close(self) -> None:
        """Stop probing. May be called twice."""
        if self._probing is not None:
            self._probing.cancel()


def _give_up(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(TimeoutError())
