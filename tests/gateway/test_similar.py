"""A live request's tools are chosen by an embedding model, and no request suffers for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from selfopt.errors import ConsentError, SelfoptError, UsageError
from selfopt.gateway import EmbeddingSteps
from selfopt.gateway.similar import LONGEST_S, REST_S
from selfopt.records import Environment, Message, evidence_key
from selfopt.records.seams import EmbeddingSource
from selfopt.variants import RenderedStep
from selfopt.variants.options import embedded_by
from selfopt.variants.space import composed, point_from
from tests.endpoints.test_embedding import serving
from tests.looptime import pass_time

from .heard import hear
from .kit import World, gateway_world, until
from .test_escalation import serve_when
from .test_harness import promote

TOOLS = [
    {"type": "function", "function": {"name": name, "description": told}}
    for name, told in (("get_weather", "Weather of a city"), ("play", "Play a song"), ("send", "Send a mail"))
]
MODELS: dict[str, Any] = {"m": {"default": {"text": "Hello."}}, "embedder": {}}
UP = '[models]\nembedding = "up/embedder"\n'


def variant(model: str = "up/embedder", by: str = "meaning") -> Any:
    """Shows one tool, natively."""
    return embedded_by(composed(point_from(f"keep_tools=one tools_by={by}")), model)


def asking(text: str = "the weather of a city", **fields: Any) -> dict[str, Any]:
    """A chat that offers three tools."""
    return {"model": "up/m", "messages": [{"role": "user", "content": text}], "tools": TOOLS, **fields}


def offered(world: World) -> list[str]:
    """The tools that the model got last."""
    body = world.upstream.journal[-1].body
    assert body is not None
    return [tool["function"]["name"] for tool in body["tools"]]


async def test_the_model_is_shown_the_most_similar_tools(tmp_path: Path) -> None:
    """The answer and the metrics say what chose them, streamed or not."""
    async with gateway_world(tmp_path, MODELS, settings=UP) as world:
        for by, stream in (("meaning", False), ("both", True)):
            await promote(world, variant(by=by), "up/m")
            answer = await world.post(asking("a song", stream=stream))
            assert (answer.status, answer.headers["x-selfopt-tools-by"]) == (200, "meaning")
            assert offered(world) == ["play"]
        assert 'selfopt_tools_by_total{by="meaning"} 2' in (await world.get("/metrics")).text


async def test_the_embedding_model_hears_of_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be elsewhere. The model that answers does hear of it."""
    heard = hear(monkeypatch)
    async with gateway_world(tmp_path, MODELS, settings=UP) as world:
        await promote(world, variant(), "up/m")
        heard.clear()
        assert (await world.post(asking("a song"), {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})).status == 200
    assert ["traceparent" in headers for headers in heard] == [False, True]


@pytest.mark.parametrize("name", ["up/nobody", "up/embedder", "dead/m", "alias"])
async def test_where_the_embedding_model_gives_nothing_words_choose(tmp_path: Path, name: str) -> None:
    """It is not there, is not that of the settings, or its server is down. The client gets its answer."""
    settings = f'[models]\nembedding = "{"up/other" if name == "up/embedder" else name}"\n'
    settings += '[endpoints.dead]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\nlocal = true\n'
    async with gateway_world(tmp_path, MODELS, settings=settings) as world:
        await promote(world, variant(name), "up/m")
        answer = await world.post(asking())
        assert (answer.status, answer.headers["x-selfopt-tools-by"]) == (200, "words")
        assert answer.body["choices"][0]["message"]["content"] == "Hello."
        assert offered(world) == ["get_weather"]
        assert 'selfopt_tools_by_total{by="words"} 1' in (await world.get("/metrics")).text


async def test_a_request_for_a_local_model_is_not_sent_to_an_embedding_model_elsewhere(tmp_path: Path) -> None:
    """Unless the user's settings allow that."""
    for allowed, by in (("false", "words"), ("true", "meaning")):
        settings = f'allow_remote = {allowed}\n[models]\nembedding = "away/embedder"\n'
        async with gateway_world(tmp_path, MODELS, settings=settings) as world:
            await promote(world, variant("away/embedder"), "up/m")
            assert (await world.post(asking())).headers["x-selfopt-tools-by"] == by


