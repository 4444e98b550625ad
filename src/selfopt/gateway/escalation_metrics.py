"""Counts how often answers were sure enough, and why they were not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from .exposition import head
from .ticket import Ticket

BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class EscalationCounters:
    """The counters of one process. All labels are from closed lists."""

    def __init__(self) -> None:
        self._outcomes = {"served": 0, "escalated": 0, "refused": 0, "below": 0}
        self._reasons: dict[str, int] = {}
        self._raced: dict[str, int] = {}
        self._compared = {"agrees": 0, "differs": 0, "unknown": 0}
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def add(self, ticket: Ticket, outcome: str) -> None:
        """Count a chat that ended. outcome: of its record."""
        for attempt in ticket.attempts:
            if attempt.second:
                self._compared["unknown" if attempt.agrees is None else "agrees" if attempt.agrees else "differs"] += 1
            if attempt.confidence is not None:
                self._buckets[bisect_left(BOUNDS, attempt.confidence)] += 1
                self._sum += attempt.confidence
        if ticket.raced is not None:
            self._raced[ticket.raced] = self._raced.get(ticket.raced, 0) + 1
        for reason in ticket.escalated:
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if ticket.below:
            self._outcomes["below"] += 1
        elif ticket.escalated:
            self._outcomes["escalated" if outcome == "diverted" else "refused"] += 1
        elif ticket.judged:
            self._outcomes["served"] += 1

    def lines(self) -> Iterator[str]:
        """The figures in Prometheus's text format."""
        yield from head(
            "selfopt_sure_answers_total", "counter", "Chats under rules that serve when sure, by what became of them."
        )
        yield from (f'selfopt_sure_answers_total{{outcome="{name}"}} {count}' for name, count in self._outcomes.items())
        total = sum(self._outcomes.values())
        yield from head("selfopt_served_share", "gauge", "Share of these that the model asked for was sure of, since the start.")
        yield f"selfopt_served_share {self._outcomes['served'] / total if total else 0:g}"
        yield from head("selfopt_escalations_total", "counter", "Why a stronger model had to answer.")
        yield from (f'selfopt_escalations_total{{reason="{name}"}} {count}' for name, count in sorted(self._reasons.items()))
        yield from head(
            "selfopt_raced_answers_total", "counter", "Stronger models that were asked at the same time, by what became of it."
        )
        yield from (f'selfopt_raced_answers_total{{outcome="{name}"}} {count}' for name, count in sorted(self._raced.items()))
        yield from head("selfopt_second_ways_total", "counter", "Second ways of asking, by what the calls were like.")
        yield from (f'selfopt_second_ways_total{{outcome="{name}"}} {count}' for name, count in self._compared.items())
        yield from head("selfopt_confidence", "histogram", "Confidence of the answers that were judged.")
        below = 0
        for bound, count in zip(BOUNDS, self._buckets, strict=False):
            below += count
            yield f'selfopt_confidence_bucket{{le="{bound:g}"}} {below}'
        below += self._buckets[-1]
        yield f'selfopt_confidence_bucket{{le="+Inf"}} {below}'
        yield f"selfopt_confidence_sum {self._sum:.6f}"
        yield f"selfopt_confidence_count {below}"
