"""Whose key a request presents: read from the home's file, and again when that changes, so that a revoked key ends at once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from selfopt.errors import StoreError
from selfopt.home import GatewayKey, KeyFile, escape_control, matching_key

from .access import Caller

__all__ = ["FileKeys"]

log = logging.getLogger("selfopt.gateway")
LOOK_S = 0.25
MAX_KEY_LENGTH = 200


class FileKeys:
    """A `KeyRing` on a file. Once keys were there they stay required: a file that is moved away or damaged opens nothing."""

    def __init__(self, file: KeyFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises what reading the file raises."""
        self._file = file
        self._clock = clock
        self._seen = self._stamp()
        self._keys = file.read()
        self._required = bool(self._keys)
        self._looked_at = clock()

    @property
    def required(self) -> bool:
        """Whether a request needs one."""
        self._look()
        return self._required

    @property
    def valid(self) -> tuple[GatewayKey, ...]:
        """The keys that are not revoked."""
        self._look()
        return tuple(entry for entry in self._keys if entry.revoked_at is None)

    def find(self, presented: str) -> Caller | None:
        """Whose key this is; None for a wrong or revoked one."""
        self._look()
        entry = matching_key(self._keys, presented) if len(presented) <= MAX_KEY_LENGTH else None
        if entry is None:
            return None
        models = frozenset(entry.models) if entry.models is not None else None
        return Caller(key=entry.id, scopes=frozenset(entry.scopes), models=models)

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = self._file.read()
        except StoreError as error:
            self._keys, self._required = (), True
            log.error("no key is accepted until this is mended: %s", escape_control(str(error), 500))
            return
        self._required = self._required or bool(self._keys)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._file.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
