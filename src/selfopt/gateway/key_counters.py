"""What each API key used, in memory that forked workers share."""

from __future__ import annotations

import mmap
from datetime import date
from functools import lru_cache

PLACES = 4096
"""Places for keys. A home keeps a thousand; the other places are for those whose file was lost."""
CELLS = 10
DAY, DAY_COST, MONTH, MONTH_COST, MINUTE, REQUESTS, TOKENS, HELD_COST, HELD_TOKENS, HELD = range(CELLS)
_NAMES, _NAME_BYTES = 8, 32
_EPOCH = date(1970, 1, 1).toordinal()
DAY_S, MINUTE_S = 86_400, 60


@lru_cache(maxsize=4)
def month_of(day: int) -> int:
    """Return the number of a day's month, counted from the year 0. day: since 1970, in UTC."""
    found = date.fromordinal(_EPOCH + day)
    return found.year * 12 + found.month - 1


@lru_cache(maxsize=4)
def end_of_month(day: int) -> int:
    """Return the first day of the month after a day's, in days since 1970."""
    year, month = divmod(month_of(day) + 1, 12)
    return date(year, month + 1, 1).toordinal() - _EPOCH


class KeyCounters:
    """One row of counters for each worker. Processes that are forked after this was made share it.

    A worker writes to its own row alone, so nothing is lost though nothing is locked. Who reads adds
    up all rows. The first one is for what other processes recorded. A worker that is restarted goes
    on with the row of the one before it. Nothing outlives the processes.
    """

    def __init__(self, workers: int = 1) -> None:
        """workers: how many there are, numbered from 0."""
        self.rows = workers + 1
        self.cells = memoryview(mmap.mmap(-1, self.rows * PLACES * CELLS * 8)).cast("d")
        self._writers = mmap.mmap(-1, workers * _NAMES * _NAME_BYTES)

    def begin(self, worker: int, first: str = "") -> None:
        """Note that a worker begins: its requests under way are none. first: the first file of its records."""
        row = (worker + 1) * PLACES * CELLS
        for at in range(row, row + PLACES * CELLS, CELLS):
            if self.cells[at + HELD]:
                self.cells[at + HELD] = self.cells[at + HELD_COST] = self.cells[at + HELD_TOKENS] = 0.0
        own = worker * _NAMES * _NAME_BYTES
        kept = self._writers[own : own + (_NAMES - 1) * _NAME_BYTES]
        self._writers[own : own + _NAMES * _NAME_BYTES] = first.encode().ljust(_NAME_BYTES, b"\0") + kept

    @property
    def writers(self) -> dict[str, int]:
        """The first file's number by writer, of each worker and the last seven before it. It and later files are theirs."""
        names = (bytes(self._writers[at : at + _NAME_BYTES]) for at in range(0, len(self._writers), _NAME_BYTES))
        parts = (name.rstrip(b"\0").decode().removesuffix(".jsonl").rpartition("-") for name in names if name[0])
        return {writer: int(number) for writer, _, number in parts}


class KeyCount:
    """The counters of one key, as one worker sees them. Money has no unit here; times are in seconds since 1970."""

    __slots__ = ("_own", "_rows")

    def __init__(self, counters: KeyCounters, number: int, worker: int) -> None:
        """number: of the key, from 0."""
        place = number % PLACES * CELLS
        starts = (place + row * PLACES * CELLS for row in range(counters.rows))
        self._rows = [counters.cells[start : start + CELLS] for start in starts]
        self._own = self._rows[worker + 1]

    def spent(self, day: int) -> tuple[float, float, float]:
        """Return what was spent on that day and in its month, and what requests under way are expected to cost."""
        month = month_of(day)
        today = all_month = held = 0.0
        for row in self._rows:
            if row[MONTH] >= month:  # a clock that was set back frees nothing
                all_month += row[MONTH_COST]
                if row[DAY] >= day:
                    today += row[DAY_COST]
            held += row[HELD_COST]
        return today, all_month, held

    def asked(self, minute: int) -> tuple[float, float, float]:
        """Return the requests and tokens of that minute, and the tokens that requests under way are expected to use."""
        requests = tokens = held = 0.0
        for row in self._rows:
            if row[MINUTE] >= minute:
                requests += row[REQUESTS]
                tokens += row[TOKENS]
            held += row[HELD_TOKENS]
        return requests, tokens, held

    def add_request(self, minute: int) -> None:
        """Count a request that comes."""
        own = self._own
        if own[MINUTE] < minute:
            self._turn(minute)
        own[REQUESTS] += 1

    def hold(self, cost: float, tokens: int) -> None:
        """Count what a request is expected to use while it is under way."""
        own = self._own
        own[HELD] += 1
        own[HELD_COST] += cost
        own[HELD_TOKENS] += tokens

    def let_go(self, cost: float, tokens: int, times: int) -> None:
        """Take back what was held, so many times."""
        own = self._own
        own[HELD] = left = max(0.0, own[HELD] - times)
        # Sums of floats leave crumbs. Without anything under way there are none.
        own[HELD_COST] = max(0.0, own[HELD_COST] - cost) if left else 0.0
        own[HELD_TOKENS] = max(0.0, own[HELD_TOKENS] - tokens) if left else 0.0

    def add(self, seconds: float, cost: float, tokens: int) -> None:
        """Count what a request used."""
        own = self._own
        day, minute = int(seconds // DAY_S), int(seconds // MINUTE_S)
        if own[DAY] < day:
            month = month_of(day)
            if own[MONTH] < month:
                own[MONTH_COST], own[MONTH] = 0.0, month
            own[DAY_COST], own[DAY] = 0.0, day
        own[MONTH_COST] += cost
        own[DAY_COST] += cost
        if own[MINUTE] < minute:
            self._turn(minute)
        own[TOKENS] += tokens

    def _turn(self, minute: int) -> None:
        own = self._own
        own[REQUESTS] = own[TOKENS] = 0.0
        own[MINUTE] = minute

    def set_elsewhere(self, day: int, today: float, month: float) -> None:
        """Say what other processes recorded: on that day, and in its month."""
        row = self._rows[0]
        row[DAY], row[DAY_COST] = day, today
        row[MONTH], row[MONTH_COST] = month_of(day), month

    def set_asked_elsewhere(self, minute: int, requests: int, tokens: int) -> None:
        """Say what other processes recorded in that minute."""
        row = self._rows[0]
        row[MINUTE], row[REQUESTS], row[TOKENS] = minute, requests, tokens
