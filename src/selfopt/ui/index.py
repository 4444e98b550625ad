"""The newest requests in memory, small enough for 200,000 of them, and counts for each ten seconds."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter

import msgspec

from selfopt.verbs.requests import FeedbackRecord, JournalRecord, RecordPlace, RequestRecord

MOST = 200_000
SPARE = 20_000
MOST_FEEDBACK = 50_000
MOST_NAMES = 500
BUCKET_S = 10
KEPT_BUCKETS = 12_960
"""36 hours: whatever today is where the reader lives."""
ERRORS = frozenset({"failed", "rejected"})
ANSWERED = frozenset({"served", "diverted"})
NOT_ANSWERED = frozenset({"refused", "failed", "rejected", "cancelled"})
NAMED = ("model", "served", "phase", "outcome", "rule", "variant", "key", "escalated", "version")
"""What one can filter by, with the values that there are."""


class SeenRequest(msgspec.Struct, gc=False):
    """What a list shows of a request.

    Attributes:
        number: counts up as requests come in; a page goes on below one.
        at: seconds since the epoch.
        escalated: the first reason; empty for none, like every other name.
        confidence, least: of the attempt that was judged last.
        place: where the whole record stands.
    """

    number: int
    at: float
    id: str
    outcome: str
    status: int
    model: str
    served: str
    phase: str
    rule: str
    version: int
    variant: str
    key: str
    stream: bool
    escalated: str
    latency_ms: float
    first_byte_ms: float | None
    tokens: int
    cost: float | None
    cost_alone: float | None
    cost_as_asked: float | None
    confidence: float | None
    least: float | None
    fault: str
    place: RecordPlace


class Bucket(msgspec.Struct, gc=False):
    """Counts of ten seconds.

    Attributes:
        alone: what the stronger model alone would have cost. compared: what those did cost of which that is known.
        as_asked: what the models that were asked for would have cost. beside: what those did cost.
    """

    n: int = 0
    local: int = 0
    escalated: int = 0
    refused: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    served: int = 0
    priced: int = 0
    cost: float = 0.0
    compared: float = 0.0
    alone: float = 0.0
    beside: float = 0.0
    as_asked: float = 0.0
    tokens: int = 0

    def __iadd__(self, other: Bucket) -> Bucket:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class Filter:
    """Which requests a list shows.

    Attributes:
        asked: what was asked for, by field; empty values are left out.
    """

    def __init__(self, asked: Mapping[str, str]) -> None:
        """asked: `NAMED` fields, `errors`, `since` and `until` (seconds since the epoch), and `q` for a part of any name."""
        self.asked = {name: value for name, value in asked.items() if value}
        same = [(attrgetter(name), value) for name, value in self.asked.items() if name in NAMED and name != "version"]
        self._same = same
        self._version = _whole(self.asked.get("version", ""))
        self._part = self.asked.get("q", "").strip().lower()
        self._errors = bool(self.asked.get("errors"))
        self._any_reason = self.asked.get("escalated") == "any"
        if self._any_reason:
            self._same = [(get, value) for get, value in same if value != "any"]
        self._since, self._until = _seconds(self.asked.get("since", "")), _seconds(self.asked.get("until", ""))

    def __call__(self, seen: SeenRequest) -> bool:
        """Say whether the list has this request."""
        return (
            all(get(seen) == value for get, value in self._same)
            and (not self._any_reason or bool(seen.escalated))
            and (self._version is None or seen.version == self._version)
            and (not self._errors or seen.outcome in ERRORS)
            and (self._since is None or seen.at >= self._since)
            and (self._until is None or seen.at < self._until)
            and (not self._part or self._has(seen))
        )

    def _has(self, seen: SeenRequest) -> bool:
        part = self._part
        return any(part in text.lower() for text in (seen.id, seen.model, seen.served, seen.rule, seen.variant, seen.key))


class RequestIndex:
    """The newest requests of a home, whoever served them.

    Attributes:
        names: how often each value of a field was seen, for filters.
        since: time of the oldest request that counts in the buckets; None without one.
        dropped: requests that are not in the list any more, though they count in the buckets.
    """

    def __init__(
        self,
        is_local: Callable[[str], bool] = lambda model: True,
        as_asked: Callable[[RequestRecord], float | None] = lambda record: None,
        most: int = MOST,
    ) -> None:
        """Begin empty.

        Args:
            is_local: whether a model is on this machine.
            as_asked: what a request would have cost on the model that was asked for.
            most: requests that are kept in the list.
        """
        self._is_local = is_local
        self._as_asked = as_asked
        self._most = most
        self._rows: list[SeenRequest] = []
        self._next = 1
        self._feedback: OrderedDict[str, list[FeedbackRecord]] = OrderedDict()
        self._buckets: dict[int, Bucket] = {}
        self._local: dict[str, bool] = {}
        self.names: dict[str, Counter[str]] = {name: Counter() for name in NAMED}
        self.since: float | None = None
        self.dropped = 0

    def add(self, found: Iterable[tuple[RecordPlace, JournalRecord]]) -> int:
        """Take in records, in the order of their times. Returns how many requests came."""
        rows = []
        for place, record in found:
            if isinstance(record, FeedbackRecord):
                self._hear(record)
            else:
                rows.append(_seen(place, record, None if record.cost is None else self._as_asked(record)))
        rows.sort(key=attrgetter("at"))
        for row in rows:
            row.number = self._next
            self._next += 1
            self._count(row)
        self._count_names(rows)
        if rows and (self.since is None or rows[0].at < self.since):
            self.since = rows[0].at
        self._rows += rows
        if len(self._rows) > self._most + SPARE:
            self.dropped += len(self._rows) - self._most
            self._rows = self._rows[-self._most :]  # a new list: another thread may be looking through this one
        return len(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def newest(self) -> SeenRequest | None:
        """The request that came last."""
        return self._rows[-1] if self._rows else None

    @property
    def oldest(self) -> SeenRequest | None:
        """The oldest one in the list."""
        return self._rows[0] if self._rows else None

    def page(self, wanted: Filter, before: int | None = None, most: int = 100) -> tuple[Sequence[SeenRequest], bool]:
        """Return the newest requests that fit, and whether there are more. before: only those with a lower number."""
        found: list[SeenRequest] = []
        rows = self._rows
        end = len(rows)
        if before is not None and rows:
            end = max(0, min(end, before - rows[0].number))
        for place in range(end - 1, -1, -1):
            row = rows[place]
            if wanted(row):
                if len(found) == most:
                    return found, True
                found.append(row)
        return found, False

    def find(self, request_id: str) -> SeenRequest | None:
        """Return a request by its id, while it is in the list."""
        return next((row for row in reversed(self._rows) if row.id == request_id), None)

    def feedback(self, request_id: str) -> Sequence[FeedbackRecord]:
        """Return what clients said became of a request."""
        return self._feedback.get(request_id, ())

    def buckets(self, since: float, until: float) -> list[tuple[int, Bucket]]:
        """Return the counts of every ten seconds that begin within a time, empty ones too."""
        first, last = int(since) // BUCKET_S, int(until) // BUCKET_S
        return [(n * BUCKET_S, self._buckets.get(n) or Bucket()) for n in range(first, last)]

    def total(self, since: float, until: float) -> Bucket:
        """Return the counts of a time, by whole buckets."""
        first, last = int(since) // BUCKET_S, int(until) // BUCKET_S
        whole = Bucket()
        for n, bucket in list(self._buckets.items()):
            if first <= n <= last:
                whole += bucket
        return whole

    def faults(self, since: float, most: int = 5000) -> Counter[tuple[str, str]]:
        """Count the failures since a time, by model and fault. Looks at so many requests at most."""
        found: Counter[tuple[str, str]] = Counter()
        for row in reversed(self._rows[-most:]):
            if row.at < since:
                break
            if row.outcome == "failed":
                found[row.served or row.model, row.fault] += 1
        return found

    def quantile(self, since: float, share: float, most: int = 5000) -> float | None:
        """Return the time in ms within which such a share of the answers since then came; None without one."""
        rows = self._rows
        found = sorted(row.latency_ms for row in rows[-most:] if row.at >= since and row.outcome in ANSWERED)
        return found[min(len(found) - 1, int(share * len(found)))] if found else None

    def is_local(self, model: str) -> bool:
        """Say whether a model is on this machine."""
        if model not in self._local:
            if len(self._local) > MOST_NAMES:
                self._local.clear()
            self._local[model] = self._is_local(model)
        return self._local[model]

    def _hear(self, record: FeedbackRecord) -> None:
        self._feedback.setdefault(record.id, []).append(record)
        self._feedback[record.id] = self._feedback[record.id][-20:]
        while len(self._feedback) > MOST_FEEDBACK:
            self._feedback.popitem(last=False)

    def _count_names(self, rows: Sequence[SeenRequest]) -> None:
        for name, counts in self.names.items():
            for value, n in Counter(map(attrgetter(name), rows)).items():
                if value and (value in counts or len(counts) < MOST_NAMES):
                    counts[str(value)] += n

    def _count(self, row: SeenRequest) -> None:
        number = int(row.at) // BUCKET_S
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket()
            while len(self._buckets) > KEPT_BUCKETS:
                del self._buckets[min(self._buckets)]
        bucket.n += 1
        bucket.tokens += row.tokens
        if row.outcome in ANSWERED:
            bucket.served += 1
            if row.served and self.is_local(row.served):
                bucket.local += 1
        elif row.outcome in NOT_ANSWERED:
            setattr(bucket, row.outcome, getattr(bucket, row.outcome) + 1)
        if row.escalated:
            bucket.escalated += 1
        if row.cost is not None:
            bucket.priced += 1
            bucket.cost += row.cost
            if row.cost_alone is not None:
                bucket.compared += row.cost
                bucket.alone += row.cost_alone
            if row.cost_as_asked is not None:
                bucket.beside += row.cost
                bucket.as_asked += row.cost_as_asked


def _seen(place: RecordPlace, record: RequestRecord, as_asked: float | None) -> SeenRequest:
    name = sys.intern
    judged, fault = None, ""
    for attempt in record.attempts:
        if attempt.least is not None:
            judged = attempt
        fault = attempt.fault or fault
    return SeenRequest(  # by place: with names it would take twice as long
        0,
        _epoch(record.at),
        record.id,
        name(record.outcome),
        record.status,
        name(record.model),
        name(record.served or ""),
        name(record.phase or ""),
        name(record.rule or ""),
        record.version,
        name(record.variant or ""),
        name(record.key or ""),
        record.stream,
        name(record.escalated[0]) if record.escalated else "",
        record.latency_ms,
        record.first_byte_ms,
        (record.input_tokens or 0) + (record.output_tokens or 0),
        record.cost,
        record.cost_alone,
        as_asked,
        judged.confidence if judged is not None else None,
        judged.least if judged is not None else None,
        name(fault),
        place,
    )


def _epoch(at: str) -> float:
    """Return seconds since the epoch; 0 for what is no time. at: `2026-11-30T20:00:40.123Z`."""
    try:
        return _second(at[:19]) + int(at[20:23]) / 1000
    except ValueError:
        return 0.0


@lru_cache(maxsize=64)
def _second(at: str) -> float:
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()


def _seconds(text: str) -> float | None:
    """Return a time in seconds since the epoch, also of `2026-11-30T20:00` (UTC); None for anything else."""
    try:
        found = float(text) if "T" not in text else datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e11 else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
