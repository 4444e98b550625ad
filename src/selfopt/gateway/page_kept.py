"""Keeps what many readers of the page ask again and again, and says how often they may, so that live requests hardly notice them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

FRESH_S = 1.0
ADMITTED_S = 60.0
MOST_PARTS, MOST_READERS = 32, 256
MOST_BYTES = 262_144
MOST_POLLS_S = 8.0
"""So many polls a second are wanted at most, of all readers together."""
SOONEST_S, LATEST_S = 2, 30
SPAN_S = 10.0
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PagePart:
    """An answer that every reader may get. lines: its headers."""

    status: int
    lines: Sequence[bytes]
    body: bytes


class PageParts:
    """Parts of pages that every reader may see, for a second, and who was let in of late.

    A reader is what a request says of its sender, all of it. Whoever was let in gets a part without being checked
    again, while nothing changed by which they were judged: `mark` stands for that.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._parts = _Lately[bytes, PagePart](MOST_PARTS, FRESH_S)
        self._readers = _Lately[Hashable, Hashable](MOST_READERS, ADMITTED_S)

    def find(self, reader: Hashable, target: bytes, mark: Hashable) -> PagePart | None:
        """Return what stands at a target now, if that is known and this reader may see it."""
        now = self._clock()
        part = self._parts.get(target, now)
        return part if part is not None and self._readers.get(reader, now) == mark else None

    def keep(self, reader: Hashable, target: bytes, mark: Hashable, part: PagePart) -> None:
        """Keep a part that this reader was shown. mark: from before they were judged."""
        if len(part.body) <= MOST_BYTES:
            now = self._clock()
            self._parts.put(target, part, now)
            self._readers.put(reader, mark, now)


class _Lately(Generic[K, T]):
    """The newest values, for some seconds."""

    def __init__(self, most: int, for_s: float) -> None:
        self._most = most
        self._for_s = for_s
        self._kept: OrderedDict[K, tuple[float, T]] = OrderedDict()

    def get(self, key: K, now: float) -> T | None:
        found = self._kept.get(key)
        return found[1] if found is not None and now < found[0] else None

    def put(self, key: K, value: T, now: float) -> None:
        self._kept[key] = (now + self._for_s, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class PollPace:
    """Tells readers how long to wait between polls: two seconds, and longer the more of them there are.

    Each poll says how long its reader waited for it. A reader who polls every d seconds counts d / SPAN_S each time,
    so the sum over that span is the number of readers, however long each of them waits.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._readers = 0.0
        self._at = clock()

    def next_s(self, waited: bytes) -> int:
        """Count a poll; return the seconds until the reader's next one. waited: what the poll says, which may be anything."""
        known = len(waited) <= 2 and waited.isdigit()
        wait = min(max(int(waited), SOONEST_S), LATEST_S) if known else SOONEST_S
        now = self._clock()
        self._readers = self._readers * math.exp((self._at - now) / SPAN_S) + wait / SPAN_S
        self._at = now
        wanted = self._readers / MOST_POLLS_S
        # The page looks at the clock every two seconds.
        return min(max(SOONEST_S * math.ceil(wanted / SOONEST_S), SOONEST_S), LATEST_S)
