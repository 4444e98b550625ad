"""What a live request cost: every attempt, also those that did not serve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from selfopt.gateway.costs import Bill, CostBook, CostCounters
from selfopt.gateway.ticket import RequestRecord, Ticket
from selfopt.records import Price, RouteDecision, Rule, Usage

from .kit import chat, gateway_world, tool_chat
from .test_escalation import MODELS, asking, sure_rule
from .test_metrics import figures

SMALL, LARGE = Price(input=1.0, output=2.0, cached=0.1), Price(input=10.0, output=20.0)
PRICES = {"up/small": SMALL, "up/large": LARGE, "up/hourly": Price(per_hour=36.0)}
WITH_PRICES = '[prices."up/good"]\ninput = 1.0\noutput = 2.0\n[prices."up/other"]\ninput = 10.0\noutput = 20.0\n'


def book(**prices: Price) -> CostBook:
    """A book of the prices, in which what is called local is on this machine."""
    return CostBook({**PRICES, **prices}.get, is_local=lambda model: model.startswith("local/"))


def ticket_of(*attempts: tuple[str, Usage | None, float, str], fallback: str | None = None) -> Ticket:
    """A ticket with attempts: model, counts, seconds, fault."""
    ticket = Ticket(0.0, model="up/small", served=attempts[-1][0] if attempts else None, outcome="served")
    for model, usage, busy_s, fault in attempts:
        if usage is not None:
            ticket.bill.told(usage.input_tokens, usage.output_tokens, usage.cached_tokens)
        ticket.bill.close(model, busy_s, fault)
    if fallback is not None:
        rule = Rule(rule_id="rule-1", model="up/small", phase="atomic", allow=True, fallback=fallback)
        ticket.decision = RouteDecision(outcome="allow", original_model="up/small", model="up/small", phase="atomic", rule=rule)
    return ticket


def priced(ticket: Ticket, **prices: Price) -> RequestRecord:
    """The record of a ticket, with its costs."""
    return book(**prices).priced(ticket.record("", 1.0, 200), ticket)


USED = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=500_000)


def test_an_escalated_request_costs_both_attempts() -> None:
    """Alone, the stronger model would have cost what it did."""
    record = priced(ticket_of(("up/small", USED, 1.0, "protocol"), ("up/large", USED, 2.0, ""), fallback="up/large"))
    assert record.cost == pytest.approx(0.5 + 0.05 + 0.2 + 12.0)
    assert record.cost_alone == pytest.approx(12.0)


def test_a_request_that_the_small_model_serves_is_compared_by_an_estimate() -> None:
    """The same tokens at the stronger model's price; without one there is nothing to compare."""
    served = ("up/small", USED, 1.0, "")
    assert priced(ticket_of(served, fallback="up/large")).cost_alone == pytest.approx(12.0)
    assert priced(ticket_of(served)).cost_alone is None
    assert priced(ticket_of(served, fallback="up/unpriced")).cost_alone is None
    assert priced(ticket_of(served, fallback="local/any")).cost_alone == 0.0


def test_nobody_knows_how_long_another_model_would_have_taken() -> None:
    """A stronger model that is paid by the hour is compared only where it served."""
    assert priced(ticket_of(("up/small", USED, 1.0, ""), fallback="up/hourly")).cost_alone is None
    assert priced(ticket_of(("up/hourly", USED, 10.0, ""), fallback="up/hourly")).cost_alone == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("fault", "cost"), [("connect", 0.0), ("rate_limited", 0.0), ("server", 0.0), ("timeout", None), ("broken_off", None)]
)
def test_a_failed_attempt_is_free_only_where_no_model_can_have_worked(fault: str, cost: float | None) -> None:
    """Whoever ran into a timeout may be sent a bill all the same."""
    assert priced(ticket_of(("up/small", None, 60.0, fault))).cost == cost


def test_what_has_no_price_costs_nothing_on_this_machine_and_is_unknown_elsewhere() -> None:
    """One unknown attempt makes the whole unknown."""
    local, other = ("local/m", USED, 1.0, "protocol"), ("up/unpriced", USED, 1.0, "")
    assert priced(ticket_of(local)).cost == 0.0
    assert priced(ticket_of(local, other)).cost is None
    assert priced(ticket_of()).cost is None


def test_a_copy_of_a_ticket_has_a_bill_of_its_own() -> None:
    """Two models that are asked at the same time don't mix their counts."""
    ticket = ticket_of(("up/small", USED, 1.0, ""))
    copy = replace(ticket, attempts=[])
    assert copy.bill.rows == []
    assert len(ticket.bill.rows) == 1


def test_an_attempt_forgets_the_counts_of_the_one_before() -> None:
    """What one said is not billed twice."""
    bill = Bill()
    bill.told(5, 5, None)
    bill.close("up/small", 1.0, "protocol")
    bill.close("up/small", 1.0, "connect")
    assert [row.usage.input_tokens for row in bill.rows] == [5, 0]


