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
FIRST_S = 0.4
"""So long a first reader waits for everything; then the newest requests are shown while the others are read."""
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
        self._glimpsed: RequestIndex | None = None
        self._whole = RequestIndex(app.settings.is_local, partial(as_asked, app))
        self.loaded = False

    def start(self) -> None:
        """Begin to read, so that the first reader waits less."""
        self._look()

    async def close(self) -> None:
        """End the look under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    @property
    def index(self) -> RequestIndex:
        """What is known now: while much is still being read, the newest requests only."""
        return self._glimpsed if self._glimpsed is not None else self._whole

    async def look(self, *, whole: bool = False) -> RequestIndex:
        """Return the index, at most half a second old. Raises AuditError when the folder cannot be read.

        whole: wait until all is read, however much it is.
        """
        if self._looking is None or self._looking.done():
            if self.loaded and time.monotonic() - self._looked_at < LOOK_S:
                return self._whole
            self._look()
        assert self._looking is not None
        if self.loaded or whole:
            await asyncio.shield(self._looking)
        else:
            await asyncio.wait([self._looking], timeout=FIRST_S)
            if self._looking.done():
                self._looking.result()
        return self.index

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        if not self.loaded:
            glimpsed = RequestIndex(self._app.settings.is_local, partial(as_asked, self._app))
            glimpsed.add(await self._in_thread(self._recorded.glimpse))
            self._glimpsed = glimpsed if len(glimpsed) else None
        came = self._recorded.more() if self.loaded else self._recorded.first(MOST)
        await self._in_thread(self._whole.add, came)
        self._glimpsed, self.loaded = None, True
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
