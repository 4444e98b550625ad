"""What traffic cost beside the models that were asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway.savings import Spending, SpentAttempt, SpentRecord, cost_as_asked
from selfopt.records import Price, Usage, cost_of

from .kit import chat, gateway_world, tool_chat, until
from .test_costs import WITH_PRICES
from .test_escalation import MODELS, asking, sure_rule
from .test_metrics import figures

PRICES = {"up/small": Price(input=1.0, output=2.0), "up/large": Price(input=10.0, output=20.0), "up/hourly": Price(per_hour=36.0)}


def price(model: str, usage: Usage, busy_s: float | None) -> float | None:
    """What so many tokens cost."""
    return cost_of(PRICES.get(model), usage, busy_s)


def spent(model: str = "up/small", *attempts: str, **fields: Any) -> SpentRecord:
    """A record of a request for a model, that these were asked for."""
    told = {"input_tokens": 1_000_000, "output_tokens": 100_000, "cost": 1.2, "outcome": "served", "served": "up/small", **fields}
    return SpentRecord(model=model, attempts=tuple(SpentAttempt(model=name) for name in attempts or (model,)), **told)


def test_what_the_model_asked_for_answered_alone_saved_nothing() -> None:
    """It costs what it cost, whatever was tried again."""
    assert cost_as_asked(spent(), price) == 1.2
    assert cost_as_asked(spent("up/small", "up/small", "up/small", cost=3.0), price) == 3.0
    assert cost_as_asked(spent("up/SMALL", "up/small"), price, str.lower) == 1.2


def test_what_another_model_answered_is_estimated_by_its_tokens() -> None:
    """At the price of the model asked for, in either direction."""
    assert cost_as_asked(spent("up/large", "up/small"), price) == pytest.approx(12.0)
    assert cost_as_asked(spent("up/small", "up/small", "up/large", served="up/large", cost=13.2), price) == pytest.approx(1.2)


@pytest.mark.parametrize(
    "record",
    [
        spent("up/unpriced", "up/small"),
        spent("up/hourly", "up/small"),
        spent("up/large", "up/small", input_tokens=None),
        spent("up/large", "up/small", outcome="failed"),
        spent("up/large", served=None),
    ],
    ids=["no price", "by the hour", "no counts", "no answer", "refused"],
)
def test_what_nobody_knows_is_not_compared(record: SpentRecord) -> None:
    """Neither as a saving nor as a loss."""
    sums = Spending()
    sums.add(record, cost_as_asked(record, price))
    assert (sums.compared, sums.saved) == (0, 0)


RECORDS = st.builds(
    spent,
    st.sampled_from(["up/small", "up/large", "up/unpriced"]),
    st.sampled_from(["up/small", "up/large"]),
    input_tokens=st.none() | st.integers(0, 10**9),
    output_tokens=st.none() | st.integers(0, 10**9),
    cost=st.none() | st.floats(0, 1e6),
    cost_alone=st.none() | st.floats(0, 1e6),
    outcome=st.sampled_from(["served", "diverted", "refused", "failed"]),
    escalated=st.sampled_from([(), ("unsure",)]),
)


@given(st.lists(RECORDS, max_size=20))
def test_sums_are_of_the_same_requests(records: list[SpentRecord]) -> None:
    """What was saved compares costs of one set of requests, and no share is above one."""
    sums = Spending()
    for record in records:
        sums.add(record, cost_as_asked(record, price))
    known = [(r.cost, a) for r in records if r.cost is not None and (a := cost_as_asked(r, price)) is not None]
    assert sums.compared == len(known)
    assert sums.saved == pytest.approx(sum(a for _, a in known) - sum(c for c, _ in known), abs=1e-3)
    assert sums.requests == len(records) >= sums.answered >= sums.escalated
    assert sums.escalated_share is None or 0 <= sums.escalated_share <= 1
    assert sums.cost == pytest.approx(sum(r.cost for r in records if r.cost is not None))


def test_a_record_of_an_older_version_is_read() -> None:
    """Fields that it lacks are as if nobody had told."""
    old = b'{"kind":"request","at":"2026-01-01T00:00:00Z","id":"req-1","outcome":"served","model":"a/b","attempts":[{"model":"a/b","ms":1.0}]}'
    record = msgspec.json.decode(old, type=SpentRecord)
    assert (record.model, record.cost, record.attempts[0].model) == ("a/b", None, "a/b")


async def test_metrics_tell_what_was_saved(tmp_path: Path) -> None:
    """A rule serves another model than the one asked for, which is ten times as dear."""
    async with gateway_world(tmp_path, settings=WITH_PRICES) as world:
        world.enforcer.set_rule("up/other", "atomic", allow=False, fallback="up/good")
        await world.reload()
        await world.post(tool_chat("up/other"))
        await until(lambda: len(world.records) == 1)
        cost = world.records[0].cost
        assert cost is not None
        found = figures((await world.get("/metrics")).text)
        assert found["selfopt_cost_as_asked_total"] == pytest.approx(10 * cost)
        assert found["selfopt_cost_as_asked_beside_total"] == pytest.approx(cost)
        assert found["selfopt_cost_as_asked_chats_total"] == 1


async def test_an_answer_says_what_it_cost_if_it_is_asked_to(tmp_path: Path) -> None:
    """As the record does; a stream can't, as its head goes out first."""
    async with gateway_world(tmp_path, settings=WITH_PRICES) as world:
        told = await world.post(chat(), {"x-selfopt-cost": "on"})
        await until(lambda: len(world.records) == 1)
        assert float(told.headers["x-selfopt-cost"]) == pytest.approx(world.records[0].cost)
        assert "x-selfopt-cost" not in (await world.post(chat())).headers
        assert (await world.post(chat(stream=True), {"x-selfopt-cost": "on"})).headers["x-selfopt-cost"] == "later"
        refused = await world.post(chat(), {"x-selfopt-cost": "please"})
        assert (refused.status, refused.error["code"]) == (400, "invalid_header")
    async with gateway_world(tmp_path, settings=f"allow_remote = true\n{WITH_PRICES}") as world:
        assert (await world.post(chat("away/good"), {"x-selfopt-cost": "on"})).headers["x-selfopt-cost"] == "unknown"


@pytest.mark.parametrize("parallel", [False, True])
async def test_the_cost_of_an_escalated_answer_is_that_of_both(tmp_path: Path, parallel: bool) -> None:
    """Where both are asked at once, it is known once both have ended."""
    prices = '[prices."up/m"]\ninput = 1.0\noutput = 2.0\n[prices."up/other"]\ninput = 10.0\noutput = 20.0\n'
    async with gateway_world(tmp_path, MODELS, settings=prices) as world:
        await sure_rule(world, parallel=parallel)
        for text in ("weather, surely", "weather, maybe"):
            answer = await world.post(asking(text), {"x-selfopt-cost": "on"})
            if parallel:
                assert answer.headers["x-selfopt-cost"] == "later"
            else:
                await until(lambda answer=answer: answer.headers["x-request-id"] in [record.id for record in world.records])  # type: ignore[misc]
                assert float(answer.headers["x-selfopt-cost"]) == pytest.approx(world.records[-1].cost)


def test_a_spending_begins_at_nothing() -> None:
    """And a copy is no other."""
    assert replace(Spending()) == Spending()
    assert Spending().escalated_share is None
