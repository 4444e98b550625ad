"""Live requests, the rules in force and what gateways say of themselves, as fresh as a reader needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from selfopt.records import RoutingConfig
from selfopt.verbs.requests import RequestRecord, as_asked, recorded
from selfopt.verbs.routing import rules_in_force

from .index import MOST, RequestIndex, SeenRequest

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

    from .shared import Shared

LOOK_S = 0.5
RULES_S = 2.0
TOLD_S = 15.0
InThread = Callable[..., Awaitable[Any]]


class GatewayState(msgspec.Struct, frozen=True):
    """What a gateway's process says of itself with each request that it passes on.

    Attributes:
        open: endpoints and models that it leaves alone, because they failed.
        fault: why no request can be recorded; empty while all are.
        rules_faults: changed rules that it refused since its start.
        worker: its number among several.
    """

    open: tuple[str, ...] = ()
    fault: str = ""
    rules_faults: int = 0
    worker: int = 0


_STATE = msgspec.json.Decoder(GatewayState)


class LiveRequests:
    """Follows the requests of a home, when somebody looks.

    Attributes:
        index: the newest ones.
        loaded: whether those of before the start were read.
    """

    def __init__(self, app: App, in_thread: InThread, shared: Shared, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._in_thread = in_thread
        self._shared = shared
        self._recorded = recorded(app)
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._states: dict[int, tuple[float, GatewayState]] = {}
        self.clock = clock
        self.index = RequestIndex(app.settings.is_local, partial(as_asked, app))
        self.loaded = False

    def start(self) -> None:
        """Begin to read, so that the first reader waits less."""
        self._look()

    async def close(self) -> None:
        """Wait for the look under way."""
        if self._looking is not None:
            await asyncio.wait([self._looking])

    async def look(self) -> RequestIndex:
        """Return the index, at most half a second old. Raises AuditError when the folder cannot be read."""
        if self._looking is None or self._looking.done():
            if self.loaded and time.monotonic() - self._looked_at < LOOK_S:
                return self.index
            self._look()
        assert self._looking is not None
        await asyncio.shield(self._looking)
        return self.index

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        came = self._recorded.more() if self.loaded else self._recorded.first(MOST)
        await self._in_thread(self.index.add, came)
        self.loaded = True
        self._looked_at = time.monotonic()

    @property
    def unreadable(self) -> int:
        """Lines that are no records."""
        return self._recorded.faults

    @property
    def left_out(self) -> int:
        """Files of earlier requests that were not read."""
        return self._recorded.left_out

    async def record(self, seen: SeenRequest) -> RequestRecord | None:
        """Return the whole record of a request."""
        found = await self._in_thread(self._recorded.record, seen.place)
        return found if isinstance(found, RequestRecord) and found.id == seen.id else None

    async def rules(self) -> RoutingConfig:
        """Return the rules in force. Raises StoreError when they cannot be read."""

        async def make() -> RoutingConfig:
            found: RoutingConfig = await self._in_thread(rules_in_force, self._app)
            return found

        return await self._shared.get("rules in force", RULES_S, make)

    def told(self, state: bytes) -> None:
        """Take what a gateway says of itself. What cannot be read says nothing."""
        try:
            found = _STATE.decode(state)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        self._states[found.worker] = (self.clock(), found)

    def states(self) -> list[GatewayState]:
        """Return what gateways said within the last seconds."""
        now = self.clock()
        return [state for at, state in self._states.values() if now - at < TOLD_S]
