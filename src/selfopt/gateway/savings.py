"""What traffic cost, and what the same would have cost on the models that were asked for.

A pure computation over records and prices. Where another model served, what the model asked for would
have cost is an estimate: the tokens of the answer at its price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from selfopt.records import Usage

_ANSWERED = frozenset({"served", "diverted"})


class SpentAttempt(msgspec.Struct, frozen=True, gc=False):
    """What is read of an attempt. See `LiveAttempt`."""

    model: str = ""
    escalated: str = ""
    second: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


class SpentRecord(msgspec.Struct, frozen=True):
    """What is read of the record of a request of any version. See `RequestRecord`."""

    at: str = ""
    outcome: str = ""
    model: str = ""
    served: str | None = None
    key: str | None = None
    attempts: tuple[SpentAttempt, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    escalated: tuple[str, ...] = ()
    cost: float | None = None
    cost_alone: float | None = None
    charged: float | None = None


class _Attempt(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def escalated(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...


class Told(Protocol):
    """What a record has to say: `SpentRecord` and `RequestRecord` do."""

    @property
    def outcome(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def served(self) -> str | None: ...
    @property
    def attempts(self) -> Sequence[_Attempt]: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def escalated(self) -> Sequence[str]: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def cost_alone(self) -> float | None: ...
    @property
    def charged(self) -> float | None: ...


CostOf = Callable[[str, Usage, float | None], float | None]
"""Tells what tokens and time cost at a model's price; None where that is not known."""


def cost_as_asked(record: Told, cost_of: CostOf, one_name: Callable[[str], str] = str) -> float | None:
    """Return what a request would have cost on the model that was asked for alone.

    That is what it did cost where only that model was asked. Else it is an estimate: the tokens of the
    answer at its price. None where there was no answer, or where it is not known.
    """
    if record.outcome not in _ANSWERED or record.served is None:
        return None
    others = [attempt.model for attempt in record.attempts if attempt.model != record.model]
    if not others or {one_name(model) for model in others} == {one_name(record.model)}:
        return record.cost
    return cost_of(record.model, Usage(input_tokens=record.input_tokens, output_tokens=record.output_tokens), None)


@dataclass(slots=True)
class Spending:
    """What requests used and cost, added up.

    Attributes:
        answered: requests that got an answer.
        diverted: of these, those that another model answered than was asked for.
        escalated: of these, those that a stronger model had to answer.
        input_tokens, output_tokens: of all attempts, as far as servers told them.
        cost: of the requests whose cost is known.
        unknown: requests whose cost is not known.
        charged: what these counted for in the budgets of their keys: an estimate.
        compared: requests of which is known what the model asked for would have cost.
        compared_cost: what these cost.
        as_asked: what these would have cost on the models asked for: an estimate.
        beside: requests that are compared with their rule's stronger model alone.
        beside_cost: what these cost.
        stronger_alone: what the stronger model alone would have cost for them: an estimate.
    """

    requests: int = 0
    answered: int = 0
    diverted: int = 0
    escalated: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unknown: int = 0
    charged: float = 0.0
    compared: int = 0
    compared_cost: float = 0.0
    as_asked: float = 0.0
    beside: int = 0
    beside_cost: float = 0.0
    stronger_alone: float = 0.0

    @property
    def saved(self) -> float:
        """What was saved beside the models asked for: an estimate. Below 0 where it cost more."""
        return self.as_asked - self.compared_cost

    @property
    def saved_beside_stronger(self) -> float:
        """What was saved by asking smaller models first: an estimate. Below 0 where it cost more."""
        return self.stronger_alone - self.beside_cost

    @property
    def escalated_share(self) -> float | None:
        """Share of the answers that a stronger model had to give; None without answers."""
        return self.escalated / self.answered if self.answered else None

    def add(self, record: Told, as_asked: float | None) -> None:
        """Count one request. as_asked: of `cost_as_asked`."""
        self.requests += 1
        if record.outcome in _ANSWERED:
            self.answered += 1
            self.diverted += record.outcome == "diverted"
            self.escalated += bool(record.escalated) and record.outcome == "diverted"
        self.input_tokens += record.input_tokens or 0
        self.output_tokens += record.output_tokens or 0
        for attempt in record.attempts:
            if attempt.escalated or attempt.second:
                self.input_tokens += attempt.input_tokens or 0
                self.output_tokens += attempt.output_tokens or 0
        if record.cost is None:
            self.unknown += bool(record.attempts)
            self.charged += record.charged or 0.0
            return
        self.cost += record.cost
        if as_asked is not None:
            self.compared += 1
            self.compared_cost += record.cost
            self.as_asked += as_asked
        if record.cost_alone is not None:
            self.beside += 1
            self.beside_cost += record.cost
            self.stronger_alone += record.cost_alone


class SavingCounters:
    """Adds up what chats would have cost on the models that were asked for, for Prometheus."""

    __slots__ = ("_compared", "_compared_cost", "_cost_as_asked", "_cost_of", "_one_name")

    def __init__(self, cost_of: CostOf, one_name: Callable[[str], str]) -> None:
        self._cost_of = cost_of
        self._one_name = one_name
        self._compared, self._compared_cost, self._cost_as_asked = 0, 0.0, 0.0

    def add(self, record: Told) -> None:
        """Count one chat, where both costs are known."""
        if record.cost is not None and (as_asked := cost_as_asked(record, self._cost_of, self._one_name)) is not None:
            self._compared += 1
            self._compared_cost += record.cost
            self._cost_as_asked += as_asked

    def lines(self) -> Iterator[str]:
        """The counters as text."""
        for name, text, value in (
            (
                "cost_as_asked_total",
                "What chats would have cost on the models asked for alone: an estimate.",
                self._cost_as_asked,
            ),
            ("cost_as_asked_beside_total", "What those chats cost that are compared so.", self._compared_cost),
            ("cost_as_asked_chats_total", "Chats that are compared so.", self._compared),
        ):
            yield f"# HELP selfopt_{name} {text}"
            yield f"# TYPE selfopt_{name} counter"
            yield f"selfopt_{name} {value:.12g}"
