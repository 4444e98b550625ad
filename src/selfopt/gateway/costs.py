"""What requests cost: every attempt's tokens and time at its model's price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import msgspec

from selfopt.dialects.routes import FREE_ROUTES
from selfopt.records import Price, Usage, cost_of

from .adding import NO_USAGE
from .savings import SavingCounters

if TYPE_CHECKING:
    from .ticket import RequestRecord, Ticket

# Faults after which a model may have worked, and its server been paid, though it told no counts.
_PAID_UNTOLD = frozenset({"", "timeout", "protocol", "broken_off", "outrun"})
_NOTHING = Usage(input_tokens=0, output_tokens=0)
_MILLION_IN = Usage(input_tokens=1_000_000, output_tokens=0)
_MILLION_OUT = Usage(input_tokens=0, output_tokens=1_000_000)
_ANSWERED = frozenset({"served", "diverted"})


class CountsTokens(Protocol):
    """What knows the tokens of an attempt, whenever it is asked."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class BillRow:
    """What one attempt used.

    Attributes:
        usage: without counts where nobody told any.
        busy_s: how long it was at its server.
        again: it served an answer that an earlier attempt had got, and asked nobody.
    """

    model: str
    usage: Usage
    busy_s: float
    again: bool = False


class Bill:
    """What the attempts of one request used, also those that did not serve.

    Attempts that run at the same time need a bill each, whose rows are then put together.
    """

    __slots__ = ("_at", "_beside", "_model", "_usage", "_work", "rows")

    def __init__(self) -> None:
        self.rows: list[BillRow] = []
        self._model, self._at = "", 0.0
        self._beside: list[BillRow] = []
        self._usage = NO_USAGE
        self._work: CountsTokens | None = None

    def begin(self, model: str, at: float) -> None:
        """Note the model of the current attempt, and when it was asked, in seconds of `perf_counter`."""
        self._model, self._at = model, at

    def so_far(self, now: float) -> list[BillRow]:
        """Return the rows as they are if the current attempt serves and ends now."""
        return [*self.rows, *self._current(self._model, now - self._at, "")] if self._model else self.rows

    def told(self, input_tokens: int | None, output_tokens: int | None, cached_tokens: int | None) -> None:
        """Note the counts of the current attempt."""
        update = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cached_tokens": cached_tokens}
        self._usage = NO_USAGE.model_copy(update=update)

    def follow(self, work: CountsTokens) -> None:
        """Note who counts for the current attempt."""
        self._work = work

    def beside(self, model: str, usage: Usage, busy_s: float, fault: str) -> None:
        """Note what was asked for during the current attempt, and is none of its answer. Arguments as of `close`."""
        self._beside.append(BillRow(model, _told_or_nothing(usage, fault), busy_s))

    def close(self, model: str, busy_s: float, fault: str) -> None:
        """End the current attempt. fault: empty if it answered."""
        self.rows += self._current(model, busy_s, fault)
        self._usage, self._work, self._beside, self._model = NO_USAGE, None, [], ""

    def _current(self, model: str, busy_s: float, fault: str) -> list[BillRow]:
        """The rows of the current attempt. The last one is who served."""
        usage = _told_or_nothing(self._usage if self._work is None else self._work.usage, fault)
        if not (self.rows or self._beside):
            return [BillRow(model, usage, busy_s)]
        again = any(row.usage is usage for row in self.rows) and usage not in (NO_USAGE, _NOTHING)
        busy_s -= sum(row.busy_s for row in self._beside)
        return [*self._beside, BillRow(model, usage, max(0.0, busy_s), again)]


def _told_or_nothing(usage: Usage, fault: str) -> Usage:
    untold = usage.input_tokens is None and usage.output_tokens is None
    return _NOTHING if untold and fault not in _PAID_UNTOLD else usage


LATER = b"later"
"""Stands for a cost that is not known before the answer is at its end. The record of the request holds it."""


def told_later(ticket: Ticket) -> bytes:
    """Say that a cost is not known yet."""
    return LATER


