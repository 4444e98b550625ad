"""Holds API keys to their budgets and rates.

What a request uses is known when it ends, and nothing that runs is cut. While it runs, what it is
expected to use counts too, so that many at once don't overshoot by much.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from selfopt.dialects.refusal import Refusal
from selfopt.dialects.routes import FREE_ROUTES, WITHOUT_TEXT
from selfopt.home import CheckedKeys, KeyTerms, escape_control
from selfopt.words.allowances import (
    Rate,
    Span,
    held_text,
    moment,
    other_currency_text,
    too_many_text,
    unpriced_text,
    used_up_text,
    warned_text,
)

from .costs import CostBook
from .key_counters import DAY_S, MINUTE_S, KeyCount, KeyCounters, end_of_month

if TYPE_CHECKING:
    from .live_request import LiveRequest
    from .ticket import RequestRecord, Ticket

log = logging.getLogger("selfopt.gateway")
BYTES_A_TOKEN = 4
EXPECTED_ANSWER = 500
EXPECTED_S = 5.0
_LIMITS = ("max_completion_tokens", "max_tokens")
_read_limit = msgspec.json.Decoder(int).decode


@dataclass(slots=True)
class Reserved:
    """What a request is expected to use, while it is under way.

    Attributes:
        times: how many attempts are expected to use it.
        count: where it is counted; None where nothing is.
        model, answer: of the last attempt: the model, and how many tokens its answer is expected to have.
        pieces: the events of its stream so far, each of which is about a token.
    """

    cost: float = 0.0
    tokens: int = 0
    times: int = 0
    count: KeyCount | None = None
    model: str = ""
    answer: int = 0
    pieces: int = 0


class _Account:
    """A key's terms and what it used. fresh: whether nothing was held since the last request was let in."""

    __slots__ = ("budget_day", "budget_month", "budgets", "count", "fresh", "key", "limited", "rated", "rates", "terms")

    def __init__(self, key: str, terms: KeyTerms, count: KeyCount) -> None:
        self.key = key
        self.terms = terms
        self.count = count
        named: tuple[tuple[Span, float | None], ...] = (("day", terms.budget_day), ("month", terms.budget_month))
        self.budgets = tuple((span, budget) for span, budget in named if budget is not None)
        self.budget_day, self.budget_month = (math.inf if budget is None else budget for _, budget in named)
        rates: tuple[tuple[Rate, int | None], ...] = (
            ("requests", terms.requests_per_minute),
            ("tokens", terms.tokens_per_minute),
        )
        self.rates = tuple(_RateLines(rate, limit) for rate, limit in rates if limit is not None)
        self.rated = bool(self.rates)
        self.limited = terms.limits
        self.fresh = False


class _RateLines:
    """The headers that say how much of a rate is left, in the words of OpenAI's API."""

    __slots__ = ("_left", "_limit_line", "_reset", "_reset_line", "_wait_s", "limit", "rate")

    def __init__(self, rate: Rate, limit: int) -> None:
        self.rate = rate
        self.limit = limit
        name = rate.encode()
        self._limit_line = b"x-ratelimit-limit-%s: %d" % (name, limit)
        self._left = b"x-ratelimit-remaining-%s: %%d" % name
        self._reset = b"x-ratelimit-reset-%s: %%ds" % name
        self._reset_line, self._wait_s = b"", 0

    def lines(self, used: float, wait_s: int) -> tuple[bytes, ...]:
        """Return the headers. wait_s: until all of it is left again."""
        if wait_s != self._wait_s:
            self._reset_line, self._wait_s = self._reset % wait_s, wait_s
        left = self.limit - used
        return self._limit_line, self._left % (left if left > 0 else 0), self._reset_line


@dataclass(frozen=True, slots=True)
class _Budget:
    """How much of a budget is used. until: when it begins anew, in seconds since 1970."""

    span: Span
    budget: float
    spent: float
    held: float
    until: float


