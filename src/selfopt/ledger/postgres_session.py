"""One session with PostgreSQL: it is opened again when it is lost, with bounded patience.

The password is never part of the URL, so that no message, setting or process list can show it.
libpq reads it from PGPASSWORD, PGPASSFILE or ~/.pgpass.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

from selfopt.errors import CorruptError, LockedError, NewerSchemaError, SettingsError, StoreError
from selfopt.home import escape_control
from selfopt.home.extras import extra_needed

from .postgres_hosts import stays_here

T = TypeVar("T")
logger = logging.getLogger("selfopt.ledger")

FAMILY = 0x53464F50
"""The first half of our advisory locks ("SFOP"). They are locks of one database."""

APPENDING, RULES, MIGRATING = 1, 3, 4

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_TOLD_CHARS = 300
# What may be different at the next try: a lost or refused connection, a restart, a failover, a deadlock, a lock held too long.
_PASSING = ("08", "57P0", "40001", "40P01", "55P03", "25006", "25P03", "53300")


def driver() -> Any:
    """Returns psycopg. SettingsError, with what installs it, where it is missing."""
    try:
        import psycopg
    except ImportError:
        raise SettingsError(f"a ledger in PostgreSQL needs {extra_needed('postgres')}") from None
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # what it warns of, we say ourselves
    return psycopg


def place_of(url: str) -> str:
    """Returns the database in a form for people: without user, password and options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["the local socket"])[0]
    return escape_control(
        urlunsplit(("postgresql", host, parts.path, "", "")) if parts.netloc else f"{parts.path} at {host}", 200
    )


