"""Writes the decision about every request to disk within 100 ms.

A record is chained when it is taken; records are written and synced in groups.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from selfopt import __version__
from selfopt.errors import AuditError
from selfopt.home import SEGMENT_SCHEMA_VERSION, Seal, chain_line, escape_control, escape_json, segment_name
from selfopt.records import utc_now

from .segment_file import SegmentFiles, drop_head, last_of, left_by_the_dead, make_read_only
from .sinks import TrailSink
from .ticket import JournalRecord

log = logging.getLogger("selfopt.gateway")
_encode = msgspec.json.Encoder().encode
SEAL_RETRY_S = 10.0
_CLOSE, _LEFT = "close", "its writer is gone"  # reasons that the trail states
_writing_now: set[tuple[Path, str]] = set()


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """Pauses in seconds.

    Attributes:
        commit_s: how long a record waits for others, so that a group shares one sync.
        segment_bytes: size after which the next file begins.
        seal_s: how often the audit trail is told how far the open file has come.
        retry_s: pause after a failed write.
    """

    commit_s: float = 0.025
    segment_bytes: int = 64_000_000
    seal_s: float = 3600.0
    retry_s: float = 0.5


@dataclass(slots=True)
class _Run:
    """Lines of one file that are written together.

    Attributes:
        number: of the file.
        since: loop time at which the oldest line was taken.
        n, head: line count and chain head of the file once these lines are in it.
    """

    number: int
    since: float
    lines: list[bytes] = field(default_factory=list)
    n: int = 0
    head: str = ""


class SegmentJournal:
    """A `RequestJournal` on files. Make it within the loop that it is to run in.

    A line's bytes are fixed when the record is taken, so a failed write is repeated with the same
    bytes. At the start, the files of writers that are gone are sealed.

    Attributes:
        fault: why nothing can be written now; empty while it can.
        first: the name of the first file that it writes.
    """

    def __init__(
        self,
        folder: Path,
        audit: TrailSink,
        writer: str,
        *,
        options: JournalOptions | None = None,
        clock: Callable[[], str] = utc_now,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Go on where this writer stopped.

        Args:
            folder: holds the files.
            audit: is told how far each file has come.
            writer: name of this process. A second journal of the process in the same folder
                takes a random name instead.
            options: pauses and sizes.
            clock: the time that a file's first line states.
            loop: replaces the running loop, whose time counts.

        Raises:
            AuditError: the last file of this writer is damaged.
        """
        self._folder = folder
        self._audit = audit
        self._writer = writer = writer if (folder, writer) not in _writing_now else os.urandom(5).hex()
        _writing_now.add((folder, writer))
        self._options = options or JournalOptions()
        self._clock = clock
        self._loop = loop or asyncio.get_running_loop()
        self._files = SegmentFiles(folder, writer)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="requests")
        self._waiting: list[_Run] = []
        self._held: list[_Run] = []
        self._n, self._bytes = 0, self._options.segment_bytes
        self._number, self._head = last_of(folder, writer)
        self.first = segment_name(writer, self._number + 1)
        self._ended: list[tuple[int, Seal]] = []
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._sealed_at = -self._options.seal_s
        self._seal_again_at = 0.0
        self._unsealed: list[tuple[Seal, str]] = []
        self._sealing: asyncio.Task[None] | None = self._loop.create_task(self._seal_leftovers())
        self.fault = ""

    def add(self, record: JournalRecord) -> None:
        """Take a record, and write it to disk within 100 ms. Never waits."""
        if self._bytes >= self._options.segment_bytes:
            self._begin_segment()
        self._take(encode_record(record))
        self._commit_in(self._options.commit_s)

    def check(self) -> None:
        """Raise AuditError while records cannot be written: an answer might leave no trace."""
        if self.fault:
            raise AuditError(self.fault)

    @property
    def lag_s(self) -> float:
        """Age of the oldest record that is not on disk yet."""
        oldest = self._held or self._waiting
        return self._loop.time() - oldest[0].since if oldest else 0.0

    async def close(self) -> None:
        """Write what is left and seal the last file. May be called twice."""
        self._closing = True  # what comes during a write is written here, and not by a timer at the same time
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._held:
            await self._write()
        while self._waiting:
            await self._write()
        if self._held:
            log.error("%d records of requests could not be written: %s", sum(len(run.lines) for run in self._held), self.fault)
        elif self._n:
            self._unsealed.append((self._seal_of(self._number, self._n, self._head, final=True), _CLOSE))
            self._n, self._bytes = 0, self._options.segment_bytes
        if self._sealing is not None:
            await asyncio.wait([self._sealing])
        await self._seal()
        self._thread.shutdown(wait=True)
        self._files.close()
        _writing_now.discard((self._folder, self._writer))

    # taking

    def _begin_segment(self) -> None:
        if self._n:
            self._ended.append((self._number, self._seal_of(self._number, self._n, self._head, final=True)))
        self._number, self._n, self._bytes = self._number + 1, 0, 0
        self._take(
            _encode(
                {
                    "kind": "segment",
                    "schema_version": SEGMENT_SCHEMA_VERSION,
                    "writer": self._writer,
                    "number": self._number,
                    "head_kept": True,
                    "at": self._clock(),
                    "selfopt": __version__,
                }
            )
        )

    def _take(self, body: bytes) -> None:
        line, self._head = chain_line(body, self._head)
        if not self._waiting or self._waiting[-1].number != self._number:
            self._waiting.append(_Run(self._number, self._loop.time()))
        run = self._waiting[-1]
        self._n, self._bytes = self._n + 1, self._bytes + len(line)
        run.lines.append(line)
        run.n, run.head = self._n, self._head

    # writing

    def _commit_in(self, pause_s: float) -> None:
        if self._timer is None and self._writing is None and not self._closing:
            self._timer = self._loop.call_later(pause_s, self._commit)

    def _commit(self) -> None:
        self._timer = None
        self._writing = self._loop.create_task(self._write_and_go_on())

    async def _write_and_go_on(self) -> None:
        try:
            await self._write()
        finally:
            self._writing = None
        if self._held or self._waiting:
            # Records that came during the write have waited that long already.
            pause_s = self._options.retry_s if self.fault else max(0.0, self._options.commit_s - self.lag_s)
            self._commit_in(pause_s)
        if self._unsealed and self._sealing is None and self._loop.time() >= self._seal_again_at:
            self._sealing = self._loop.create_task(self._seal())

    async def _write(self) -> None:
        self._held += self._waiting
        self._waiting = []
        n_done, fault = await self._loop.run_in_executor(self._thread, self._put, self._held)
        done, self._held = self._held[:n_done], self._held[n_done:]
        if fault and not self.fault:
            log.error("no request is served until its record can be written: %s", escape_control(fault, 1000))
        elif self.fault and not fault:
            log.warning("records of requests can be written again")
        self.fault = fault
        self._note_seals(done)

    def _put(self, runs: list[_Run]) -> tuple[int, str]:
        """Return how many runs were written, and why the next one was not."""
        for place, run in enumerate(runs):
            try:
                self._files.write(run.number, b"".join(run.lines), run.n, run.head)
            except AuditError as error:
                return place, str(error)
        return len(runs), ""

    # sealing

    def _note_seals(self, done: list[_Run]) -> None:
        undone = {run.number for run in (*self._held, *self._waiting)}
        while self._ended and self._ended[0][0] not in undone:
            self._unsealed.append((self._ended.pop(0)[1], "rotation"))
        if done and done[-1].number == self._number and self._loop.time() - self._sealed_at >= self._options.seal_s:
            self._sealed_at = self._loop.time()
            run = done[-1]
            self._unsealed.append((self._seal_of(run.number, run.n, run.head, final=False), "until now"))

    def _seal_of(self, number: int, n: int, head: str, *, final: bool) -> Seal:
        return Seal(segment_name(self._writer, number), n, head, final, 0 if final else None)

    async def _seal(self) -> None:
        """Tell the audit trail about new seals. What fails is repeated after a later write."""
        try:
            while self._unsealed:
                seal, why = self._unsealed[0]
                await self._audit.append(seal.event(why))
                del self._unsealed[0]
                if seal.final:
                    await asyncio.to_thread(make_read_only, self._folder / seal.segment)
                if seal.final and why in (_CLOSE, _LEFT):
                    await asyncio.to_thread(drop_head, self._folder, seal)
        except AuditError as error:
            log.warning(
                "the audit trail does not know of %s yet: %s", self._unsealed[0][0].segment, escape_control(str(error), 500)
            )
            self._seal_again_at = self._loop.time() + SEAL_RETRY_S
        finally:
            self._sealing = None

    async def _seal_leftovers(self) -> None:
        for path, seal, fault in await asyncio.to_thread(list, left_by_the_dead(self._folder, self._writer)):
            if fault:
                log.error("%s is damaged (%s); see `selfopt audit verify`", path, fault)
            elif seal.n or seal.torn_bytes:
                self._unsealed.append((seal, _LEFT))
        await self._seal()


def encode_record(record: msgspec.Struct) -> bytes:
    """Return a record as JSON, with invalid Unicode escaped."""
    try:
        line = _encode(record)
        return line if line.isascii() else escape_json(line.decode()).encode()
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(msgspec.to_builtins(record)).encode()
