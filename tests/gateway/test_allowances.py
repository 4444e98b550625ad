"""Keys are held to their budgets and rates, whatever the route and however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.chat_body import BodyLimits, at_once
from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.messages_client import MESSAGES_CLIENT
from selfopt.dialects.openai_client import OPENAI_CLIENT
from selfopt.dialects.refusal import Refusal
from selfopt.dialects.responses_client import RESPONSES_CLIENT
from selfopt.gateway import Allowances, CostBook
from selfopt.gateway.live_request import LiveRequest
from selfopt.gateway.ticket import RequestRecord, Ticket
from selfopt.home import CheckedKeys, GatewayKey, KeyTerms
from selfopt.records import Price
from selfopt.verbs.keys import add_key, set_key

from .kit import World, chat, gateway_world, until
from .servers import Said, raw_upstream
from .test_costs import WITH_PRICES
from .test_metrics import figures
from .test_streaming import entry

AWAY = '[prices."away/good"]\ninput = 1.0\noutput = 2.0\n'


def bearer(key: str) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def limited_world(
    tmp_path: Path, *, settings: str = WITH_PRICES, **terms: Any
) -> AsyncIterator[tuple[World, dict[str, str]]]:
    """A gateway, and the header of a key with these terms."""
    async with gateway_world(tmp_path, settings=settings, on_disk=True) as world:
        key, _ = add_key(world.app, "mine", terms=terms)
        await until(lambda: world.gateway.parts.keys.find(key) is not None)
        yield world, bearer(key)


async def test_a_key_without_terms_has_no_limits_and_no_headers_of_them(tmp_path: Path) -> None:
    """As it was before there were any."""
    async with limited_world(tmp_path) as (world, key):
        for _ in range(5):
            answer = await world.post(chat(), key)
            assert answer.status == 200
            assert not [name for name in answer.headers if "ratelimit" in name or "budget" in name]


async def test_a_used_up_budget_refuses_and_says_until_when(tmp_path: Path) -> None:
    """As OpenAI's libraries expect it, so that none of them asks again by itself."""
    async with limited_world(tmp_path, budget_day=1e-6, budget_month=10) as (world, key):
        assert (await world.post(chat(), key)).status == 200
        refused = await world.post(chat(), key)
        assert (refused.status, refused.error["type"], refused.error["code"]) == (429, "insufficient_quota", "insufficient_quota")
        assert "1e-06 a day is used up" in refused.error["message"]
        assert refused.error["message"].endswith("T00:00:00Z")
        assert refused.headers["x-should-retry"] == "false"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        found = figures((await world.get("/metrics", key)).text)
        assert found['selfopt_allowance_refusals_total{limit="budget_day"}'] == 1
        assert found['selfopt_turned_away_total{status="429"}'] == 1


