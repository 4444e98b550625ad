"""A chat goes to the server that the rules name, and the decision is shown and recorded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.errors import SettingsError
from selfopt.gateway import Gateway
from selfopt.home import atomic_write_text
from selfopt.wiring.serving import build_gateway, gateway_options

from .kit import USER, chat, gateway_world, tool_chat, until


async def test_a_chat_is_passed_on_and_answered_unchanged(tmp_path: Path) -> None:
    """Only the model's name is replaced by the server's own."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(chat(top_k=7, metadata={"a": [1, 2]}))
        assert answer.status == 200
        assert answer.body["choices"][0]["message"]["content"] == "Hello."
        assert answer.body["model"] == "good"
        sent = world.upstream.journal[-1].body
        assert sent == {"model": "good", "messages": USER, "top_k": 7, "metadata": {"a": [1, 2]}}


async def test_the_answer_says_who_served_under_which_rule(tmp_path: Path) -> None:
    """In headers, and the record says the same."""
    async with gateway_world(tmp_path) as world:
        rule = world.enforcer.set_rule("up/good", "atomic", allow=True).rules[0]
        await world.reload()
        answer = await world.post(chat())
        assert answer.headers["x-selfopt-model"] == "up/good"
        assert answer.headers["x-selfopt-rule"] == rule.rule_id
        assert answer.headers["x-selfopt-config-version"] == "1"
        assert answer.headers["x-selfopt-phase"] == "atomic"
        assert "x-selfopt-fallback" not in answer.headers
        (record,) = world.records
        assert record.id == answer.headers["x-request-id"]
        assert (record.outcome, record.status, record.model, record.served) == ("served", 200, "up/good", "up/good")
        assert (record.rule, record.version, record.phase) == (rule.rule_id, 1, "atomic")
        assert [attempt.model for attempt in record.attempts] == ["up/good"]
        assert record.input_tokens is not None
        assert record.output_tokens == answer.body["usage"]["completion_tokens"]
        assert world.trail[1:] == []


async def test_a_denied_model_is_served_by_its_fallback_and_that_is_audited(tmp_path: Path) -> None:
    """The diversion is in the trail before the answer comes."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=False, fallback="up/other")
        await world.reload()
        answer = await world.post(tool_chat())
        assert answer.body["choices"][0]["message"]["content"] == "I am the other."
        assert answer.headers["x-selfopt-model"] == "up/other"
        assert answer.headers["x-selfopt-fallback"] == "rule"
        diverted = world.trail[-1]
        assert (diverted.event, diverted.original_model, diverted.fallback) == ("diverted", "up/good", "up/other")
        assert diverted.details["request_id"] == answer.headers["x-request-id"]
        assert world.records[-1].outcome == "diverted"


async def test_a_denied_model_without_a_fallback_is_refused_and_that_is_audited(tmp_path: Path) -> None:
    """403 says why, and nothing reaches the upstream. Advice is for the operator, in the trail."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "extended", allow=False, reason="too weak")
        await world.reload()
        answer = await world.post(tool_chat(messages=[*USER, *USER]))
        assert answer.status == 403
        assert answer.error["code"] == "refused_by_rules"
        assert "too weak" in answer.error["message"]
        assert not any(word in answer.error["message"] for word in ("selfopt", "--", "`"))
        assert world.trail[-1].event == "refused"
        assert "--force-model" in world.trail[-1].reason
        assert world.trail[-1].details["request_id"] == answer.headers["x-request-id"]
        assert world.records[-1].outcome == "refused"
        assert list(world.upstream.journal) == []


