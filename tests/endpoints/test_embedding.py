"""Embeddings are asked for, checked, compared and remembered."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from selfopt.endpoints.embedding import EmbeddingEndpoint
from selfopt.errors import EndpointError, SettingsError
from selfopt.records import ChatReply, ChatRequest, EndpointConfig, Message
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted

Answer = Callable[[list[str]], Any]
VECTORS = {"up": [0.0, 2.0], "right": [3.0, 0.0], "left": [-1.0, 0.0], "between": [1.0, 1.0]}


def good(texts: list[str]) -> Any:
    """What a server answers, in another order."""
    data = [{"index": place, "embedding": VECTORS.get(text, [1.0, 0.0])} for place, text in enumerate(texts)]
    return {"data": data[::-1]}


@dataclass
class Server:
    """A server of embeddings. asked: the texts of each request."""

    answer: Answer = good
    asked: list[list[str]] = field(default_factory=list)
    endpoint: EmbeddingEndpoint = field(init=False)
    now_s: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        body = await request.json()
        assert (body["model"], body.get("encoding_format", "float")) == ("m", "float")
        self.asked.append(body["input"])
        answer = self.answer(body["input"])
        return (
            answer if isinstance(answer, web.Response) else web.Response(text=json.dumps(answer), content_type="application/json")
        )


@asynccontextmanager
async def serving(answer: Answer = good, kind: str = "openai_compatible", **config: Any) -> AsyncIterator[Server]:
    """Run a server on loopback with an endpoint for it."""
    server = Server(answer)
    app = web.Application(client_max_size=10_000_000)
    app.add_routes([web.post("/v1/embeddings", server.handle), web.post("/api/embed", server.handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}" + ("/v1" if kind == "openai_compatible" else "")
    server.endpoint = EmbeddingEndpoint(
        EndpointConfig(name="e", kind=kind, base_url=base, local=True, **config), lambda: server.now_s
    )
    try:
        yield server
    finally:
        await server.endpoint.close()
        await runner.cleanup()


async def ask(server: Server, *texts: str) -> ChatReply:
    """Ask how similar texts are to the first one."""
    messages = tuple(Message(role="user", content=text) for text in texts)
    return await server.endpoint.chat(ChatRequest(model="m", messages=messages, timeout_s=30))


async def test_the_cosine_with_the_first_text_is_told() -> None:
    """Whatever the lengths of the vectors and the order of the reply."""
    async with serving() as server:
        reply = await ask(server, "right", "up", "left", "between", "right")
        assert json.loads(reply.content.text) == pytest.approx([0, -1, math.sqrt(0.5), 1], abs=1e-6)
        assert json.loads(reply.reply_body) == {"vectors": 4, "numbers": 2}
        assert '"input":["right","up","left","between"]' in reply.request_body
        assert reply.latency_ms > 0
        assert reply.usage.input_tokens is None


async def test_ollama_is_asked_in_its_own_way() -> None:
    """By /api/embed."""
    async with serving(lambda texts: {"embeddings": [VECTORS[text] for text in texts]}, "ollama") as server:
        assert json.loads((await ask(server, "right", "left")).content.text) == [-1]


async def test_each_text_is_embedded_once_in_ten_minutes() -> None:
    """A request with known tools takes one text; later another model may stand behind the name."""
    async with serving() as server:
        await ask(server, "up", "left", "right")
        await ask(server, "between", "left", "right")
        await ask(server, "between", "left", "right")
        server.now_s = 601
        await ask(server, "between", "left")
        assert server.asked == [["up", "left", "right"], ["between"], ["between", "left"]]


async def test_many_texts_take_several_requests() -> None:
    """Of 32 texts at most."""
    async with serving() as server:
        reply = await ask(server, "up", *(f"tool {i}" for i in range(90)))
        assert len(json.loads(reply.content.text)) == 90
        assert [len(texts) for texts in server.asked] == [32, 32, 27]


async def test_what_was_embedded_before_a_fault_is_remembered() -> None:
    """Whoever has no time for many texts gets on with each try."""
    async with serving(lambda texts: good(texts) if len(texts) == 32 else web.Response(status=500)) as server:
        for _ in range(2):
            with pytest.raises(EndpointError):
                await ask(server, *(f"tool {i}" for i in range(40)))
        assert [len(texts) for texts in server.asked] == [32, 8, 8]


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: {"data": []},
        lambda texts: {"data": "x"},
        lambda texts: {"data": [1] * len(texts)},
        lambda texts: [],
        lambda texts: {"data": [{"index": 0, "embedding": [1.0]}] * len(texts)},
        lambda texts: {"data": [{"index": True, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        lambda texts: {"data": good(texts)["data"][:1]},
        lambda texts: {"data": [*good(texts)["data"], {"index": 2, "embedding": [1.0, 0.0]}]},
        *(
            lambda texts, bad=bad: {"data": [{"index": n, "embedding": bad} for n, _ in enumerate(texts)]}
            for bad in (None, [], "x", [0.0, 0.0], [math.nan], [math.inf], [1e300], ["1"], [True], [[1.0]], [0.1] * 8193)
        ),
        lambda texts: {"data": [{"index": n, "embedding": [1.0] * (n + 1)} for n, _ in enumerate(texts)]},
        lambda texts: web.Response(text="<html>", status=200),
        lambda texts: web.Response(text="no", status=500),
        lambda texts: web.Response(text="[" * 100_000, content_type="application/json"),
        lambda texts: web.Response(text="x" * 2_000_000, content_type="application/json"),
    ],
)
async def test_a_reply_that_is_no_embedding_is_a_fault(answer: Answer) -> None:
    """Typed, in one line, and nothing of it is remembered."""
    async with serving(answer, max_reply_bytes=1_000_000) as server:
        for _ in range(2):
            with pytest.raises(EndpointError) as error:
                await ask(server, "up", "left")
            assert error.value.kind in ("protocol", "server")
            assert "\n" not in str(error.value)
        assert len(server.asked) == 2


async def test_vectors_of_another_length_than_those_remembered_are_a_fault_once() -> None:
    """Another model stands behind the name; then all are asked for anew."""
    async with serving() as server:
        await ask(server, "up", "left")
        server.answer = lambda texts: {"data": [{"index": n, "embedding": [1.0, 2.0, 3.0]} for n, _ in enumerate(texts)]}
        with pytest.raises(EndpointError, match="several lengths"):
            await ask(server, "between", "left")
        assert json.loads((await ask(server, "between", "left")).content.text) == pytest.approx([1])


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors that were used last stay."""
    monkeypatch.setattr("selfopt.endpoints.embedding._KEPT_NUMBERS", 6)
    async with serving() as server:
        for texts in (("up", "left"), ("right", "left"), ("between", "left"), ("up", "left")):
            await ask(server, *texts)
        assert [text for texts in server.asked for text in texts].count("up") == 2