async def test_a_budget_that_warns_serves_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a header of each answer, in metrics, and once a day in the log."""
    async with limited_world(tmp_path, budget_day=1e-6, on_budget="warn") as (world, key):
        first, *others = [await world.post(chat(), key) for _ in range(3)]
        assert "x-selfopt-budget" not in first.headers
        for answer in others:
            assert answer.status == 200
            assert answer.headers["x-selfopt-budget"].startswith("day; budget=1e-06; spent=")
        found = figures((await world.get("/metrics", key)).text)
        assert found['selfopt_budget_warnings_total{span="day"}'] == 2
        assert [record.getMessage() for record in caplog.records if "which only warns" in record.getMessage()].__len__() == 1


async def test_a_raised_budget_lets_the_key_ask_again(tmp_path: Path) -> None:
    """Without a restart, and what was spent stays spent."""
    async with limited_world(tmp_path, budget_day=1e-6) as (world, key):
        statuses = [(await world.post(chat(), key)).status for _ in range(2)]
        assert statuses == [200, 429]
        for budget, status in ((10.0, 200), (1e-6, 429)):
            set_key(world.app, "mine", {"budget_day": budget})
            while (await world.post(chat(), key)).status != status:  # noqa: ASYNC110  the file is looked at a few times a second
                await asyncio.sleep(0)


async def test_requests_of_a_minute_are_counted(tmp_path: Path) -> None:
    """Each answer says how many are left; those beyond wait for the next minute."""
    async with limited_world(tmp_path, requests_per_minute=1_000_000, tokens_per_minute=10_000_000) as (world, key):
        answers = [await world.post(chat(), key) for _ in range(2)]
        left = [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers]
        assert all(answer.headers["x-ratelimit-limit-requests"] == "1000000" for answer in answers)
        assert left[0] in (left[1] + 1, left[1])  # a minute may have begun
        assert answers[0].headers["x-ratelimit-reset-tokens"].endswith("s")


async def test_a_hard_budget_refuses_what_has_no_price(tmp_path: Path) -> None:
    """It could not hold. What is on this machine costs nothing, and a budget that warns lets all pass."""
    environ = {"SELFOPT_ALLOW_REMOTE": "true"}
    async with gateway_world(tmp_path, environ=environ, on_disk=True) as world:
        key, _ = add_key(world.app, "mine", terms={"budget_day": 5})
        await until(lambda: world.gateway.parts.keys.find(key) is not None)
        refused = await world.post(chat("away/good"), bearer(key))
        assert (refused.status, refused.error["code"]) == (403, "budget_cannot_hold")
        assert "away/good has no price" in refused.error["message"]
        assert not world.upstream.journal
        assert (await world.post(chat("up/good"), bearer(key))).status == 200
        warned, _ = add_key(world.app, "warned", terms={"budget_day": 5, "on_budget": "warn"})
        await until(lambda: world.gateway.parts.keys.find(warned) is not None)
        assert (await world.post(chat("away/good"), bearer(warned))).status == 200


async def test_what_was_spent_survives_a_restart(tmp_path: Path) -> None:
    """The records are on disk, and the next gateway of the home adds them up before it listens."""
    async with limited_world(tmp_path, budget_month=1e-6) as (world, key):
        assert (await world.post(chat(), key)).status == 200
    async with gateway_world(tmp_path, settings=WITH_PRICES, on_disk=True) as world:
        refused = await world.post(chat(), key)
        assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")


async def test_what_another_gateway_of_the_home_spent_is_seen(tmp_path: Path) -> None:
    """Each reads what the other records, a few seconds later."""
    async with limited_world(tmp_path, budget_day=1e-6) as (world, key):
        (tmp_path / "second").mkdir()
        environ = {"SELFOPT_HOME": str(tmp_path / "home")}
        async with gateway_world(tmp_path / "second", settings=WITH_PRICES, environ=environ, on_disk=True) as other:
            assert (await world.post(chat(), key)).status == 200
            spent, allowances = other.gateway.parts.spent, other.gateway.parts.chat.allowances
            assert spent is not None
            mine = world.app.keys.read()[0].id

            def seen() -> float:
                spent.look()
                return allowances.spent(mine)[0]

            await until(lambda: seen() > 0)
            assert (await other.post(chat(), key)).status == 429
            assert seen() == world.gateway.parts.chat.allowances.spent(mine)[0]  # nothing is counted twice


async def test_many_at_once_do_not_overshoot(tmp_path: Path) -> None:
    """What runs is expected to use something, and the others wait for what it does use."""
    models = {"slow": {"default": {"text": "Hello.", "latency_ms": 200}}}
    prices = '[prices."up/slow"]\ninput = 1.0\noutput = 2.0\n'
    async with gateway_world(tmp_path, models, settings=prices, on_disk=True) as world:
        key, _ = add_key(world.app, "mine", terms={"budget_day": 0.0015})
        await until(lambda: world.gateway.parts.keys.find(key) is not None)
        answers = await asyncio.gather(*(world.post(chat("up/slow"), bearer(key)) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * 18
        held = next(answer for answer in answers if answer.status == 429)
        assert (held.error["code"], held.headers["retry-after"]) == ("rate_limit_exceeded", "1")
        assert (await world.post(chat("up/slow"), bearer(key))).status == 200  # nothing is held any more


PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat(),
    "/v1/messages": chat(max_tokens=5),
    "/v1/responses": {"model": "up/good", "input": "hi"},
    "/v1/embeddings": {"model": "up/good", "input": "hi"},
    "/v1/completions": {"model": "up/good", "prompt": "hi"},
    "/v1/rerank": {"model": "up/good", "query": "hi", "documents": ["a"]},
}


async def test_a_used_up_budget_holds_on_every_route(tmp_path: Path) -> None:
    """In the form that the clients of each expect. Feedback and the counting of tokens are free."""
    async with limited_world(tmp_path, budget_day=0, requests_per_minute=1000) as (world, key):
        for path, body in PATHS.items():
            refused = await world.post(body, key, path)
            assert refused.status == 429, path
            assert refused.headers["x-should-retry"] == "false"
            error = refused.body["error"]
            assert "budget of 0 a day is used up" in error["message"]
            assert error.get("code", "insufficient_quota") == "insufficient_quota"
        free = await world.post({"request_id": "req-0", "success": True}, key, "/v1/feedback")
        assert free.status != 429
        assert "x-ratelimit-limit-requests" not in free.headers
        assert (await world.post(chat(), key, "/v1/messages/count_tokens")).status != 429
        assert not [one for one in world.upstream.journal if "count_tokens" not in str(one)]


async def test_a_stream_without_counts_counts_by_its_events(tmp_path: Path) -> None:
    """Else whoever asks for no counts would have a budget without an end. The record says what counted."""
    said = Said("x" * 2000, cuts=None)
    prices = '[prices."raw/m"]\ninput = 0.0\noutput = 1_000_000\n'
    async with raw_upstream(said) as url, gateway_world(tmp_path, settings=f"{prices}{entry('raw', url)}") as world:
        key, made = add_key(world.app, "mine", terms={"budget_day": 1e9, "tokens_per_minute": 10**9})
        await until(lambda: world.gateway.parts.keys.find(key) is not None)
        answer = await world.post(chat("raw/m", stream=True), bearer(key))
        assert answer.text.count("data:") in range(2000, 2004)
        await until(lambda: len(world.records) == 1)
        record = world.records[0]
        assert record.cost is None
        assert record.charged == pytest.approx(2000, abs=10)
        today, _, held = world.gateway.parts.chat.allowances.spent(made.id)
        assert (today, held) == (record.charged, 0)


@dataclass
class Purse:
    """Allowances of one key whose clock the test sets, and requests of it."""

    terms: KeyTerms
    now: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        entry = GatewayKey(id="key-00000000", name="k", sha256="0" * 64, created_at="", terms=self.terms)
        price = Price(input=1_000_000, output=1_000_000)
        book = CostBook({"up/m": price}.get, is_local=lambda model: model.startswith("local/"))
        self.allowances = Allowances(book, clock=lambda: self.now, currency="EUR")
        self.allowances.follow(CheckedKeys((entry,), required=True, numbers={entry.id: 0}))

    def begin(self, size: int = 40, model: str = "up/m", limit: int | None = 10) -> Ticket:
        """A request that is let in and asks a model. Raises Refusal."""
        self.allowances.enter("key-00000000")
        ticket = Ticket(0.0, key="key-00000000", model=model)
        fields = {} if limit is None else {"max_tokens": msgspec.Raw(str(limit).encode())}
        chat_body = SimpleNamespace(size=size, fields=fields)
        self.allowances.hold(cast(LiveRequest, SimpleNamespace(ticket=ticket, chat=chat_body)), model)
        return ticket

    def tried(self) -> Ticket | Refusal:
        """A request, or why it is refused."""
        try:
            return self.begin()
        except Refusal as refusal:
            return refusal

    def end(self, ticket: Ticket, tokens: int | None) -> RequestRecord:
        """Its end, with so many tokens; None where nobody counted."""
        ticket.bill.told(tokens, None if tokens is None else 0, None)
        ticket.bill.close(ticket.model, 0.0, "")
        record = self.allowances.costs.priced(ticket.record("", 0.0, 200), ticket)
        return self.allowances.settle(record, ticket)

    @property
    def spent(self) -> float:
        """What was spent today."""
        return self.allowances.spent("key-00000000")[0]


EURO = {"currency": "EUR"}


@given(st.lists(st.tuples(st.floats(0, 45), st.integers(1, 50)), max_size=60), st.integers(1, 5), st.integers(1, 200))
def test_no_minute_of_the_clock_has_more_than_its_rate(steps: list[tuple[float, int]], most: int, tokens: int) -> None:
    """However requests come; and of tokens at most one request's too many."""
    purse = Purse(KeyTerms(requests_per_minute=most, tokens_per_minute=tokens))
    asked: dict[int, list[int]] = {}
    for pause_s, used in steps:
        purse.now += pause_s
        mine = asked.setdefault(int(purse.now // 60), [])
        found = purse.tried()
        if isinstance(found, Ticket):
            purse.end(found, used)
            mine.append(used)
            continue
        assert len(mine) == most or sum(mine) >= tokens
        assert found.code == "rate_limit_exceeded"
        wait_s = int(found.headers[0].removeprefix(b"Retry-After: "))
        assert 1 <= wait_s <= 60
        assert int((purse.now + wait_s + 1) // 60) > int(purse.now // 60)
    for mine in asked.values():
        assert len(mine) <= most
        assert sum(mine[:-1]) < tokens


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=60), st.integers(1, 100))
def test_a_hard_budget_is_overshot_by_no_more_than_what_was_not_expected(steps: list[tuple[bool, int]], budget: int) -> None:
    """Each request is expected to cost 20 and costs at most that: the sum stays below the budget and one request's cost."""
    purse = Purse(KeyTerms(budget_day=budget, **EURO))
    running: list[tuple[Ticket, int]] = []
    for begins, cost in steps:
        if begins:
            found = purse.tried()
            if isinstance(found, Ticket):
                running.append((found, cost))
            else:
                assert purse.spent + 20 * len(running) >= budget
                assert found.code == ("insufficient_quota" if purse.spent >= budget else "rate_limit_exceeded")
        elif running:
            purse.end(*running.pop(0))
        assert purse.allowances.spent("key-00000000")[2] == 20 * len(running)
    for ticket, cost in running:
        purse.end(ticket, cost)
    assert purse.spent < budget + 20


def test_a_budget_begins_anew_with_its_day_and_its_month() -> None:
    """Of UTC: the moment that the refusal names."""
    purse = Purse(KeyTerms(budget_day=5, budget_month=7, **EURO), now=datetime(2027, 1, 30, 23, 59, 30, tzinfo=UTC).timestamp())
    purse.end(purse.begin(), 6)
    with pytest.raises(Refusal, match=r"a day is used up.*begins anew at 2027-01-31T00:00:00Z") as refused:
        purse.begin()
    assert refused.value.headers == (b"Retry-After: 30", b"x-should-retry: false")
    purse.now += 30
    purse.end(purse.begin(), 2)
    with pytest.raises(Refusal, match=r"a month is used up.*begins anew at 2027-02-01T00:00:00Z"):
        purse.begin()
    purse.now += 86_400
    purse.end(purse.begin(), 2)
    assert purse.spent == 2


def test_what_was_expected_counts_where_nobody_counted() -> None:
    """The record says so; where it was counted, that counts."""
    purse = Purse(KeyTerms(budget_day=100, **EURO))
    record = purse.end(purse.begin(size=80, limit=15), None)
    assert (record.cost, record.charged, purse.spent) == (None, 35, 35)
    record = purse.end(purse.begin(), 7)
    assert (record.cost, record.charged, purse.spent) == (7, None, 42)


@pytest.mark.parametrize("terms", [{"currency": "USD"}, {"currency": ""}])
def test_a_budget_in_another_currency_cannot_hold(terms: dict[str, str]) -> None:
    """It was set before the settings named another one. What costs nothing is served."""
    purse = Purse(KeyTerms(budget_day=100, **terms))
    with pytest.raises(Refusal, match="prices are in EUR"):
        purse.begin()
    purse.begin(model="local/m")
    assert Purse(KeyTerms(budget_day=100, on_budget="warn", **terms)).begin().held.times == 1


def test_a_request_whose_key_is_gone_holds_nothing_at_its_end() -> None:
    """Its terms may have changed, or its file be damaged."""
    purse = Purse(KeyTerms(budget_day=100, **EURO))
    ticket = purse.begin()
    purse.allowances.follow(CheckedKeys((), required=True))
    purse.end(ticket, 5)
    purse.__post_init__()
    assert ticket.held.count is not None
    assert ticket.held.count.spent(1)[2] == 0


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (OPENAI_CLIENT, {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
        (OPENAI_CLIENT, {"max_completion_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
        (MESSAGES_CLIENT, {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
        (RESPONSES_CLIENT, {"max_output_tokens": 5, "input": "x"}),
    ],
)
def test_a_limit_on_the_answer_bounds_what_is_expected_in_every_dialect(dialect: ClientDialect, said: dict[str, Any]) -> None:
    """Else a cancelled request costs a hundred times what it could have, and others wait for it."""
    body = msgspec.json.encode({"model": "up/m", **said})
    chat_body = at_once(dialect.reading_body(body, BodyLimits()))
    purse = Purse(KeyTerms(budget_day=1e9, currency="EUR"))
    ticket = Ticket(0.0, key="key-00000000", model="up/m")
    purse.allowances.enter("key-00000000")
    purse.allowances.hold(cast(LiveRequest, SimpleNamespace(ticket=ticket, chat=chat_body)), "up/m")
    assert ticket.held.answer == 5
