"""Finds whose key a request presents, in the home's file of keys.

The file is watched, so a revoked key stops working at once, with or without requests. Only keys
that the audit trail confirms are accepted. The trail may be large, so a changed file is checked
against it in a thread; until that is done, milliseconds later, the earlier keys hold.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from selfopt.dialects.refusal import Refusal
from selfopt.errors import StoreError
from selfopt.home import CheckedKeys, GatewayKey, KeyFile, escape_control, keys_by_hash, matching_key

log = logging.getLogger("selfopt.gateway")
LOOK_S = 0.25
MAX_KEY_LENGTH = 200
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. key: id of their key, None without one; models: full names, None for all."""

    key: str | None = None
    scopes: frozenset[str] = frozenset()
    models: frozenset[str] | None = None

    def require(self, scope: str, what: str) -> None:
        """Raise Refusal (403) if they lack a scope. what: what it lets one do."""
        if scope not in self.scopes:
            raise Refusal(403, f"this key may not {what}", code="insufficient_scope", kind="permission_error")

    def may_ask(self, model: str, one_name: Callable[[str], str] = str) -> bool:
        """Say whether they may ask for this model. one_name: gives one name for all of a model."""
        if self.models is None or model in self.models:
            return True
        name = one_name(model)
        return any(one_name(known) == name for known in self.models)


class FileKeys:
    """The keys in force. Once there were any, a missing or damaged file lets nobody in."""

    def __init__(
        self,
        file: KeyFile,
        *,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[CheckedKeys], None] = lambda checked: None,
        unread: Callable[[], None] = lambda: None,
    ) -> None:
        """Read the file.

        changed: gets the keys whenever they were read.
        unread: called when they could not be read, so that none is valid.

        Raises StoreError when the file or the trail cannot be read.
        """
        self._file = file
        self._clock = clock
        self._seen = self._stamp()
        self._changed = changed
        self._unread = unread
        self._by_hash: dict[str, GatewayKey] = {}
        self._callers: dict[str, Caller] = {}
        self._required = False
        self._reading: asyncio.Future[CheckedKeys] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._take(file.check())
        self._looked_at = clock()

    def start(self) -> None:
        """Begin to watch the file, within the running loop."""
        self._look()
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self.start)

    def close(self) -> None:
        """Stop watching. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        self._look()
        return self._required

    @property
    def valid(self) -> tuple[GatewayKey, ...]:
        """The keys that are not revoked."""
        self._look()
        return tuple(self._by_hash.values())

    def find(self, presented: str) -> Caller | None:
        """Return whose key this is; None for a wrong or revoked one."""
        self._look()
        entry = matching_key(self._by_hash, presented) if len(presented) <= MAX_KEY_LENGTH else None
        return None if entry is None else self._callers[entry.id]

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at, before, self._seen = now, self._seen, self._stamp()
        if self._seen == before:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._follow(self._file.check)
            return
        self._reading = loop.run_in_executor(None, self._file.check)
        self._reading.add_done_callback(self._read)

    def _read(self, done: asyncio.Future[CheckedKeys]) -> None:
        if not done.cancelled() and done is self._reading:
            self._follow(done.result)

    def _follow(self, check: Callable[[], CheckedKeys]) -> None:
        try:
            self._take(check())
        except StoreError as error:
            self._by_hash, self._required = {}, True
            self._unread()
            log.error("no key is accepted until this is fixed: %s", escape_control(str(error), 500))

    def _take(self, checked: CheckedKeys) -> None:
        self._by_hash = keys_by_hash(checked.keys)
        self._callers = {entry.id: _caller(entry) for entry in self._by_hash.values()}
        self._changed(checked)
        self._required = self._required or checked.required
        for problem in checked.problems[:SHOWN]:
            log.error("API keys: %s", escape_control(problem, 500))

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._file.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _caller(entry: GatewayKey) -> Caller:
    models = frozenset(entry.models) if entry.models is not None else None
    return Caller(key=entry.id, scopes=frozenset(entry.scopes), models=models)
