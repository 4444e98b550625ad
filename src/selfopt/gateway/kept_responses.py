"""Keeps answers of the Responses API for those who asked, in one small database that all workers share.

It holds prompts and answers, so it is off unless the settings say otherwise, readable by its owner
alone, and bounded in number, size and age.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from selfopt.errors import StoreError
from selfopt.home import escape_control
from selfopt.home.files import open_private

if TYPE_CHECKING:
    from sqlite3 import Connection

log = logging.getLogger("selfopt.gateway")
T = TypeVar("T")
BUSY_S = 5.0
DAY_S = 86_400.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, items BLOB NOT NULL, response BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON responses (at, size);
"""


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """An answer, and what it answers.

    Attributes:
        items: a JSON list of the items of the conversation before the answer, those of earlier answers among them.
        response: the answer as JSON.
    """

    items: bytes
    response: bytes


@dataclass(frozen=True, slots=True)
class KeptLimits:
    """How much is kept.

    Attributes:
        count: answers.
        size_bytes: their size with all that they answer.
        days: their age.
    """

    count: int
    size_bytes: int
    days: float


class KeptResponses:
    """The answers that are kept. Each can be read by the key that asked for it alone.

    Nothing blocks the loop: the database has a thread of its own.
    """

    def __init__(self, path: Path, limits: KeptLimits, clock: Callable[[], float] = time.time) -> None:
        """Nothing is opened before the first use."""
        self._path = path
        self._limits = limits
        self._clock = clock
        self._open: Connection | None = None
        self._thread = ThreadPoolExecutor(1, "kept-responses")

    def fits(self, kept: KeptResponse) -> bool:
        """Whether an answer is small enough to be kept."""
        return len(kept.items) + len(kept.response) <= self._limits.size_bytes

    async def keep(self, response_id: str, key: str | None, kept: KeptResponse) -> bool:
        """Keep an answer, and forget the oldest beyond the limits. Returns whether it is kept."""
        if not self.fits(kept):
            return False
        row = (response_id, key or "", self._clock(), len(kept.items) + len(kept.response), kept.items, kept.response)

        def add(database: Connection) -> bool:
            with database:
                database.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?)", row)
                self._forget_old(database)
            return True

        return await self._run(add, False)

    async def find(self, response_id: str, key: str | None) -> KeptResponse | None:
        """Return the answer; None if it is not there, too old, or another key's."""
        asked = (response_id, key or "", self._clock() - self._limits.days * DAY_S)

        def read(database: Connection) -> KeptResponse | None:
            found = database.execute(
                "SELECT items, response FROM responses WHERE id = ? AND key = ? AND at > ?", asked
            ).fetchone()
            return None if found is None else KeptResponse(*found)

        return await self._run(read, None)

    async def response(self, response_id: str, key: str | None) -> bytes | None:
        """Return the answer alone. See `find`."""
        asked = (response_id, key or "", self._clock() - self._limits.days * DAY_S)

        def read(database: Connection) -> bytes | None:
            found = database.execute("SELECT response FROM responses WHERE id = ? AND key = ? AND at > ?", asked).fetchone()
            return None if found is None else bytes(found[0])

        return await self._run(read, None)

    async def forget(self, response_id: str, key: str | None) -> bool:
        """Forget the answer. Returns whether it was there, and this key's."""

        def remove(database: Connection) -> bool:
            with database:
                return database.execute("DELETE FROM responses WHERE id = ? AND key = ?", (response_id, key or "")).rowcount > 0

        return await self._run(remove, False)

    async def close(self) -> None:
        """Close the database. May be called twice."""

        def close(database: Connection) -> None:
            self._open = None
            database.close()

        if self._open is not None:
            await self._run(close, None)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[Connection], T], failed: T) -> T:
        """Run it in the database's thread. Returns `failed`, and says so in the log, where the database cannot be used."""
        import sqlite3  # only for those who keep answers

        def run() -> T:
            try:
                return work(self._database())
            except (sqlite3.Error, OSError, StoreError) as error:
                log.error("%s cannot be used: %s", self._path, escape_control(str(error), 500))
                return failed

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _database(self) -> Connection:
        if self._open is None:
            import sqlite3

            os.close(open_private(self._path, os.O_RDWR | os.O_CREAT))
            database = sqlite3.connect(self._path, timeout=BUSY_S)
            database.execute("PRAGMA auto_vacuum = FULL")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA secure_delete = ON")
            database.executescript(_SCHEMA)
            self._open = database
        return self._open

    def _forget_old(self, database: Connection) -> None:
        limits = self._limits
        database.execute("DELETE FROM responses WHERE at <= ?", (self._clock() - limits.days * DAY_S,))
        count, size = database.execute("SELECT count(*), coalesce(sum(size), 0) FROM responses").fetchone()
        while count > limits.count or size > limits.size_bytes:
            oldest, own = database.execute("SELECT id, size FROM responses ORDER BY at LIMIT 1").fetchone()
            database.execute("DELETE FROM responses WHERE id = ?", (oldest,))
            count, size = count - 1, size - own
