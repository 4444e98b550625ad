"""Who is signed in. Sessions are in memory only: when the process ends, everybody signs in again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_S = 12 * 3600.0
IDLE_S = 3600.0
MAX_SESSIONS = 256
TRIES = 10
TRIES_S = 60.0


@dataclass(slots=True)
class Session:
    """Attributes:
    csrf: every form of this session carries it.
    key: id of the API key with which it began; None for the link that `selfopt ui` prints.
    """

    csrf: str
    key: str | None
    began: float
    seen: float


@dataclass(slots=True)
class Sessions:
    """Makes, finds and ends sessions.

    Attributes:
        still_valid: says whether an API key may still be signed in.
        clock: seconds.
        ended: called after any session ended.
    """

    still_valid: Callable[[str], bool] = lambda key: False
    clock: Callable[[], float] = time.monotonic
    ended: Callable[[], None] = lambda: None
    _by_digest: OrderedDict[bytes, Session] = field(default_factory=OrderedDict)
    _tries: deque[float] = field(default_factory=deque)

    def begin(self, key: str | None) -> str:
        """Begin a session; return the cookie's value. The oldest of too many ends."""
        cookie, now = secrets.token_urlsafe(32), self.clock()
        self._by_digest[_digest(cookie)] = Session(secrets.token_urlsafe(32), key, now, now)
        while len(self._by_digest) > MAX_SESSIONS:
            self._by_digest.popitem(last=False)
            self.ended()
        return cookie

    def find(self, cookie: str) -> Session | None:
        """Return a session that is neither over nor idle for too long, and whose key is valid."""
        digest, now = _digest(cookie), self.clock()
        found = self._by_digest.get(digest)
        if found is None:
            return None
        over = now - found.began > LONGEST_S or now - found.seen > IDLE_S
        if over or (found.key is not None and not self.still_valid(found.key)):
            del self._by_digest[digest]
            self.ended()
            return None
        found.seen = now
        return found

    def end(self, cookie: str) -> None:
        """End a session, if there is one."""
        if self._by_digest.pop(_digest(cookie), None) is not None:
            self.ended()

    def may_fail(self) -> bool:
        """Count an attempt to sign in with a wrong key; return whether there were not too many within a minute."""
        now = self.clock()
        while self._tries and now - self._tries[0] > TRIES_S:
            self._tries.popleft()
        if len(self._tries) >= TRIES:
            return False
        self._tries.append(now)
        return True


class Tickets:
    """Links that sign in once. `selfopt ui` prints them: whoever reads the terminal may come in."""

    def __init__(self) -> None:
        self._digest = b""

    def make(self) -> str:
        """Return a new one. An earlier one that nobody used is void."""
        ticket = secrets.token_urlsafe(32)
        self._digest = _digest(ticket)
        return ticket

    def use(self, ticket: str) -> bool:
        """Say whether this is the one, which is void from now on."""
        if not self._digest or not hmac.compare_digest(self._digest, _digest(ticket)):
            return False
        self._digest = b""
        return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
