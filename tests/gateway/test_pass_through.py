"""Embeddings, completions and rankings are passed on as they come, by the model that they name or by nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from selfopt.engine.embedded import EmbeddedEngine, EngineAddress
from selfopt.gateway.route_usage import NEAR_BYTES, note_route_usage
from selfopt.gateway.ticket import Ticket
from selfopt.home import ChainedFile, KeyFile
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted

from .kit import Answer, World, chat, gateway_world
from .servers import SSE_HEAD, chunk, raw_upstream, whole
from .test_keys import bearer
from .test_streaming import entry

BODIES: dict[str, dict[str, Any]] = {
    "embeddings": {"input": ["a cat", "two dogs"]},
    "completions": {"prompt": "Once upon"},
    "rerank": {"query": "cats", "documents": ["two dogs", "some cats"]},
}
ROUTES = sorted(BODIES)
KEPT = "sk-upstream-0123456789"


async def ask(world: World, route: str, model: str = "up/good", headers: dict[str, str] | None = None, **more: Any) -> Answer:
    """Ask a route."""
    return await world.post({"model": model, **BODIES[route], **more}, headers, f"/v1/{route}")


@pytest.mark.parametrize("route", ROUTES)
async def test_an_answer_is_the_servers_own_and_says_who_served(tmp_path: Path, route: str) -> None:
    """Headers, record and counts tell of the request, with its route and without a phase."""
    lines: list[str] = []
    async with gateway_world(tmp_path, log=lines.append) as world:
        answer = await ask(world, route)
        direct = await world.session.post(
            f"{world.upstream.base_url}/v1/{route}",
            json={"model": "good", **BODIES[route]},
            headers={"Authorization": f"Bearer {KEPT}"},
        )
        assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "up/good")
        assert answer.text.replace("cmpl-0", "cmpl-1") == await direct.text()
        assert "x-selfopt-phase" not in answer.headers
        (record,) = world.records
        assert (record.outcome, record.route, record.phase, record.served) == ("served", route, None, "up/good")
        assert record.id == answer.headers["x-request-id"]
        used = answer.body["usage"]
        assert (record.input_tokens, record.output_tokens) == (used["prompt_tokens"], used.get("completion_tokens", 0))
        metrics = (await world.get("/metrics")).text
        assert f'selfopt_route_requests_total{{route="{route}",outcome="served",status="200"}} 1' in metrics
        assert "selfopt_requests_total{outcome=" not in metrics
        assert f'selfopt_tokens_total{{kind="input"}} {record.input_tokens}' in metrics
    (line,) = lines
    assert f"served 200 up/good {route}" in line


async def test_a_body_reaches_the_server_as_it_came_but_for_the_models_name(tmp_path: Path) -> None:
    """Fields that nobody knows, numbers of any length, and streams that no such route has."""
    bodies: list[bytes] = []
    answer = whole(b'{"data":[]}')

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_upstream(talk, bodies) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        sent = b'{"model": "raw/a/b:1", "input": [[1, 2]], "odd": {"x": 1.50000000000000000000001}, "stream": "never"}'
        assert (await world.post(sent, path="/v1/embeddings")).text == '{"data":[]}'
    assert bodies == [b'{"model":"a/b:1","input":[[1, 2]],"odd":{"x": 1.50000000000000000000001},"stream":"never"}']


async def test_a_completion_is_streamed(tmp_path: Path) -> None:
    """Event by event as it comes, with its token counts noted."""
    async with gateway_world(tmp_path) as world:
        answer = await ask(world, "completions", stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line[6:] for line in answer.text.split("\n\n") if line]
        assert "".join(json.loads(e)["choices"][0]["text"] for e in events[:-2]) == "Hello."
        assert events[-1] == "[DONE]"
        (record,) = world.records
        assert (record.stream, record.route, record.output_tokens) == (True, "completions", 2)
        assert record.first_byte_ms is not None


async def test_a_stream_that_breaks_off_ends_with_an_error(tmp_path: Path) -> None:
    """The client learns that it is not complete, and the record says so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(b'data: {"choices":[{"index":0,"text":"Hi"}]}\n\n'))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        body = json.dumps({"model": "raw/m", "prompt": "x", "stream": True}).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        answer = await world.raw(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert b'"text":"Hi"' in answer
        assert b"upstream_protocol" in answer
        assert not answer.endswith(b"0\r\n\r\n")
        assert world.records[-1].outcome == "failed"


async def test_a_key_in_a_stream_of_text_is_removed(tmp_path: Path) -> None:
    """Also if it comes in pieces."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD)
        for at in range(0, len(KEPT), 4):
            writer.write(chunk(b'data: {"choices":[{"index":0,"text":"%s"}]}\n\n' % KEPT[at : at + 4].encode()))
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async with raw_upstream(talk) as url:
        settings = f'{entry("raw", url)}api_key = "{KEPT}"\n'
        async with gateway_world(tmp_path, settings=settings) as world:
            answer = await ask(world, "completions", "raw/m", stream=True)
    parts = [json.loads(e[6:])["choices"][0]["text"] for e in answer.text.split("\n\n") if e.startswith("data: {")]
    assert "".join(parts) == "[key]"


async def test_rules_about_tools_refuse_and_divert_nothing(tmp_path: Path) -> None:
    """They were measured on calls of tools. What refuses every chat refuses these requests too."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=False)
        world.enforcer.set_rule("up/other", "atomic", allow=False, fallback="beside/good")
        await world.reload()
        changes = len(world.trail)
        for route in ROUTES:
            assert (await ask(world, route)).headers["x-selfopt-model"] == "up/good"
            assert (await ask(world, route, "up/other")).headers["x-selfopt-model"] == "up/other"
        assert len(world.trail) == changes
    async with gateway_world(tmp_path, settings='[policy]\nunmeasured = "refuse"\n') as world:
        refused = await ask(world, "embeddings", "beside/good")
        assert (refused.status, refused.error["code"]) == (403, "refused_by_rules")
        assert (world.trail[-1].event, world.trail[-1].details["request_id"]) == ("refused", refused.headers["x-request-id"])
        assert world.records[-1].outcome == "refused"


@pytest.mark.parametrize("route", ROUTES)
async def test_no_other_model_answers_for_one_that_fails(tmp_path: Path, route: str) -> None:
    """Its vectors would be of another space. A chat without tools gets its fallback all the same."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"error":{"message":"broken"}}', b"500 Internal Server Error"))
        await writer.drain()

    settings = '[limits]\nretries = 1\n[fallbacks]\natomic = ["up/other"]\n'
    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=f"{settings}{entry('raw', url)}") as world:
        world.enforcer.set_rule("raw/m", "atomic", allow=True, fallback="up/other")
        world.enforcer.set_rule("up/other", "atomic", allow=True)
        await world.reload()
        answer = await ask(world, route, "raw/m")
        assert (answer.status, answer.error["code"]) == (502, "upstream_server")
        assert [attempt.fault for attempt in world.records[-1].attempts] == ["server", "server"]
        assert world.records[-1].outcome == "failed"
        assert (await world.post(chat("raw/m"))).headers["x-selfopt-model"] == "up/other"


async def test_what_fails_beside_chats_holds_up_no_chat(tmp_path: Path) -> None:
    """A client that asks a chat model for vectors opens no breaker of its chats."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"error":{"message":"no"}}', b"500 Internal Server Error"))
        await writer.drain()

    chosen = {"retries": 0, "breaker_faults": 2, "breaker_s": 60.0}
    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url), options=chosen) as world:
        statuses = [(await ask(world, "embeddings", "raw/m")).status for _ in range(3)]
        assert statuses == [502, 502, 503]
        assert (await world.post(chat("raw/m"))).status == 502  # asked, and not left alone