@pytest.mark.parametrize("kind", ["anthropic", "scripted", "nonsense"])
def test_an_endpoint_without_embeddings_is_refused(kind: str) -> None:
    """With those that have some."""
    with pytest.raises(SettingsError, match="has no embeddings; name a model of Ollama"):
        EmbeddingEndpoint(EndpointConfig(name="e", kind=kind, local=True))


async def test_the_scripted_server_embeds_to_practise_with() -> None:
    """Texts that share words are similar, and unknown models are refused."""
    server = await serve_scripted(Script.model_validate({"models": {"m": {}}}))
    try:
        for kind in ("openai_compatible", "ollama"):
            base = server.base_url if kind == "openai_compatible" else server.base_url.removesuffix("/v1")
            endpoint = EmbeddingEndpoint(EndpointConfig(name="e", kind=kind, base_url=base, local=True))
            texts = tuple(Message(role="user", content=text) for text in ("the weather", "weather of a city", "a song"))
            reply = await endpoint.chat(ChatRequest(model="m", messages=texts))
            near, far = json.loads(reply.content.text)
            assert near > far
            with pytest.raises(EndpointError) as error:
                await endpoint.chat(ChatRequest(model="other", messages=texts))
            assert error.value.kind == "not_found"
            await endpoint.close()
    finally:
        await server.close()
