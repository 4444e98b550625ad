"""The versions of the rules in a database: made by one node, handed out to all of them.

Each version is a link of one chain: its seal covers the version before, its number, its rules, who
made it and when. A node takes only versions that follow the one that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from selfopt.errors import AuditError
from selfopt.records import utc_now

from .postgres_schema import checked
from .postgres_session import FAMILY, RULES, DatabaseSession, Patience

FIRST_SEAL = "0" * 64
CHANNEL = "selfopt_rules"
_NEWER = "SELECT version, before, seal, node, at, body FROM selfopt.rule_versions WHERE version > %s ORDER BY version"
_ONE = "SELECT before, seal, node, at, body FROM selfopt.rule_versions WHERE version = %s"
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class HandedRules:
    """A version of the rules that a database hands out. Version 0: there is none yet.

    Attributes:
        body: the rules, as JSON.
        node: who made it.
    """

    version: int = 0
    seal: str = FIRST_SEAL
    node: str = ""
    at: str = ""
    body: str = "[]"


def seal_of(before: str, version: int, node: str, at: str, body: str) -> str:
    """Returns the seal of the version that follows the one with the seal `before`."""
    text = "\n".join((before, str(version), node, at, body))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class PostgresRules:
    """Reads and adds versions, in a session of its own.

    Attributes:
        passed_over: the versions without their seal that `follow` found last.

    Args:
        patience_s: how long a database that is away is waited for; 0 to ask once.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0, purpose: str = "rules") -> None:
        self.ledger_id = ""
        self.passed_over: tuple[int, ...] = ()
        self._last = 0
        self._session = DatabaseSession(url, purpose, Patience(patience_s), self._begin)
        self.place = self._session.place

    def _begin(self, connection: Any) -> None:
        self.ledger_id = checked(connection, self.place)
        connection.execute(f"LISTEN {CHANNEL}")

    def identity(self) -> str:
        """Returns the id of the database's ledger. StoreError when the database cannot be used."""
        return self._session.run(lambda connection: self.ledger_id)

    def follow(self, known: HandedRules) -> HandedRules:
        """Returns the newest version that follows the known one; the known one if none does.

        Versions without their seal are passed over: nobody takes them, and later ones do not build on them.

        Raises:
            AuditError: the database does not hold the known version.
            StoreError: the database cannot be used.
        """
        return self._session.run(lambda connection: self._follow(connection, known))

    def _follow(self, connection: Any, known: HandedRules) -> HandedRules:
        rows = connection.execute(_NEWER, (known.version - 1,)).fetchall()
        if known.version:
            first = rows.pop(0) if rows else None
            if first is None or (first[0], first[2]) != (known.version, known.seal):
                raise AuditError(
                    f"{self.place} does not hold version {known.version} of the rules as it handed it out here; an older copy was "
                    "restored, or it was changed: restore it, or remove rules_handed.json from this home to begin anew"
                )
            known = HandedRules(known.version, known.seal, first[3], first[4], first[5])
        newest, passed_over = known, list[int]()
        for version, before, seal, node, at, body in rows:
            wanted = seal_of(newest.seal, version, node, at, body)
            if before == newest.seal and seal == wanted and len(body) <= _MOST_BYTES:
                newest = HandedRules(version, seal, node, at, body)
            else:
                passed_over.append(version)
        self.passed_over, self._last = tuple(passed_over), rows[-1][0] if rows else known.version
        return newest

    def body_of(self, known: HandedRules) -> HandedRules:
        """Returns a known version with its rules. AuditError where the database does not hold it as it was."""

        def work(connection: Any) -> HandedRules:
            row = connection.execute(_ONE, (known.version,)).fetchone()
            found = HandedRules(known.version, *row[1:]) if row is not None else HandedRules()
            if found.seal != known.seal or seal_of(row[0], found.version, found.node, found.at, found.body) != found.seal:
                raise AuditError(
                    f"version {known.version} of the rules in {self.place} does not have its seal; nothing was changed"
                )
            return found

        return self._session.run(work) if known.version else known

    def add(self, known: HandedRules, node: str, body: str) -> HandedRules | None:
        """Add the version that follows the known one, and tell every node.

        Returns it; None when another node came first. Raises StoreError when the database cannot be used.
        """
        at = utc_now()
        version = max(self._last, known.version) + 1
        made = HandedRules(version, seal_of(known.seal, version, node, at, body), node, at, body)

        def work(connection: Any) -> bool:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (FAMILY, RULES))
                newest = self._follow(connection, known)
                if newest.version > known.version:
                    return newest.seal == made.seal  # else: added, and only the answer was lost
                if self._last >= made.version:
                    return False
                connection.execute(
                    "INSERT INTO selfopt.rule_versions (version, before, seal, node, at, body) VALUES (%s, %s, %s, %s, %s, %s)",
                    (made.version, known.seal, made.seal, node, at, body),
                )
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(made.version)))
            return True

        return made if self._session.run(work) else None

    def wait(self, timeout_s: float) -> bool:
        """Wait until the database tells of a new version, at most so long. Returns whether it told.

        Raises StoreError when the connection is lost.
        """

        def work(connection: Any) -> bool:
            return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))

        return self._session.run(work)

    def close(self) -> None:
        """Close the session. May be called twice."""
        self._session.close()
