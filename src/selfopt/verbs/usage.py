"""What live requests used, cost and saved, by key, label, model or day."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from selfopt.errors import UsageError
from selfopt.gateway.request_lines import RequestLines
from selfopt.gateway.savings import Spending, SpentRecord, cost_as_asked
from selfopt.wiring.app import App

By = Literal["key", "label", "model", "day"]
BYS: tuple[By, ...] = ("key", "label", "model", "day")
NO_KEY, NO_LABEL = "no key", "no label"
_read = msgspec.json.Decoder(SpentRecord).decode


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What the requests of one key, label, model or day come to.

    Attributes:
        name: of the key, `label=value`, the model that was asked for, or the day.
        key: id of the key, where rows are keys.
    """

    name: str
    spending: Spending
    key: str | None = None

    def told(self) -> dict[str, Any]:
        """Returns all figures by name."""
        own = self.spending
        figures = {"saved": own.saved, "saved_beside_stronger": own.saved_beside_stronger, "escalated_share": own.escalated_share}
        return {"name": self.name, "key": self.key, **asdict(own), **figures}


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What requests used since a day.

    Attributes:
        by: what rows are.
        since: the first day, in UTC.
        currency: of the prices; empty where none is named.
        rows: those that cost most first, days in order. A request of a key with several labels is in
            the row of each.
        total: all requests, each once.
    """

    by: By
    since: str
    currency: str
    rows: tuple[UsageRow, ...]
    total: Spending


def key_usage(app: App, *, by: By = "key", since: str | None = None) -> KeyUsage:
    """Adds up the records of live requests on disk.

    What the same would have cost on the models asked for is an estimate by the prices in force now.

    Args:
        by: what to add up by. A model is the one that was asked for.
        since: the first day, as YYYY-MM-DD in UTC; None for the first of this month.

    Raises:
        UsageError: since is no day.
    """
    first = _day(since)
    entries = {entry.id: entry for entry in app.keys.check().keys} if by in ("key", "label") else {}
    names = {key: [entry.name] for key, entry in entries.items()}
    if by == "label":
        names = {key: [f"{name}={value}" for name, value in entry.terms.labels.items()] for key, entry in entries.items()}
    sums: dict[tuple[str, str | None], Spending] = {}
    total = Spending()
    for record in records_since(app.home.requests, first):
        as_asked = cost_as_asked(record, app.settings.cost_of, app.settings.one_name)
        total.add(record, as_asked)
        for row in _rows_of(record, by, names):
            sums.setdefault(row, Spending()).add(record, as_asked)
    rows = [UsageRow(name, spending, key) for (name, key), spending in sums.items()]
    rows.sort(key=(lambda row: row.name) if by == "day" else (lambda row: (-row.spending.cost, -row.spending.requests, row.name)))
    return KeyUsage(by, first, app.settings.currency, tuple(rows), total)


def records_since(folder: Path, day: str) -> Iterator[SpentRecord]:
    """Yields what was spent, of all records since a day (YYYY-MM-DD, UTC). A line that can't be read is left out."""
    begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()
    for line in RequestLines(folder).new(since=begin):
        try:
            record = _read(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if record.outcome and record.at >= day:
            yield record


def _rows_of(record: SpentRecord, by: By, names: dict[str, list[str]]) -> Collection[tuple[str, str | None]]:
    if by == "day":
        return ((record.at[:10], None),)
    if by == "model":
        return ((record.model, None),)
    if record.key is None:
        return ((NO_KEY, None),)
    if by == "key":
        return ((names.get(record.key, [record.key])[0], record.key),)
    return [(name, None) for name in names.get(record.key, ())] or ((NO_LABEL, None),)


def _day(since: str | None) -> str:
    if since is None:
        return time.strftime("%Y-%m-01", time.gmtime())
    try:
        return date.fromisoformat(since).isoformat()
    except ValueError:
        raise UsageError(f"{since!r:.100} is no day: write YYYY-MM-DD, such as 2026-01-31") from None