CALLED: list[dict[str, Any]] = [
    *USER,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "play", "arguments": "{}"}}],
    },
]


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, False),
        ({"tools": None}, False),
        ({"tools": []}, False),
        ({"messages": [*USER, {"role": "assistant", "content": "y", "tool_calls": []}, *USER]}, False),
        ({"functions": []}, False),
        ({"tools": [{"type": "function", "function": {"name": "play"}}]}, True),
        ({"functions": [{"name": "play", "parameters": {}}]}, True),
        ({"messages": CALLED}, True),
        ({"messages": [*USER, {"role": "tool", "tool_call_id": "1", "content": "z"}]}, True),
    ],
)
async def test_rules_hold_for_requests_that_call_tools(tmp_path: Path, fields: dict[str, Any], held: bool) -> None:
    """They were measured on them. A chat without tools goes where it is addressed, refused or diverted by no rule."""
    async with gateway_world(tmp_path) as world:
        for phase in ("atomic", "extended"):
            world.enforcer.set_rule("up/good", phase, allow=False)
            world.enforcer.set_rule("up/other", phase, allow=False, fallback="beside/good")
        await world.reload()
        refused = await world.post(chat("up/good", **fields))
        diverted = await world.post(chat("up/other", **fields))
        assert refused.status == (403 if held else 200)
        assert diverted.headers["x-selfopt-model"] == ("beside/good" if held else "up/other")
        assert ("x-selfopt-rule" in diverted.headers) == held
        assert (len(world.trail) > 5) == held