@pytest.mark.parametrize("route", ROUTES)
async def test_keys_consent_and_names_hold_as_for_chats(tmp_path: Path, route: str) -> None:
    """Another key's model is not found; an alias and a name without its endpoint are."""
    home = tmp_path / "home"
    home.mkdir()
    narrow, entry_ = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add(
        "narrow", models=["up/good"]
    )
    async with gateway_world(tmp_path, settings='[models.aliases]\nsmall = "up/good"') as world:
        assert (await ask(world, route)).status == 401
        for model, status in (("up/good", 200), ("small", 200), ("up/other", 404), ("away/good", 404), ("nobody", 404)):
            answer = await ask(world, route, model, bearer(narrow))
            assert answer.status == status, model
            assert status == 200 or answer.error["code"] == "model_not_found"
        assert {record.key for record in world.records} == {entry_.id}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"[]", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"{}", "missing_required_parameter", "model"),
        (b'{"model": 7}', "invalid_type", "model"),
        (b'{"model": ""}', "invalid_value", "model"),
        (b'{"model": "up/good", "input": ' + b"[" * 200 + b"]" * 200 + b"}", "invalid_json", None),
        (b'{"model": "up/good", "input": "\xff"}', "invalid_json", None),
    ],
)
async def test_a_bad_body_is_a_400_that_says_where(tmp_path: Path, route: str, body: bytes, code: str, param: str | None) -> None:
    """Nothing reaches the server."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(body, path=f"/v1/{route}")
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
        assert world.records[-1].outcome == "rejected"


async def test_what_the_server_says_is_at_fault_reaches_the_client(tmp_path: Path) -> None:
    """Its own words, in OpenAI's shape."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post({"model": "up/good", "input": 7}, path="/v1/embeddings")
        assert (answer.status, answer.error["message"]) == (400, "input is no list of texts")
        assert world.records[-1].outcome == "rejected"


