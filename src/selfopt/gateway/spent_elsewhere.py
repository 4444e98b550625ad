"""Counts what API keys spent before this gateway began, and what other gateways of the home let them spend."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from .allowances import Allowances
from .key_counters import DAY_S, MINUTE_S, month_of
from .request_lines import RequestLines

log = logging.getLogger("selfopt.gateway")
LOOK_S = 5.0
_TO_THE_MINUTE = len("2026-11-30T21:20")


class _Spent(msgspec.Struct, gc=False):
    """What is read of a record. Lines of other kinds have no cost."""

    at: str = ""
    key: str | None = None
    cost: float | None = None
    charged: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


_read = msgspec.json.Decoder(_Spent).decode


class SpentElsewhere:
    """Adds up the records of this month that no worker of this gateway wrote.

    The records are the truth, so nothing else has to survive a crash. They are read once when the
    gateway begins, and every few seconds as far as they are new.
    """

    def __init__(self, folder: Path, allowances: Allowances, *, clock: Callable[[], float] = time.time) -> None:
        """folder: of the files of live requests."""
        self._allowances = allowances
        self._clock = clock
        self._lines = RequestLines(folder)
        self._spent: dict[str, dict[int, float]] = {}
        self._minute = 0
        self._asked: dict[str, tuple[int, int]] = {}  # requests and tokens of that minute
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Read what is new, and count it. Takes about a second for a million records."""
        self._take(self._look())

    def start(self) -> None:
        """Go on looking, within the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def close(self) -> None:
        """Stop looking. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._take(await asyncio.to_thread(self._look))

    def _take(self, day: int) -> None:
        spent = {key: (days.get(day, 0.0), sum(days.values())) for key, days in self._spent.items()}
        self._allowances.take_elsewhere(day, spent)
        self._allowances.take_asked_elsewhere(self._minute, self._asked)

    def _look(self) -> int:
        """Read what is new. Returns the number of the day."""
        now = self._clock()
        day, minute = int(now // DAY_S), int(now // MINUTE_S)
        if minute != self._minute:
            self._minute, self._asked = minute, {}
        this_minute = datetime.fromtimestamp(minute * MINUTE_S, UTC).isoformat()[:_TO_THE_MINUTE]
        month = month_of(day)
        first = next(number for number in range(day, day - 32, -1) if month_of(number - 1) != month)
        for days in self._spent.values():
            for number in [number for number in days if number < first]:
                del days[number]
        for line in self._lines.new(since=first * DAY_S, but=self._allowances.counters.writers):
            if b'"key":"' in line:
                self._add(line, first, this_minute)
        return day

    def _add(self, line: bytes, first: int, this_minute: str) -> None:
        try:
            found = _read(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if found.key is not None and found.at[:_TO_THE_MINUTE] == this_minute:
            requests, tokens = self._asked.get(found.key, (0, 0))
            self._asked[found.key] = requests + 1, tokens + (found.input_tokens or 0) + (found.output_tokens or 0)
        cost = found.charged if found.cost is None else found.cost
        if found.key is None or not cost or (number := day_of(found.at)) is None or number < first:
            return
        days = self._spent.setdefault(found.key, {})
        days[number] = days.get(number, 0.0) + cost


def day_of(at: str) -> int | None:
    """Return the day of a record's time, in days since 1970; None if it is no time."""
    try:
        return int(datetime.fromisoformat(at[:10]).replace(tzinfo=UTC).timestamp() // DAY_S)
    except ValueError:
        return None