class CostBook:
    """Says what requests cost.

    Attributes:
        saved: adds up what they would have cost on the models asked for.
    """

    def __init__(
        self,
        price_of: Callable[[str], Price | None] = lambda model: None,
        *,
        is_local: Callable[[str], bool] = lambda model: False,
        one_name: Callable[[str], str] = str,
    ) -> None:
        """Keep the prices.

        Args:
            price_of: the price of a model, by its full name.
            is_local: whether a model is on this machine, where it costs nothing without a price.
            one_name: gives one name for all of a model.
        """
        self._price_of = price_of
        self._is_local = is_local
        self._one_name = one_name
        self._prices: dict[str, Price | None] = {}
        self.saved = SavingCounters(self.of, one_name)
        self._units: dict[str, tuple[float, float, float] | None] = {}

    def priced(self, record: RequestRecord, ticket: Ticket) -> RequestRecord:
        """Return the record with what the request cost."""
        if not ticket.bill.rows:
            return record
        if ticket.route in FREE_ROUTES:
            return msgspec.structs.replace(record, cost=0.0)
        return msgspec.structs.replace(record, cost=self._sum(ticket.bill.rows), cost_alone=self._alone(record, ticket))

    def told(self, ticket: Ticket) -> bytes:
        """Return what a request cost so far, for the head of its answer: an amount, `unknown`, or `later`."""
        if ticket.stream:
            return LATER
        cost = self._sum(ticket.bill.so_far(perf_counter()))
        return b"unknown" if cost is None else b"%.10g" % cost

    def _sum(self, rows: Iterable[BillRow]) -> float | None:
        total = 0.0
        for row in rows:
            if not row.again:
                cost = self.of(row.model, row.usage, row.busy_s)
                if cost is None:
                    return None
                total += cost
        return total

    def of(self, model: str, usage: Usage, busy_s: float | None) -> float | None:
        """Return what so many tokens and so much time cost at a model's price; None where that is not known."""
        if model not in self._prices:  # rules and settings name the models: they are few
            self._prices[model] = self._price_of(model)
        price = self._prices[model]
        return 0.0 if price is None and self._is_local(model) else cost_of(price, usage, busy_s)

    def expected(self, model: str, input_tokens: int, output_tokens: int, busy_s: float) -> float | None:
        """Return what `of` returns for such a request, in a fraction of the time."""
        if model not in self._units:
            units = [self.of(model, usage, s) for usage, s in ((_MILLION_IN, 0.0), (_MILLION_OUT, 0.0), (_NOTHING, 1.0))]
            told = [unit for unit in units if unit is not None]
            self._units[model] = (told[0] / 1e6, told[1] / 1e6, told[2]) if len(told) == len(units) else None
        unit = self._units[model]
        return None if unit is None else input_tokens * unit[0] + output_tokens * unit[1] + busy_s * unit[2]

    def _alone(self, record: RequestRecord, ticket: Ticket) -> float | None:
        """Return what the rule's stronger model alone would have cost; None without one, or where that is not known.

        It is what it did cost where it served. Else it is an estimate: the other model's tokens at
        its price. How long it would have taken nobody knows.
        """
        rule = ticket.decision.rule if ticket.decision is not None else None
        if rule is None or rule.fallback is None or record.outcome not in _ANSWERED:
            return None
        last = ticket.bill.rows[-1]
        served = self._one_name(last.model) == self._one_name(rule.fallback)
        return self.of(rule.fallback, last.usage, last.busy_s if served else None)


class _Cascade:
    """Adds up what small models that serve when sure cost beside the stronger ones, and how long both take.

    Chats that both are asked at the same time take no part: whatever is escalated, they cost both.
    """

    __slots__ = ("_large", "_large_s", "_large_s_of", "_small", "_small_s", "_small_s_of")

    def __init__(self) -> None:
        self._small = self._large = self._small_s = self._large_s = 0.0
        self._small_s_of = self._large_s_of = 0

    def add(self, record: RequestRecord, ticket: Ticket) -> None:
        """Count one chat."""
        escalated = bool(ticket.escalated) and record.outcome == "diverted"
        if ticket.raced is not None or (ticket.least is None and not escalated):
            return
        rows = [row for row in ticket.bill.rows if not row.again]
        if escalated and rows:
            self._large_s += rows[-1].busy_s
            self._large_s_of += 1
        if ticket.least is None:
            return  # a conversation that stays with the stronger model
        self._small_s += sum(row.busy_s for row in (rows[:-1] if escalated else rows))
        self._small_s_of += 1
        if record.cost is not None and record.cost_alone is not None:
            self._small += max(0.0, record.cost - (record.cost_alone if escalated else 0.0))
            self._large += record.cost_alone

    def lines(self) -> Iterator[str]:
        """The break-even shares as text; none of what is not known yet."""
        from selfopt.stats import break_even

        yield (
            "# HELP selfopt_escalation_break_even Share of escalations below which asking the smaller model first costs less, or takes "
            "less time, than the stronger one alone; of chats under rules that serve when sure, since the start."
        )
        yield "# TYPE selfopt_escalation_break_even gauge"
        seconds = (
            (self._small_s / self._small_s_of, self._large_s / self._large_s_of)
            if self._small_s_of and self._large_s_of
            else None
        )
        for by, share in (("cost", break_even(self._small, self._large)), ("time", break_even(*seconds) if seconds else None)):
            if share is not None:
                yield f'selfopt_escalation_break_even{{by="{by}"}} {share:.6g}'


class CostCounters:
    """Adds up what requests cost, for Prometheus."""

    __slots__ = ("_alone", "_beside", "_cascade", "_compared", "_known", "_total", "_unknown")

    def __init__(self) -> None:
        self._cascade = _Cascade()
        self._total = self._beside = self._alone = 0.0
        self._known = self._compared = self._unknown = 0

    def add(self, record: RequestRecord, ticket: Ticket) -> None:
        """Count one chat."""
        self._cascade.add(record, ticket)
        if record.cost is None:
            self._unknown += bool(ticket.bill.rows)
            return
        self._known += 1
        self._total += record.cost
        if record.cost_alone is not None:
            self._compared += 1
            self._beside += record.cost
            self._alone += record.cost_alone

    def lines(self) -> Iterator[str]:
        """The counters as text."""
        for name, text, value in (
            ("cost_total", "What chats cost by the prices of the settings, with all their attempts.", self._total),
            ("cost_known_chats_total", "Chats whose cost is known.", self._known),
            ("cost_unknown_chats_total", "Chats whose cost is not known: no price, or no counts.", self._unknown),
            ("cost_compared_total", "What those chats cost that are compared with the stronger model alone.", self._beside),
            ("cost_compared_chats_total", "Chats that are compared with the stronger model alone.", self._compared),
            ("cost_stronger_alone_total", "What the stronger model alone would have cost for them: an estimate.", self._alone),
        ):
            yield f"# HELP selfopt_{name} {text}"
            yield f"# TYPE selfopt_{name} counter"
            yield f"selfopt_{name} {value:.12g}"
        yield from self._cascade.lines()
