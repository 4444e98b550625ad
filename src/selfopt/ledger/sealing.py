"""Seals the ledger: tells the audit trail, in batches, the newest commit of each writer.

A commit's hash covers all earlier commits of its writer, so a later change to any of them is
detected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from selfopt.errors import AuditError, StoreError
from selfopt.home import AuditEvent, ChainedFile, escape_control

from .commits import CommitHead
from .schema import UPGRADE

logger = logging.getLogger("selfopt.ledger")

LEDGER_SEALED_EVENT = "ledger_sealed"
LEDGER_IMPORTED_EVENT = "ledger_imported"
Sealed = dict[str, dict[int, str]]


class Sealable(Protocol):
    """A ledger whose commits are sealed. ledger_id: tells it from others that one trail seals; empty for the home's own file."""

    @property
    def ledger_id(self) -> str: ...

    def unsealed(self) -> tuple[int, list[CommitHead]]: ...

    def note_sealed(self, upto: int) -> None: ...


_HEADS_TOGETHER = 500


class LedgerSeals:
    """Seals commits from time to time, and whenever it is asked to.

    Args:
        trail: the audit trail that gets the seals.
        commits, seconds: seal with the next commit after so many commits or so much time.
    """

    def __init__(
        self, trail: ChainedFile, *, commits: int = 200, seconds: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trail = trail
        self._commits = commits
        self._seconds = seconds
        self._clock = clock
        self._waiting = 0
        self._since = clock()

    def committed(self, ledger: Sealable) -> None:
        """Count a commit, and seal when it is time."""
        self._waiting += 1
        if self._waiting >= self._commits or self._clock() - self._since >= self._seconds:
            self.try_seal(ledger, "in between")

    def close(self, ledger: Sealable) -> None:
        """Seal before the ledger is closed. Writes nothing when nothing was committed."""
        if self._waiting:
            self.try_seal(ledger, "closed")

    def try_seal(self, ledger: Sealable, why: str) -> None:
        """Seal.

        Logs a warning when that fails, so that measuring goes on; the next seal covers it.
        """
        try:
            self.seal(ledger, why)
        except StoreError as error:
            self._waiting, self._since = 1, self._clock()
            logger.warning("what was measured is kept, but not sealed yet: %s", escape_control(str(error), 500))

    def seal(self, ledger: Sealable, why: str) -> None:
        """Tell the trail the newest commit of every writer with unsealed ones, dead writers
        included.

        Raises AuditError when the trail cannot be written, StoreError when the ledger cannot be
        read.
        """
        upto, heads = ledger.unsealed()
        if heads:
            parts = [heads[start : start + _HEADS_TOGETHER] for start in range(0, len(heads), _HEADS_TOGETHER)]
            self._trail.append_all([_event(part, why, ledger.ledger_id) for part in parts])
            with suppress(StoreError):  # then the next seal repeats this one
                ledger.note_sealed(upto)
        self._waiting, self._since = 0, self._clock()


def _event(heads: Sequence[CommitHead], why: str, ledger_id: str) -> AuditEvent:
    found = any(head.writer.startswith(UPGRADE) for head in heads)
    commits = f"{sum(head.n for head in heads)} commits of {len(heads)} writer{'' if len(heads) == 1 else 's'}"
    reason = f"{why}: {commits}{', sealed as found when the ledger was upgraded' if found else ''}"
    details: dict[str, Any] = {"heads": [[head.writer, head.n, head.hash] for head in heads]}
    if ledger_id:
        details["ledger"] = ledger_id
    return AuditEvent(LEDGER_SEALED_EVENT, {"reason": reason, "details": details})


def read_ledger_seals(trail: ChainedFile, ledger_id: str = "") -> Sealed:
    """Returns the sealed hashes by writer and number of commit.

    Raises AuditError when the trail is damaged.
    """
    sealed: Sealed = {}
    for record in trail.newest_first(f'"event":"{LEDGER_SEALED_EVENT}"'.encode()):
        if record.event != LEDGER_SEALED_EVENT or (record.details or {}).get("ledger", "") != ledger_id:
            continue
        try:
            for writer, n, digest in record.details["heads"]:
                sealed.setdefault(str(writer), {})[int(n)] = str(digest)
        except (KeyError, TypeError, ValueError):
            raise AuditError(f"a seal of the ledger in {trail.path} cannot be read; see `selfopt audit verify`") from None
    return sealed
