"""Counts live requests by the model asked for, the one that served, phase and variant, in bounded memory.

A client may ask for any name. Only a name that rules, settings or servers have becomes a label; all
others are `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from .exposition import Histogram, head, labels
from .ticket import RequestRecord

MOST_ROWS = 200
MOST_SERVED = 32
MOST_UNSORTED = 512
OTHER, NONE = "other", "none"
_Key = tuple[str, str | None, str | None, str | None, str]


class _Row:
    __slots__ = ("input_tokens", "output_tokens", "times")

    def __init__(self) -> None:
        self.input_tokens = self.output_tokens = 0
        self.times = Histogram()

    def take(self, other: _Row) -> None:
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.times.take(other.times)


class ModelCounters:
    """The counters of one process.

    Requests are counted under the names that they came with. Now and then, and before anybody reads
    the figures, the rows of all names that are no labels become one. A figure never falls.
    """

    def __init__(
        self, known: Callable[[], Collection[str]] = tuple, one_name: Callable[[str], str] = str, most_rows: int = MOST_ROWS
    ) -> None:
        """Begin.

        Args:
            known: the models that have names of their own, each under its one name.
            one_name: gives one name for all of a model.
            most_rows: how many combinations of labels there may be, beside those of `other`.
        """
        self._known = known
        self._one_name = one_name
        self._most_rows = most_rows
        self._rows: dict[_Key, _Row] = {}
        self._admitted: set[_Key] = set()
        self._served: set[str] = set()

    def add(self, record: RequestRecord) -> None:
        """Count a chat that ended."""
        key = (record.model, record.served, record.phase, record.variant, record.outcome)
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= self._most_rows + MOST_UNSORTED:
                self.sort()
            row = self._rows[key] = _Row()
        row.times.add(record.latency_ms)
        row.input_tokens += record.input_tokens or 0
        row.output_tokens += record.output_tokens or 0

    @property
    def strange(self) -> bool:
        """Whether a model served that has no name of its own so far."""
        known = self._known()
        return any(served not in (None, NONE, OTHER) and self._one_name(served) not in known for _, served, *_ in self._rows)

    def sort(self) -> None:
        """Put together what has the same labels."""
        known, rows = self._known(), self._rows
        self._rows = {}
        for key, row in rows.items():
            label = self._labels(key, known)
            found = self._rows.get(label)
            if found is None:
                self._rows[label] = row
            else:
                found.take(row)

    def _labels(self, key: _Key, known: Collection[str]) -> _Key:
        if key in self._admitted:
            return key
        model, served, phase, variant, outcome = key
        label = (self._name(model, known), self._name(served, known), phase or NONE, variant or NONE, outcome)
        if label not in self._admitted:
            if len(self._admitted) >= self._most_rows:
                return (OTHER, OTHER, phase or NONE, OTHER, outcome)
            self._admitted.add(label)
        return label

    def _name(self, model: str | None, known: Collection[str]) -> str:
        if model is None or model == NONE:
            return NONE
        name = self._one_name(model)
        return name if name and name in known else OTHER

    def lines(self) -> Iterator[str]:
        """The counters as text."""
        self.sort()
        rows = sorted(self._rows.items(), key=lambda item: tuple(str(part) for part in item[0]))
        name = "selfopt_model_requests_total"
        yield from head(name, "counter", "Chats by the model asked for, the one that served, phase, variant and outcome.")
        by_served: dict[str, _Row] = {}
        for (model, served, phase, variant, outcome), row in rows:
            told = {
                "model": model,
                "served": served or NONE,
                "phase": phase or NONE,
                "variant": variant or NONE,
                "outcome": outcome,
            }
            yield f"{name}{{{labels(told)}}} {sum(row.times.counts)}"
            if served is not None and served != NONE:
                by_served.setdefault(self._few(served), _Row()).take(row)
        name = "selfopt_model_tokens_total"
        yield from head(name, "counter", "Tokens of the answers that clients got, by the model that served.")
        for served, row in sorted(by_served.items()):
            yield f"{name}{{{labels({'served': served, 'kind': 'input'})}}} {row.input_tokens}"
            yield f"{name}{{{labels({'served': served, 'kind': 'output'})}}} {row.output_tokens}"
        name = "selfopt_model_request_seconds"
        yield from head(name, "histogram", "From a chat's first byte to the end of its answer, by the model that served.")
        for served, row in sorted(by_served.items()):
            yield from row.times.series(name, labels({"served": served}))

    def _few(self, served: str) -> str:
        """Return a name that stays the same; `other` for all beyond a few dozen."""
        if served != OTHER and served not in self._served:
            if len(self._served) >= MOST_SERVED:
                return OTHER
            self._served.add(served)
        return served
