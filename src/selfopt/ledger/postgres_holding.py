"""Who works on what in a database: locks of one session on models and servers, by name.

A lock is an advisory one, which ends with its session, and a row of `holders`, which says who took it.
A session that was lost takes its locks again before any other work. If somebody else has had one of
them meanwhile, it is refused: what it was writing may be finished elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from selfopt.errors import LockedError, StoreError
from selfopt.home import escape_control

_SINCE = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
_NEWEST = (
    f"SELECT DISTINCT ON (name) name, n, host, pid, purpose, {_SINCE} FROM selfopt.holders WHERE name = ANY (%s)"
    " ORDER BY name, n DESC"
)
_ADD = (
    "INSERT INTO selfopt.holders (name, host, pid, purpose) SELECT name, %s, %s, %s FROM unnest(%s::text[]) AS q (name)"
    " RETURNING name, n"
)
# A lock with one key of 64 bits has objsubid 1; its halves are two columns.
_TAKEN = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_RECENT = f"SELECT DISTINCT ON (name) name, host, pid, purpose, {_SINCE} FROM selfopt.holders ORDER BY name, n DESC"
_MOST_PURPOSE = 60


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on something.

    Attributes:
        name: what it works on, such as `model ollama/qwen2.5:3b` or `server gpu-1:8000`.
        purpose: its command.
        at: since when, RFC 3339.
    """

    name: str
    host: str
    pid: int
    purpose: str
    at: str

    def __str__(self) -> str:
        return f"{escape_control(self.name, 120)} is held by {self.who}"

    @property
    def who(self) -> str:
        """Its process, in words."""
        return f'process {self.pid} on {escape_control(self.host, 60)} ("{escape_control(self.purpose, 60)}", since {self.at})'


def key_of(name: str) -> int:
    """Returns the number of a lock."""
    return int.from_bytes(sha256(f"selfopt {name}".encode("utf-8", "surrogatepass")).digest()[:8], signed=True)


def holders_of(connection: Any) -> tuple[Holder, ...]:
    """Returns who holds what at this moment, by name."""
    taken = {int(key) & (2**64 - 1) for (key,) in connection.execute(_TAKEN)}
    if not taken:
        return ()
    return tuple(Holder(*row) for row in connection.execute(_RECENT) if key_of(row[0]) & (2**64 - 1) in taken)


class Holding:
    """What one session holds.

    Args:
        place: the database, for people.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._held: dict[str, int] = {}

    def take(self, connection: Any, names: Sequence[str], purpose: str) -> None:
        """Take locks: all of them, or none. Raises LockedError, which names a holder."""
        taken: list[str] = []
        try:
            for name in dict.fromkeys(names):
                self._lock(connection, name)
                taken.append(name)
            host, pid = socket.gethostname()[:60], os.getpid()
            rows = connection.execute(_ADD, (host, pid, purpose[:_MOST_PURPOSE], taken)).fetchall()
        except LockedError:
            _unlock(connection, taken)
            raise
        self._held |= {name: int(n) for name, n in rows}

    def regain(self, connection: Any) -> None:
        """Take the locks of a session that was lost, in a new one.

        Raises:
            LockedError: another session holds one. It may be our own, which the server believes alive.
            StoreError: another session has held one meanwhile.
        """
        if not self._held:
            return
        for name in self._held:
            self._lock(connection, name)
        newest = {row[0]: row for row in connection.execute(_NEWEST, (list(self._held),))}
        for name, n in self._held.items():
            if newest[name][1] != n:
                raise StoreError(
                    f"the session with {self._place} was lost, and {escape_control(name, 120)} was taken meanwhile by "
                    f"{_holder(newest[name]).who}; nothing more is written: repeat the command to go on from what is stored"
                )

    def give_back(self, connection: Any, names: Sequence[str]) -> None:
        """Give locks back. Does nothing for those that are not held."""
        held = [name for name in names if self._held.pop(name, None) is not None]
        if connection is not None:
            _unlock(connection, held)

    @property
    def names(self) -> list[str]:
        """What is held."""
        return list(self._held)

    def _lock(self, connection: Any, name: str) -> None:
        if connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", (key_of(name),)).fetchone()[0]:
            return
        row = connection.execute(_NEWEST, ([name],)).fetchone()
        who = str(_holder(row)) if row is not None else f"{escape_control(name, 120)} is held by another session"
        raise LockedError(f"{who} under the ledger {self._place}; wait for it to end, or end it")


def _holder(row: Sequence[Any]) -> Holder:
    name, _, host, pid, purpose, at = row
    return Holder(name, host, pid, purpose, at)


def _unlock(connection: Any, names: Sequence[str]) -> None:
    from .postgres_session import driver

    with contextlib.suppress(driver().Error):
        for name in names:
            connection.execute("SELECT pg_advisory_unlock(%s::bigint)", (key_of(name),))