async def test_an_answer_that_has_to_be_sure_is_not_asked_for_with_words(tmp_path: Path) -> None:
    """The threshold was measured with the embedding model, so a stronger model answers."""
    async with gateway_world(tmp_path, MODELS, settings=UP.replace("embedder", "nobody")) as world:
        await promote(world, variant("up/nobody"), "up/m", fallback="up/other", serve_when=serve_when(least=0.0))
        answer = await world.post(asking())
        assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "up/other")
        assert answer.headers["x-selfopt-escalated"] == "unmeasured"


@pytest.mark.parametrize(("digest", "escalated"), [("e1", None), ("e2", "voided")])
async def test_another_embedding_model_behind_the_name_voids_a_threshold(
    tmp_path: Path, digest: str, escalated: str | None
) -> None:
    """The gateway looks at it where the variant of a rule with a threshold asks it."""
    models = {**MODELS, "m": {"digest": "m1", "default": {"text": "Hello.", "logprob": -0.1}}, "embedder": {"digest": digest}}
    calibrated = Environment(endpoint="up", model="up/m", digest="m1", embedding_digest="e1")
    when = serve_when(least=0.0, environment=calibrated, evidence_key=evidence_key("", calibrated))
    async with gateway_world(tmp_path, models, settings=UP) as world:
        await promote(world, variant(), "up/m", fallback="up/other", serve_when=when)
        seen = world.gateway.parts.chat.attempts._voided.__self__._seen  # type: ignore[attr-defined]
        await until(lambda: "up/m" in seen and seen["up/m"].embedding_digest == digest)
        answer = await world.post(asking())
        assert answer.headers.get("x-selfopt-escalated") == escalated


@pytest.mark.own_time
@pytest.mark.parametrize("timeout_s", [60.0, 4.0])
async def test_an_embedding_model_that_hangs_holds_up_one_request(tmp_path: Path, timeout_s: float) -> None:
    """For five seconds or half of the request's time; then it rests for half a minute."""
    asked: list[list[str]] = []
    over = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        asked.append((await request.json())["input"])
        await over.wait()
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/embeddings", hang)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    settings = (
        f'[models]\nembedding = "slow/m"\n[endpoints.slow]\nkind = "openai_compatible"\nbase_url = "{base}"\nlocal = true\n'
    )
    settings += f"[limits]\ntimeout_s = {timeout_s}\n"
    try:
        async with gateway_world(tmp_path, MODELS, settings=settings) as world:
            await promote(world, variant("slow/m"), "up/m")
            first = asyncio.ensure_future(world.post(asking()))
            await until(lambda: len(asked) == 1)
            pass_time(min(LONGEST_S, timeout_s / 2))
            assert (await first).headers["x-selfopt-tools-by"] == "words"
            assert (await world.post(asking())).headers["x-selfopt-tools-by"] == "words"
            assert len(asked) == 1
    finally:
        over.set()
        await runner.cleanup()


async def test_a_server_that_failed_is_asked_again_after_half_a_minute() -> None:
    """And one that refuses a text at once, because others may be fine."""
    now_s = 0.0
    step = RenderedStep("embed", tuple(Message(role="user", content=text) for text in ("up", "left")), embedding="e/m")
    async with serving() as server:
        steps = EmbeddingSteps(lambda embedding, served: EmbeddingSource(server.endpoint, None, "m"), lambda: now_s)  # type: ignore[arg-type]
        server.answer = lambda texts: web.Response(status=400, text="too long")
        assert await steps.answer("up/m", step) is None
        server.answer = lambda texts: {"data": []}
        assert await steps.answer("up/m", step) is None
        assert await steps.answer("up/m", step) is None
        assert len(server.asked) == 2
        now_s = REST_S + 1
        server.answer = lambda texts: {"data": [{"index": n, "embedding": [1.0]} for n, _ in enumerate(texts)]}
        found = await steps.answer("up/m", step)
        assert found is not None
        assert json.loads(found.text) == [1.0]


@pytest.mark.parametrize("error", [ConsentError("not sent"), UsageError("one process alone")])
async def test_who_may_not_send_puts_no_embedding_model_to_rest(error: SelfoptError) -> None:
    """The next request, of a model that may, has its tools chosen."""
    step = RenderedStep("embed", tuple(Message(role="user", content=text) for text in ("up", "left")), embedding="e/m")
    async with serving() as server:

        def source(embedding: str, served: str) -> EmbeddingSource:
            if served == "up/barred":
                raise error
            return EmbeddingSource(server.endpoint, None, "m")  # type: ignore[arg-type]

        steps = EmbeddingSteps(source)
        assert await steps.answer("up/barred", step) is None
        assert await steps.answer("up/m", step) is not None