async def test_a_chat_without_tools_keeps_the_fallback_and_the_policy(tmp_path: Path) -> None:
    """A rule's fallback serves when the model fails, and models that nobody measured may still be refused."""
    down = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    settings = '[policy]\nunmeasured = "refuse"\n[limits]\nretries = 0\n'
    async with gateway_world(tmp_path, {"failing": down}, settings=settings) as world:
        world.enforcer.set_rule("up/failing", "atomic", allow=False, fallback="up/other")
        world.enforcer.set_rule("up/other", "atomic", allow=True)
        await world.reload()
        answer = await world.post(chat("up/failing"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-fallback"]) == ("up/other", "server")
        refused = await world.post(chat("up/good"))
        assert (refused.status, refused.error["code"]) == (403, "refused_by_rules")
        assert "selfopt" not in refused.error["message"]


async def test_a_local_model_is_not_diverted_to_a_remote_one_without_consent(tmp_path: Path) -> None:
    """With allow_remote it is, and the crossing is audited."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=False, fallback="away/other")
        await world.reload()
        assert (await world.post(tool_chat())).status == 403
        assert list(world.upstream.journal) == []
    async with gateway_world(tmp_path, settings="allow_remote = true") as world:
        assert (await world.post(tool_chat())).headers["x-selfopt-model"] == "away/other"
        assert world.trail[-1].details["crosses_to_remote"] is True


@pytest.mark.parametrize(
    ("messages", "phase"),
    [
        (USER, "atomic"),
        ([{"role": "system", "content": "x"}, *USER], "atomic"),
        ([*USER, {"role": "assistant", "content": "y"}, *USER], "extended"),
        ([*USER, {"role": "tool", "tool_call_id": "1", "content": "z"}], "extended"),
    ],
)
async def test_the_phase_is_what_the_conversation_is(tmp_path: Path, messages: list[object], phase: str) -> None:
    """One user turn without tool results is atomic; anything else is extended."""
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat(messages=messages))).headers["x-selfopt-phase"] == phase


async def test_a_header_overrides_the_phase(tmp_path: Path) -> None:
    """`x-selfopt-phase` decides; an unknown value is refused."""
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat(), {"x-selfopt-phase": "extended"})).headers["x-selfopt-phase"] == "extended"
        assert (await world.post(chat(), {"x-selfopt-phase": "both"})).status == 400


async def test_an_alias_is_a_model(tmp_path: Path) -> None:
    """Aliases are resolved before the rules apply, and are listed."""
    async with gateway_world(tmp_path, settings='[models.aliases]\nsmall = "up/good"') as world:
        answer = await world.post(chat("small"))
        assert answer.headers["x-selfopt-model"] == "up/good"
        assert "small" in [entry["id"] for entry in (await world.get("/v1/models")).body["data"]]
        assert (await world.get("/v1/models/small")).body["object"] == "model"


async def test_an_unknown_model_is_not_found(tmp_path: Path) -> None:
    """404, in chats and in the list of models."""
    async with gateway_world(tmp_path) as world:
        for name in ("nothing", "nobody/nothing", "/", "up/"):
            answer = await world.post(chat(name))
            assert (answer.status, answer.error["code"]) == (404, "model_not_found"), name
        assert (await world.get("/v1/models/nothing")).status == 404


async def test_no_server_at_the_upstream(tmp_path: Path) -> None:
    """502 names the endpoint but not its key, and the attempt is recorded."""
    async with gateway_world(tmp_path, options={"retries": 0}) as world:
        await world.upstream.close()
        answer = await world.post(chat())
        assert (answer.status, answer.error["code"]) == (502, "upstream_connect")
        assert "endpoint up" in answer.error["message"]
        assert "sk-upstream" not in answer.text
        assert [a.fault for a in world.records[-1].attempts] == ["connect"]
        assert world.records[-1].outcome == "failed"


async def test_the_official_client_works_unchanged(tmp_path: Path) -> None:
    """openai.AsyncOpenAI needs another base URL only."""
    async with gateway_world(tmp_path) as world, openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
        done = await client.chat.completions.create(model="up/good", messages=[{"role": "user", "content": "hi"}])
        assert done.choices[0].message.content == "Hello."
        assert [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError, match="unknown model"):
            await client.chat.completions.create(model="nothing", messages=[{"role": "user", "content": "hi"}])
        world.enforcer.set_rule("up/good", "atomic", allow=False, reason="too weak")
        await world.reload()
        with pytest.raises(openai.PermissionDeniedError, match="too weak"):
            await client.chat.completions.create(
                model="up/good",
                messages=[{"role": "user", "content": "hi"}],
                tools=[{"type": "function", "function": {"name": "play"}}],
            )


async def test_a_broken_rules_file_is_refused_and_the_old_version_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error is logged; a good file after it is taken."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        await world.reload()
        good = world.app.home.routing_config.read_text()
        for broken in ("{", "{}", json.dumps({**json.loads(good), "rules": [{"model": "x"}]}), good.replace("atomic", "neither")):
            atomic_write_text(world.app.home.routing_config, broken)
            await world.reload()
            assert (await world.post(chat())).headers["x-selfopt-config-version"] == "1"
            assert "refused" in caplog.records[-1].getMessage()
        world.app.home.routing_config.unlink()
        await world.reload()
        assert (await world.post(chat())).headers["x-selfopt-config-version"] == "1"
        assert world.gateway.parts.chat.rules.faults == 5
        atomic_write_text(world.app.home.routing_config, good.replace('"version": 1', '"version": 2'))
        await world.reload()
        assert (await world.post(chat())).headers["x-selfopt-config-version"] == "1"
        world.enforcer.set_rule("up/good", "atomic", allow=True, reason="again")
        await world.reload()
        assert (await world.post(chat())).headers["x-selfopt-config-version"] == "2"
        assert world.gateway.parts.chat.rules.fault == ""


async def test_a_name_without_its_endpoint_is_found_where_one_has_it(tmp_path: Path) -> None:
    """The record and the headers have the full name; a name that several have is told with all of them."""
    settings = '[endpoints.off]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n'
    async with gateway_world(tmp_path, settings=settings) as world:
        ambiguous = await world.post(chat("good"))
        assert (ambiguous.status, ambiguous.error["code"]) == (404, "model_not_found")
        assert "up/good, beside/good" in ambiguous.error["message"]
        key, _ = world.app.keys.add("one", models=["up/good"])
        headers = {"Authorization": f"Bearer {key}"}
        await until(lambda: world.gateway.parts.keys.required)
        answer = await world.post(chat("good"), headers)
        assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "up/good")
        assert world.records[-1].model == "up/good"
        assert "selfopt" not in (await world.post(chat("nothing"), headers)).error["message"]


async def test_a_gateway_that_cannot_start_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where its address is taken, nor where what comes after listening fails."""
    closed: list[Gateway] = []
    close = Gateway.close

    async def noted(gateway: Gateway) -> None:
        await close(gateway)
        closed.append(gateway)

    def fails(*_: object) -> None:
        raise RuntimeError("no thread can be started")

    async with gateway_world(tmp_path) as world:
        server = world.gateway.server
        assert server is not None
        monkeypatch.setattr(Gateway, "close", noted)
        second = build_gateway(world.app, gateway_options(world.app, None, server.port))
        with pytest.raises(SettingsError, match="cannot listen"):
            await second.start()
        third = build_gateway(world.app, gateway_options(world.app, None, 0))
        monkeypatch.setattr(third.parts.drift, "follow", fails)
        with pytest.raises(RuntimeError, match="no thread"):
            await third.start()
        assert closed == [second, third]
        assert third.server is not None
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", third.server.port)