def _options(url: str, purpose: str) -> dict[str, Any]:
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "autocommit": True,
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "application_name": f"selfopt {purpose} {socket.gethostname()[:20]} {os.getpid()}"[:63],
    }
    if "sslmode" not in parse_qs(parts.query) and "PGSSLMODE" not in os.environ and not stays_here(url, os.environ):
        options["sslmode"] = "require"  # prompts and replies do not cross a network in the clear unasked
    return options


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a lost database is waited for. Times in seconds."""

    total_s: float = 300.0
    first_s: float = 0.0  # for the first connection


class DatabaseSession:
    """A connection that several threads share, one at a time.

    Args:
        url: without a password.
        purpose: what it is for. The server shows it beside the machine and the process.
        prepare: called with each new connection before its first use. What it raises counts like an
            error of the connection if that may pass, and ends the wait otherwise.
    """

    def __init__(
        self,
        url: str,
        purpose: str,
        patience: Patience,
        prepare: Callable[[Any], None] = lambda connection: None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.place = place_of(url)
        self._purpose = purpose
        self._patience = patience
        self._prepare = prepare
        self._settings = settings or {}
        self._driver = driver()
        self._lock = threading.RLock()
        self._connection: Any = None
        self._opened = False
        self._waiting = False
        self._hurry = threading.Event()

    @property
    def lock(self) -> threading.RLock:
        """Held while the connection is used."""
        return self._lock

    def run(self, work: Callable[[Any], T]) -> T:
        """Do work on the connection. It is repeated after a fault that may pass, so it must be
        idempotent.

        Raises StoreError when the database cannot be used, or does not return in time.
        """
        with self._lock:
            until: float | None = None
            wait_s = _FIRST_WAIT_S
            while True:
                kept = self._connection is not None
                try:
                    return work(self._ready())
                except (self._driver.Error, LockedError) as error:
                    lost = self._is_passing(error)
                    self._drop()
                    if not lost:
                        raise self.translated(error) from error
                    patience_s = self._patience.total_s if self._opened else self._patience.first_s
                    if kept and until is None:
                        until = time.monotonic() + patience_s
                        continue  # it may have been dead for long, and the database be there again
                    if until is None:
                        until = time.monotonic() + patience_s
                    if time.monotonic() + wait_s > until or self._hurry.is_set():
                        raise self._away(error, patience_s) from error
                    if not self._waiting:
                        logger.warning("%s is away (%s); waiting for it up to %g s", self.place, _line(error), patience_s)
                    self._waiting = True
                    self._hurry.wait(wait_s)
                    wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _ready(self) -> Any:
        if self._connection is None:
            connection = self._driver.connect(self.url, **_options(self.url, self._purpose))
            try:
                for name, value in self._settings.items():
                    connection.execute(f"SET {name} = {value}")
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._opened = connection, True
            if self._waiting:
                self._waiting = False
                logger.warning("%s is back", self.place)
        return self._connection

    def at_hand(self, work: Callable[[Any], None]) -> None:
        """Do work on the connection, or give it None where there is none. It waits for no database that is away."""
        with self._lock:
            work(self._connection)

    def hurry(self) -> None:
        """Stop waiting for a database that is away, now and from now on. Does nothing while it is there."""
        if self._waiting:
            self._hurry.set()

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._hurry.set()
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(self._driver.Error):
                connection.close()

    def _is_passing(self, error: Exception) -> bool:
        if isinstance(error, LockedError):
            return self._opened  # the server may not know yet that our earlier session has died
        state = getattr(error, "sqlstate", None)
        if state is None:
            # libpq tells no state for a connection that cannot be made, but the server's words.
            text = str(error)
            refused = ("authentication failed", "does not exist", "no password", "no pg_hba", "invalid", "SSL")
            return isinstance(error, self._driver.OperationalError) and not any(word in text for word in refused)
        return str(state).startswith(_PASSING)

    def _away(self, error: Exception, patience_s: float) -> StoreError:
        if isinstance(error, LockedError):
            return error
        if patience_s:
            return StoreError(
                f"{self.place} did not return within {patience_s:g} s ({_line(error)}); what was stored is kept: repeat the command "
                "once it is back"
            )
        return StoreError(f"{self.place} cannot be reached: {_line(error)}; check that it runs, and the setting ledger")

    def translated(self, error: Exception) -> StoreError:
        """Returns an error of the database as a StoreError that says how to fix it."""
        if isinstance(error, StoreError):
            return error
        text, state = _line(error), str(getattr(error, "sqlstate", None) or "")
        if state == "28P01" or "authentication failed" in text or "no password" in text:
            fix = "check the user, and the password in ~/.pgpass or PGPASSWORD"
        elif state == "3D000" or ('database "' in text and "does not exist" in text):
            fix = "create the database, or correct the setting ledger"
        elif state == "42501":
            fix = (
                "whoever makes the ledger must be allowed to make roles: ALTER ROLE ... CREATEROLE"
                if "create role" in text
                else "a loop needs the role selfopt_writer; a gateway, which reads no ledger, selfopt_gateway: selfopt ledger migrate --help"
            )
        elif state.startswith("53"):
            fix = "free some space, memory or connections there; nothing was half written"
        elif state.startswith("XX"):
            return CorruptError(f"{self.place} is damaged ({text}); it was left as it is, restore a copy")
        else:
            fix = "nothing was half written; see the server's log"
        return StoreError(f"{self.place} cannot be used: {text}; {fix}")


def _line(error: Exception) -> str:
    parts = [part.strip() for part in str(error).splitlines() if part.strip()] or [type(error).__name__]
    # libpq explains in further lines what the first one says, but lists each try in lines of its own.
    return escape_control(parts[-1 if parts[0].startswith("Multiple") else 0], _TOLD_CHARS)


def check_version(found: int | None, known: int, place: str) -> None:
    """Raises unless a database has the schema that this selfopt reads.

    Args:
        found: its version; None where there is no ledger.
    """
    if found is None:
        raise StoreError(f"{place} holds no ledger of selfopt; make one there with: selfopt ledger migrate")
    if found > known:
        raise NewerSchemaError(
            f"{place} has schema version {found}, this selfopt reads up to {known}; it was left as it is, update selfopt"
        )
    if found < known:
        raise StoreError(
            f"{place} has schema version {found}, this selfopt needs {known}; bring it up to date: selfopt ledger migrate"
        )
