"""The process that draws the page: started when somebody first asks for it, ended with the one that serves."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import secrets
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from selfopt.web import HttpAddress

log = logging.getLogger("selfopt.gateway")
PROGRAM = "selfopt.ui.behind"
"""The gateway does not import the page: it starts it."""
QUICK_S = 10.0
PAUSE_S = 5.0
END_S = 2.0
BACKLOG = 128
MARK_BYTES = 8


@dataclass(frozen=True, slots=True)
class PagePlace:
    """Where the drawing process listens. Made before workers are forked, so that all of them share one such process.

    Attributes:
        listening: on loopback, at a port that was free.
        secret: whoever sends it may ask.
        turn: the worker that has it locked starts the process. The process writes other bytes to it whenever sessions may have ended.
    """

    listening: socket.socket
    secret: bytes = field(repr=False)
    turn: IO[bytes]

    @classmethod
    def make(cls) -> PagePlace:
        """Listen on loopback."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        return cls(listening, secrets.token_hex(32).encode(), tempfile.TemporaryFile())

    @property
    def port(self) -> int:
        """The port."""
        return int(self.listening.getsockname()[1])

    def close(self) -> None:
        """Stop listening, in this process."""
        self.listening.close()
        self.turn.close()


class PageProcess:
    """Starts and ends the drawing process, within one loop."""

    def __init__(self, place: PagePlace | None, home: Path, hosts: tuple[str, ...], *, any_address: bool) -> None:
        """Begin without a process.

        Args:
            place: shared among workers; None to make one at the first request.
            home: whose page it is.
            hosts: names that a Host header may have besides loopback's.
            any_address: so may any IP address.
        """
        self._place = place
        self._config = {"home": str(home), "hosts": list(hosts), "any_address": any_address}
        self._address: HttpAddress | None = None
        self._started: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._mine = False
        self._failed_at = -PAUSE_S

    async def address(self) -> tuple[HttpAddress, bytes]:
        """Return where to ask and what to show there, and see to it that somebody answers. Raises OSError when nobody can."""
        place = self._place = self._place or PagePlace.make()
        if self._address is None:
            self._address = HttpAddress.of("page", f"http://127.0.0.1:{place.port}", None)
        if self._watching is None and self._my_turn(place):
            if asyncio.get_running_loop().time() - self._failed_at < PAUSE_S:
                raise ChildProcessError("the page ended right after it began")
            if self._starting is None or self._starting.done():
                self._starting = asyncio.get_running_loop().create_task(self._start(place))
            await asyncio.shield(self._starting)
        return self._address, place.secret

    def sessions_mark(self) -> bytes:
        """Return what changes whenever sessions may have ended, through whichever worker; empty before the drawing process began."""
        return os.pread(self._place.turn.fileno(), MARK_BYTES, 0) if self._place is not None else b""

    def _my_turn(self, place: PagePlace) -> bool:
        """Say whether this process is the one among workers that starts it. The lock ends with the worker that has it."""
        if not self._mine:
            try:
                fcntl.lockf(place.turn.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            self._mine = True
        return True

    async def _start(self, place: PagePlace) -> None:
        listening, ended = place.listening.fileno(), place.turn.fileno()
        self._started = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing in the working folder can stand in for a module of the page
            "-m",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=(listening, ended),
            start_new_session=True,
        )
        told = {**self._config, "listening": listening, "ended": ended, "secret": place.secret.decode(), "parent": os.getpid()}
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")  # a pipe takes so much at once
        self._watching = asyncio.get_running_loop().create_task(self._watch(place, process))

    async def _watch(self, place: PagePlace, process: asyncio.subprocess.Process) -> None:
        """Start it again when it ended, unless it ended at once: the others' readers wait at its socket."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        code = await process.wait()
        self._watching = None
        log.warning("the process of the page ended with %d", code)
        if loop.time() - began < QUICK_S:
            self._failed_at = loop.time()
            return
        try:
            await self._start(place)
        except OSError as error:
            log.warning("the process of the page could not be started again: %s", error.strerror or error)

    async def close(self) -> None:
        """End it. May be called twice."""
        for task in (self._starting, self._watching):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
        self._starting = self._watching = None
        process, self._started = self._started, None
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._place is not None:
            self._place.close()