@pytest.mark.parametrize(
    ("kind", "served"), [("ollama", {"embeddings", "completions", "rerank"}), ("anthropic", set()), ("scripted", set())]
)
async def test_servers_of_other_dialects_are_asked_where_they_speak_openais_api(
    tmp_path: Path, kind: str, served: set[str]
) -> None:
    """Ollama does below /v1, and judges what it does not have. Others have none of these routes, and the client is told."""
    server = await serve_scripted(Script.model_validate({"models": {"m": {"default": {"text": "Hi."}}}}))
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"models": {"m": {"default": {"text": "Hi."}}}}), "utf-8")
    where = f'script = "{script}"' if kind == "scripted" else f'base_url = "{server.base_url}"\napi_key = "sk-0123456789"'
    try:
        settings = f'[endpoints.there]\nkind = "{kind}"\n{where}\nlocal = true\n'
        async with gateway_world(tmp_path, settings=settings) as world:
            for route in ROUTES:
                answer = await ask(world, route, "there/m")
                if route in served:
                    assert answer.status == 200, answer.text
                else:
                    assert (answer.status, answer.error["code"]) == (404, "route_not_served")
                    assert f"endpoint there has no /v1/{route}" in answer.error["message"]
                    assert world.records[-1].outcome == "rejected"
    finally:
        await server.close()


async def test_a_route_that_a_server_was_started_without_is_a_404_with_its_words(tmp_path: Path) -> None:
    """llama.cpp says 501 then, which clients would send again and again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"error":{"code":501,"message":"This server does not support reranking.","type":"not_supported_error"}}'
        writer.write(whole(body, b"501 Not Implemented"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        answer = await ask(world, "rerank", "raw/m")
        assert (answer.status, answer.error["code"]) == (404, "route_not_served")
        assert "does not support reranking" in answer.error["message"]
        assert len(world.records[-1].attempts) == 1
        assert world.records[-1].outcome == "rejected"


async def test_the_embedded_engine_embeds_with_a_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which starts for the first request, has a breaker and a queue of its own, and leaves that of the model's chats alone."""
    model = "local/smollm2-135m"
    server = await serve_scripted(Script.model_validate({"models": {model: {"default": {"text": "Hi."}}}}))
    started: list[bool] = []

    async def connect(_: EmbeddedEngine, model: str, *, embedding: bool = False) -> EngineAddress:
        started.append(embedding)
        return EngineAddress(server.base_url, SecretStr("k"), model, 0.0)

    monkeypatch.setattr(EmbeddedEngine, "connect", connect)
    try:
        async with gateway_world(tmp_path) as world:
            assert (await ask(world, "embeddings", model)).status == 200
            assert (await ask(world, "completions", model)).status == 200
            assert started == [True, False]
            assert sorted(world.gateway.parts.chat.attempts.gates) == [model, f"{model} (embeddings)"]
    finally:
        await server.close()


