"""Keys are held to their budgets and rates, whatever the route and however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from selfopt.verbs.keys import add_key, set_key

from .kit import World, chat, gateway_world, until
from .test_costs import WITH_PRICES
from .test_metrics import figures

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