def test_an_answer_that_was_held_and_then_served_is_paid_once() -> None:
    """Its counts are those of the attempt that got it."""

    @dataclass
    class Work:
        usage: Usage

    ticket = ticket_of(("up/small", None, 0.0, "connect"), fallback="up/large")
    for fault in ("", ""):
        ticket.bill.follow(Work(USED))
        ticket.bill.close("up/small", 1.0, fault)
    record = priced(ticket)
    assert record.cost == pytest.approx(0.75)
    assert record.cost_alone == pytest.approx(12.0)


async def test_records_and_metrics_tell_what_chats_cost(tmp_path: Path) -> None:
    """Passed on, streamed and through the adapter's counts; compared where a rule names a stronger model."""
    async with gateway_world(tmp_path, settings=WITH_PRICES) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True, fallback="up/other")
        await world.reload()
        await world.post(tool_chat("up/good"))
        await world.post(chat("up/good"))
        first, second = world.records
        used = Usage(input_tokens=first.input_tokens, output_tokens=first.output_tokens)
        assert used.input_tokens
        cost = ((first.input_tokens or 0) + 2 * (first.output_tokens or 0)) / 1_000_000
        assert first.cost is not None
        assert first.cost == pytest.approx(cost)
        assert first.cost_alone == pytest.approx(10 * cost)
        assert second.cost is not None
        found = figures((await world.get("/metrics")).text)
        assert found["selfopt_cost_total"] == pytest.approx(first.cost + second.cost)
        assert found["selfopt_cost_known_chats_total"] == 2
        assert found["selfopt_cost_unknown_chats_total"] == 0
        assert found["selfopt_cost_stronger_alone_total"] == pytest.approx((first.cost_alone or 0) + (second.cost_alone or 0))


def break_even(counters: CostCounters) -> dict[str, float]:
    """The break-even shares that are told, by what they are of."""
    found = figures("\n".join(counters.lines()))
    return {
        by: value for by in ("cost", "time") if (value := found.get(f'selfopt_escalation_break_even{{by="{by}"}}')) is not None
    }


def counted(counters: CostCounters, *attempts: tuple[str, Usage | None, float, str], **fields: Any) -> None:
    """Count a chat of the small model under a rule that serves when sure."""
    ticket = replace(
        ticket_of(*attempts, fallback="up/large"), outcome="diverted" if fields.get("escalated") else "served", **fields
    )
    ticket.bill = ticket_of(*attempts).bill
    counters.add(priced(ticket), ticket)


def test_the_break_even_share_is_that_of_the_chats_that_were_judged() -> None:
    """The small model costs a sixteenth: 0.75 of 12. It takes 1 s, and the stronger one 4 s."""
    counters = CostCounters()
    assert break_even(counters) == {}
    counted(counters, ("up/small", USED, 1.0, ""), least=0.8)
    assert break_even(counters) == {"cost": pytest.approx(0.9375)}
    counted(counters, ("up/small", USED, 1.0, ""), ("up/large", USED, 4.0, ""), least=0.8, escalated=["unsure"])
    told = {"cost": pytest.approx(0.9375), "time": pytest.approx(0.75)}
    assert break_even(counters) == told
    counted(counters, ("up/small", USED, 50.0, ""), ("up/large", USED, 1.0, ""), least=0.8, escalated=["unsure"], raced="used")
    counted(counters, ("up/small", USED, 50.0, ""))
    assert break_even(counters) == told


def test_a_conversation_that_stays_with_the_stronger_model_asks_the_small_one_nothing() -> None:
    """It tells how long the stronger one takes, and no more."""
    counters = CostCounters()
    counted(counters, ("up/small", USED, 1.0, ""), least=0.8)
    counted(counters, ("up/large", USED, 2.0, ""), escalated=["unsure"])
    assert break_even(counters) == {"cost": pytest.approx(0.9375), "time": pytest.approx(0.5)}


async def test_metrics_tell_below_which_share_escalating_pays(tmp_path: Path) -> None:
    """By the costs that the records hold."""
    prices = '[prices."up/m"]\ninput = 1.0\noutput = 2.0\n[prices."up/other"]\ninput = 10.0\noutput = 20.0\n'
    async with gateway_world(tmp_path, MODELS, settings=prices) as world:
        await sure_rule(world)
        await world.post(asking("weather, surely"))
        await world.post(asking("weather, maybe"))
        served, escalated = world.records
        assert None not in (served.cost, served.cost_alone, escalated.cost, escalated.cost_alone)
        small = (served.cost or 0) + (escalated.cost or 0) - (escalated.cost_alone or 0)
        large = (served.cost_alone or 0) + (escalated.cost_alone or 0)
        found = figures((await world.get("/metrics")).text)
        assert found['selfopt_escalation_break_even{by="cost"}'] == pytest.approx(1 - small / large, rel=1e-5)
        assert 0 <= found['selfopt_escalation_break_even{by="time"}'] <= 1