async def test_many_megabytes_of_vectors_pass_and_are_counted(tmp_path: Path) -> None:
    """More than a chat's answer may hold."""
    row = {"object": "embedding", "index": 0, "embedding": [0.123456789] * 1024}
    body = json.dumps({"data": [row] * 512, "usage": {"prompt_tokens": 77, "total_tokens": 77}}).encode()
    assert len(body) > 4_000_000

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(body))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        answer = await ask(world, "embeddings", "raw/m")
        assert answer.text.encode() == body
        assert world.records[-1].input_tokens == 77


async def test_what_a_request_costs_is_recorded(tmp_path: Path) -> None:
    """By the price of its model."""
    settings = '[prices."up/good"]\ninput = 1000000.0\noutput = 0.0\n'
    async with gateway_world(tmp_path, settings=settings) as world:
        await ask(world, "embeddings")
        (record,) = world.records
        assert record.cost == record.input_tokens


async def test_headers_about_chats_change_nothing(tmp_path: Path) -> None:
    """Clients send them with every request."""
    async with gateway_world(tmp_path) as world:
        answer = await ask(world, "embeddings", headers={"x-selfopt-phase": "extended", "x-selfopt-variant": "off"})
        assert answer.status == 200


async def test_the_official_client_embeds_and_completes(tmp_path: Path) -> None:
    """openai.AsyncOpenAI needs another base URL only."""
    async with gateway_world(tmp_path) as world, openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
        made = await client.embeddings.create(model="up/good", input=["a cat", "a dog"])
        assert [len(one.embedding) for one in made.data] == [64, 64]
        done = await client.completions.create(model="up/good", prompt="Once")
        assert done.choices[0].text == "Hello."
        pieces = await client.completions.create(model="up/good", prompt="Once", stream=True)
        assert "".join([part.choices[0].text async for part in pieces if part.choices]) == "Hello."
        with pytest.raises(openai.NotFoundError, match="unknown model"):
            await client.embeddings.create(model="nothing", input="x")


USAGES = st.fixed_dictionaries({}, optional={key: st.integers(0, 10**9) for key in ("prompt_tokens", "total_tokens")})


@given(usage=USAGES, before=st.integers(0, 3 * NEAR_BYTES), after=st.integers(0, 3 * NEAR_BYTES))
def test_counts_are_found_near_either_end(usage: dict[str, int], before: int, after: int) -> None:
    """Of an answer of any length; in its middle nobody looks, and nothing is noted."""
    ticket = Ticket(0.0, route="embeddings")
    body = json.dumps({"a": "x" * before, "usage": usage, "b": "y" * after}).encode()
    note_route_usage(body, ticket)
    told = usage.get("prompt_tokens", usage.get("total_tokens"))
    near = min(before, after) < NEAR_BYTES - 100
    assert ticket.input_tokens == (told if near else ticket.input_tokens)
    assert ticket.input_tokens in (told, None)


@given(body=st.binary(max_size=200).map(lambda rest: b'{"usage":' + rest) | st.binary(max_size=60))
def test_no_answer_fails_for_its_counts(body: bytes) -> None:
    """Whatever stands there."""
    ticket = Ticket(0.0, route="rerank")
    note_route_usage(body, ticket)
    assert ticket.input_tokens is None or isinstance(ticket.input_tokens, int)


@pytest.mark.parametrize("make", [lambda r: {"usage": r}, lambda r: {"usage": {"prompt_tokens": r}}])
def test_counts_of_another_form_are_left_out(make: Callable[[Any], Any]) -> None:
    """Text, lists and numbers with a fraction."""
    for odd in ("7", [7], 7.5, None, True, {"prompt_tokens": "x"}):
        ticket = Ticket(0.0, route="embeddings")
        note_route_usage(msgspec.json.encode(make(odd)), ticket)
        assert ticket.input_tokens is None
