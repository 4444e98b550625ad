"""Whatever rules and standbys say, a local request does not leave without consent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import ConsentError
from selfopt.routing import RouteOptions
from selfopt.wiring.app import App

from .kit import chat, gateway_world, tool_chat
from .test_harness import promote

known = App.route_options


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make routing assume consent."""

    def options(self: App, *, force: bool = False) -> RouteOptions:
        return replace(known(self, force=force), allow_remote=True)

    monkeypatch.setattr(App, "route_options", options)


async def test_a_standby_that_may_not_be_asked_is_passed_over_for_the_next(tmp_path: Path, careless: None) -> None:
    """The local standby after the remote one answers."""
    models = {"sick": {"default": {"fault": {"kind": "status", "status": 500, "body": "no"}}}}
    settings = '[fallbacks]\natomic = ["beside/other"]\n[limits]\nretries = 0\n'
    async with gateway_world(tmp_path, models, settings=settings) as world:
        world.enforcer.set_rule("up/sick", "atomic", allow=True, fallback="away/other")
        world.enforcer.set_rule("away/other", "atomic", allow=True)
        world.enforcer.set_rule("beside/other", "atomic", allow=True)
        await world.reload()
        answer = await world.post(chat("up/sick"))
        assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "beside/other")
        assert [attempt.model for attempt in world.records[-1].attempts] == ["up/sick", "beside/other"]
        assert len(list(world.upstream.journal)) == 2


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
async def test_with_nobody_else_left_the_client_is_told_and_nothing_is_sent(
    tmp_path: Path, careless: None, fields: dict[str, Any]
) -> None:
    """403 with its own code; the text names both models and no server."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=False, fallback="away/other")
        await world.reload()
        answer = await world.post(tool_chat(**fields))
        assert (answer.status, answer.error["code"], answer.error["type"]) == (403, "no_consent", "permission_error")
        assert "away/other" in answer.error["message"]
        assert "up/good" in answer.error["message"]
        assert "http" not in answer.error["message"]
        assert list(world.upstream.journal) == []


async def test_whoever_asks_for_the_remote_model_gets_it(tmp_path: Path) -> None:
    """Also when one remote model replaces another."""
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat("away/other"))).status == 200
        sender = world.app.sender
        sender.require("away/other", "away/good")
        sender.require("away/other", "up/good")
        with pytest.raises(ConsentError, match="allow_remote is off"):
            sender.require("up/good", "away/other")
        with pytest.raises(ConsentError):
            sender.require("gone/x", "away/other")
        with pytest.raises(ConsentError):
            sender.endpoint("away/other", asked="up/good")
        with pytest.raises(ConsentError):
            sender.residency("away/other", asked="up/good")


async def test_an_endpoint_is_for_the_model_that_it_was_opened_for(tmp_path: Path) -> None:
    """It cannot be asked for another model."""
    from selfopt.records import ChatRequest, Message

    async with gateway_world(tmp_path) as world:
        endpoint = world.app.sender.endpoint("up/good", asked="up/good")
        request = ChatRequest(model="other", messages=(Message(role="user", content="hi"),))
        with pytest.raises(ConsentError, match="was handed to good"):
            await endpoint.chat(request)
        with pytest.raises(ConsentError):
            endpoint.stream(request)
        assert list(world.upstream.journal) == []


async def test_a_decision_is_made_once_for_each_pair_and_memory_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions are cached, up to a limit."""
    async with gateway_world(tmp_path) as world:
        sender = world.app.sender
        sender.require("up/good", "beside/other")
        with monkeypatch.context() as patch:
            patch.setattr(sender, "_settings", None)
            sender.require("up/good", "beside/other")
        for n in range(5_000):
            sender.require(f"up/{n}", f"up/{n}")
        assert len(sender._permitted) <= 4096


async def test_a_text_that_was_set_aside_comes_when_nobody_else_may_be_asked(tmp_path: Path, careless: None) -> None:
    """A call was required, the model talked, and its fallback is elsewhere: nothing leaves this machine."""
    async with gateway_world(tmp_path) as world:
        await promote(world, "native_api", "up/good", fallback="away/other")
        answer = await world.post(tool_chat("up/good", tool_choice="required"))
        assert (answer.status, answer.headers["x-selfopt-unmet"], answer.headers["x-selfopt-model"]) == (
            200,
            "tool_choice",
            "up/good",
        )
        assert {entry.model for entry in world.upstream.journal} == {"good"}