class Allowances:
    """What each key may still use. All workers count together."""

    def __init__(
        self,
        costs: CostBook | None = None,
        counters: KeyCounters | None = None,
        *,
        worker: int = 0,
        currency: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin without keys.

        Args:
            costs: knows the prices.
            counters: shared by all workers; None for those of this process alone.
            worker: the number of this process.
            currency: of the prices.
            clock: seconds since 1970.
        """
        self.costs = costs or CostBook()
        self.counters = counters or KeyCounters()
        self._worker = worker
        self._currency = currency
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._refused: dict[str, int] = {}
        self._warned: dict[str, int] = {}
        self._logged: dict[tuple[str, Span], float] = {}

    def begin(self, first: str) -> None:
        """Forget the requests under way of a process that is gone. first: name of the first file of this one's records."""
        self.counters.begin(self._worker, first)

    def follow(self, checked: CheckedKeys) -> None:
        """Take the keys in force. What a key used so far stays."""
        self._accounts = {
            entry.id: _Account(entry.id, entry.terms, KeyCount(self.counters, checked.numbers[entry.id], self._worker))
            for entry in checked.keys
            if entry.id in checked.numbers
        }

    def take_elsewhere(self, day: int, spent: Mapping[str, tuple[float, float]]) -> None:
        """Take what other processes spent: by key, on that day and in its month."""
        for key, (today, month) in spent.items():
            if (account := self._accounts.get(key)) is not None:
                account.count.set_elsewhere(day, today, month)

    def take_asked_elsewhere(self, minute: int, asked: Mapping[str, tuple[int, int]]) -> None:
        """Take what other processes answered in that minute: requests and tokens by key."""
        for key, (requests, tokens) in asked.items():
            if (account := self._accounts.get(key)) is not None:
                account.count.set_asked_elsewhere(minute, requests, tokens)

    def spent(self, key: str) -> tuple[float, float, float]:
        """Return what a key spent today and this month, and what its requests under way are expected to cost."""
        return self._accounts[key].count.spent(int(self._clock() // DAY_S))

    def enter(self, key: str | None) -> Sequence[bytes]:
        """Let a request come in, and count it. Returns headers that its answer has whatever it says.

        Raises Refusal (429) when the key has used up what it may.
        """
        account = self._accounts.get(key) if key is not None else None
        if account is None or not account.limited:
            return ()
        now = self._clock()
        lines = self._check_rates(account, now, new=1) if account.rated else []
        if account.budgets:
            lines += self._check_budgets(account, now)
        account.count.add_request(int(now // MINUTE_S))
        account.fresh = True
        return lines

    def hold(self, exchange: LiveRequest, model: str) -> None:
        """Count what asking a model is expected to use, until `settle`. model: its full name.

        Raises Refusal: 429 when the key has used up what it may meanwhile, 403 when its budget can't
        hold for the model.
        """
        ticket = exchange.ticket
        account = self._accounts.get(ticket.key) if ticket.key is not None else None
        if account is None or not account.limited or ticket.route in FREE_ROUTES:
            return
        cost: float | None = 0.0
        asked = exchange.chat.size // BYTES_A_TOKEN
        answer = 0 if ticket.route in WITHOUT_TEXT else _expected_answer(exchange.chat.fields)
        if account.budgets:
            cost = self.costs.expected(model, asked, answer, EXPECTED_S)
            if (cost is None or account.terms.currency != self._currency) and account.terms.on_budget == "hard":
                self._check_price(account, model, cost)
        held = ticket.held
        if not held.times and not account.fresh:
            now = self._clock()
            self._check_rates(account, now, new=0)
            self._check_budgets(account, now, quietly=True)
        account.fresh = False
        account.count.hold(cost or 0.0, asked + answer)
        held.cost += cost or 0.0
        held.tokens += asked + answer
        held.times += 1
        held.count, held.model, held.answer, held.pieces = account.count, model, answer, 0

    def settle(self, record: RequestRecord, ticket: Ticket) -> RequestRecord:
        """Count what a request used, and no longer what was expected.

        Where its cost is not known, what was expected stays counted, and the record says so.
        """
        held = ticket.held
        if held.count is not None:
            held.count.let_go(held.cost, held.tokens, held.times)
        account = self._accounts.get(ticket.key) if ticket.key is not None else None
        # What a key without limits spends counts as soon as it gets a budget.
        if account is None or not (account.limited or record.cost):
            return record
        rows, cost = ticket.bill.rows, record.cost
        tokens, told = 0, not rows
        for row in rows:
            usage = row.usage
            if not row.again and (usage.input_tokens is not None or usage.output_tokens is not None):
                tokens, told = tokens + (usage.input_tokens or 0) + (usage.output_tokens or 0), True
        if held.times:
            more = held.pieces - held.answer if held.pieces else 0
            if not told:
                tokens = held.tokens + more
            if cost is None and rows and account.budgets:
                cost = max(0.0, held.cost + more * (self.costs.expected(held.model, 0, 1, 0.0) or 0.0))
                record = msgspec.structs.replace(record, charged=cost)
        account.count.add(self._clock(), cost or 0.0, tokens)
        return record

    def _check_rates(self, account: _Account, now: float, *, new: int) -> list[bytes]:
        """Return the headers that say what is left. Raises Refusal. new: requests that are not counted yet."""
        minute = int(now // MINUTE_S)
        wait_s = int((minute + 1) * MINUTE_S - now) or 1
        requests, tokens, held = account.count.asked(minute)
        lines: list[bytes] = []
        over: _RateLines | None = None
        for one in account.rates:
            used = requests + new if one.rate == "requests" else tokens + held
            lines += one.lines(used, wait_s)
            if over is None and used >= one.limit + (one.rate == "requests"):
                over = one
        if over is not None:
            self._count(self._refused, over.rate)
            said, wait = too_many_text(over.rate, over.limit, wait_s), b"Retry-After: %d" % wait_s
            headers = (wait, *lines) if new else (wait,)  # a request that came in has the others already
            raise Refusal(429, said, code="rate_limit_exceeded", kind="rate_limit_error", headers=headers)
        return lines

    def _budgets(self, account: _Account, now: float) -> Iterator[_Budget]:
        day = int(now // DAY_S)
        today, month, held = account.count.spent(day)
        for span, budget in account.budgets:
            if span == "day":
                yield _Budget(span, budget, today, held, float((day + 1) * DAY_S))
            else:
                yield _Budget(span, budget, month, held, float(end_of_month(day) * DAY_S))

    def _check_budgets(self, account: _Account, now: float, *, quietly: bool = False) -> list[bytes]:
        """Return what a used-up budget says that only warns. Raises Refusal for others."""
        today, month, held = account.count.spent(int(now // DAY_S))
        if today + held < account.budget_day and month + held < account.budget_month:
            return []
        lines = []
        for one in self._budgets(account, now):
            if one.spent + one.held < one.budget:
                continue
            if account.terms.on_budget == "hard":
                raise self._used_up(one, now)
            if one.spent >= one.budget and not quietly:
                self._warn(account, one)
                told = (one.span.encode(), one.budget, one.spent, moment(one.until).encode())
                lines.append(b"x-selfopt-budget: %s; budget=%.6g; spent=%.6g; until=%s" % told)
        return lines

    def _used_up(self, one: _Budget, now: float) -> Refusal:
        self._count(self._refused, f"budget_{one.span}")
        if one.spent < one.budget:
            said = held_text(one.span, one.budget, self._currency)
            return Refusal(429, said, code="rate_limit_exceeded", kind="rate_limit_error", headers=(b"Retry-After: 1",))
        said = used_up_text(one.span, one.budget, one.spent, self._currency, one.until)
        wait = b"Retry-After: %d" % max(1, int(one.until - now))
        return Refusal(429, said, code="insufficient_quota", kind="insufficient_quota", headers=(wait,)).for_good()

    def _warn(self, account: _Account, one: _Budget) -> None:
        self._count(self._warned, one.span)
        if self._logged.get((account.key, one.span)) != one.until:
            self._logged[account.key, one.span] = one.until
            log.warning("%s", warned_text(account.key, one.span, one.budget, one.spent, self._currency))

    def _check_price(self, account: _Account, model: str, cost: float | None) -> None:
        """Raise Refusal where a hard budget can't hold."""
        if cost is None:
            said = unpriced_text(escape_control(model, 200))
        elif cost:
            said = other_currency_text(account.terms.currency, self._currency)
        else:
            return
        self._count(self._refused, "price")
        raise Refusal(403, said, code="budget_cannot_hold", kind="permission_error", param="model").for_good()

    @staticmethod
    def _count(counts: dict[str, int], why: str) -> None:
        counts[why] = counts.get(why, 0) + 1

    def lines(self) -> Iterator[str]:
        """The counters as text, for Prometheus."""
        for name, text, label, counts in (
            ("allowance_refusals_total", "Requests refused because of what their key may use, by what.", "limit", self._refused),
            ("budget_warnings_total", "Requests served though their key's budget is used up, by its span.", "span", self._warned),
        ):
            yield f"# HELP selfopt_{name} {text}"
            yield f"# TYPE selfopt_{name} counter"
            yield from (f'selfopt_{name}{{{label}="{why}"}} {count}' for why, count in sorted(counts.items()))
        yield "# HELP selfopt_budget_used_share How much of a key's budget is spent; above 1 where it only warns."
        yield "# TYPE selfopt_budget_used_share gauge"
        now = self._clock()
        for account in self._accounts.values():
            for one in self._budgets(account, now):
                share = one.spent / one.budget if one.budget else 1.0
                yield f'selfopt_budget_used_share{{key="{account.key}",span="{one.span}"}} {share:.6g}'


def _expected_answer(fields: Mapping[str, msgspec.Raw]) -> int:
    """Return how many tokens an answer is expected to have: five hundred, or the request's limit if that is less."""
    if "max_tokens" not in fields and "max_completion_tokens" not in fields:
        return EXPECTED_ANSWER
    for name in _LIMITS:
        if (raw := fields.get(name)) is not None:
            try:
                return min(EXPECTED_ANSWER, max(0, _read_limit(raw)))
            except msgspec.DecodeError:
                continue
    return EXPECTED_ANSWER
