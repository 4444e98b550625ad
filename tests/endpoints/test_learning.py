"""Fields that only some servers know go to these: a setting says which, the server itself does, or its refusal."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from selfopt.dialects.known_server import MAX_QUESTIONS
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.servers import always_reasons, server_by, server_of, with_settings
from selfopt.endpoints.factory import create_endpoint
from selfopt.errors import EndpointError
from selfopt.gateway import HttpAddress, Pool, PooledEndpoint
from selfopt.records import Endpoint
from tests.endpoints.kit import ask, config_for

OWN = {"chat_template_kwargs", "cache_prompt"}
GOOD = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}


class Server:
    """Answers by path and keeps what it was asked.

    Attributes:
        answers: a status, or JSON, by path.
        strict: fields that it refuses by name.
        asked: the paths of GETs.
        bodies: of POSTs.
    """

    def __init__(self, answers: dict[str, Any], strict: set[str]) -> None:
        self.answers = answers
        self.strict = strict
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        if request.method == "POST":
            body = await request.json()
            self.bodies.append(body)
            named = sorted(self.strict & set(body))
            if named and named[0] in ("temperature", "max_tokens"):
                error = {"message": "Not with this model", "param": named[0], "code": "unsupported_value"}
                return web.Response(status=400, text=json.dumps({"error": error}))
            if named:
                return web.Response(status=400, text=json.dumps({"error": {"message": f"property '{named[0]}' is unsupported"}}))
            return web.Response(text=json.dumps(GOOD))
        self.asked.append(request.path)
        found = self.answers.get(request.path, 404)
        return web.Response(status=found) if isinstance(found, int) else web.Response(text=json.dumps(found))


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers."""
    runners: list[web.AppRunner] = []

    async def start(answers: dict[str, Any], strict: set[str] | None = None) -> Server:
        server = Server(answers, strict or set())
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return server

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture(params=["adapter", "pooled"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Endpoint]]:
    """Makes endpoints: the adapter that measures, and the gateway's own."""
    made: list[Endpoint] = []
    pool = Pool()

    def make(at: Server, **changes: Any) -> Endpoint:
        config = config_for("openai_compatible", at.url, key=None, **{"server": None, "local": True, **changes})
        adapter = create_endpoint(config)
        made.append(adapter)
        if request.param == "adapter":
            return adapter
        address = HttpAddress.of("it", f"{at.url}/v1", None)

        async def where() -> HttpAddress:
            return address

        return PooledEndpoint("it", pool, OpenAIChat(config), where, lambda: adapter, 1_000_000)

    yield make
    for endpoint in made:
        await endpoint.close()
    pool.close()


def listed(*owners: str) -> dict[str, Any]:
    """A list of models."""
    return {"object": "list", "data": [{"id": f"m{n}", "owned_by": owner} for n, owner in enumerate(owners)]}


@pytest.mark.parametrize(
    ("answers", "own"),
    [
        ({"/v1/models": listed("llamacpp")}, OWN),
        ({"/v1/models": listed("llama-swap", "llama-swap")}, OWN),
        ({"/v1/models": listed("vllm")}, {"chat_template_kwargs"}),
        ({"/v1/models": listed("sglang")}, {"chat_template_kwargs"}),
        ({"/v1/models": listed("openai")}, set()),
        ({"/v1/models": listed("llamacpp", "openai")}, set()),
        ({"/v1/models": listed("openai"), "/props": {"default_generation_settings": {"n_ctx": 1}}}, set()),
        ({"/v1/models": listed("me"), "/props": {"default_generation_settings": {"n_ctx": 1}}}, OWN),
        ({"/v1/models": {"data": 5}}, set()),
        ({}, set()),
        ({"/v1/models": 401}, set()),
    ],
)
async def test_a_local_server_is_asked_once_what_it_is(
    serve: Serve, connect: Callable[..., Endpoint], answers: dict[str, Any], own: set[str]
) -> None:
    """And gets the fields that it knows, and no others."""
    server = await serve(answers)
    endpoint = connect(server)
    for _ in range(2):
        await endpoint.chat(ask("x", isolate=True))
    assert [OWN & set(body) for body in server.bodies] == [own, own]
    assert server.asked.count("/v1/models") == 1


@pytest.mark.parametrize(
    ("changes", "own"),
    [({"server": "llama.cpp"}, OWN), ({"server": "other"}, set()), ({"server": "sglang"}, {"chat_template_kwargs"})],
)
async def test_a_setting_says_what_a_server_is(
    serve: Serve, connect: Callable[..., Endpoint], changes: dict[str, Any], own: set[str]
) -> None:
    """Nobody is asked then."""
    server = await serve({"/v1/models": listed("vllm")})
    await connect(server, **changes).chat(ask("x", isolate=True))
    assert (OWN & set(server.bodies[0]), server.asked) == (own, [])


async def test_a_server_that_does_not_answer_yet_is_asked_again_but_not_forever(
    serve: Serve, connect: Callable[..., Endpoint]
) -> None:
    """While it loads, it is nothing in particular."""
    server = await serve({"/v1/models": 503})
    endpoint = connect(server)
    await endpoint.chat(ask("x"))
    server.answers = {"/v1/models": listed("llamacpp")}
    await endpoint.chat(ask("x"))
    assert [OWN & set(body) for body in server.bodies] == [set(), {"chat_template_kwargs"}]
    never = await serve({"/v1/models": 503})
    endpoint = connect(never)
    for _ in range(MAX_QUESTIONS + 2):
        await endpoint.chat(ask("x"))
    assert len(never.asked) == MAX_QUESTIONS


async def test_a_refusal_that_names_a_field_of_ours_teaches(serve: Serve, connect: Callable[..., Endpoint]) -> None:
    """The request is made again without it, and no later one has it. Other refusals are told."""
    server = await serve({}, strict={"chat_template_kwargs", "x_field"})
    endpoint = connect(server, server="vllm")
    for _ in range(2):
        assert (await endpoint.chat(ask("x"))).content.text == "hi"
    assert ["chat_template_kwargs" in body for body in server.bodies] == [True, False, False]
    with pytest.raises(EndpointError, match="x_field"):
        await endpoint.chat(ask("x", beside={"openai_chat": {"x_field": 1}}))
    with pytest.raises(EndpointError, match="chat_template_kwargs"):  # it is the client's own
        await endpoint.chat(ask("x", beside={"openai_chat": {"chat_template_kwargs": {"a": 1}}}))
    assert len(server.bodies) == 5


async def test_a_model_that_takes_no_temperature_is_asked_without_one(serve: Serve, connect: Callable[..., Endpoint]) -> None:
    """It is one of OpenAI's reasoning models under another name. A client's own temperature is the client's to answer for."""
    server = await serve({}, strict={"temperature", "max_tokens"})
    endpoint = connect(server, server="other")
    for _ in range(2):
        await endpoint.chat(ask("x", model="deployment"))
    assert ["temperature" in body for body in server.bodies] == [True, False, False]
    assert "max_completion_tokens" in server.bodies[-1]
    with pytest.raises(EndpointError, match="Not with this model"):
        await endpoint.chat(ask("x", model="deployment", beside={"openai_chat": {"temperature": 0.7}}))
    with pytest.raises(EndpointError, match="Not with this model"):
        await endpoint.chat(ask("x", model="deployment", beside={"openai_chat": {"max_tokens": 5}}))
    assert len(server.bodies) == 5


async def test_a_stream_learns_from_a_refusal_too(serve: Serve, connect: Callable[..., Endpoint]) -> None:
    """Before its first piece. What comes back here is no stream, but that is not the request's fault."""
    server = await serve({}, strict={"chat_template_kwargs"})
    with contextlib.suppress(EndpointError):
        _ = [chunk async for chunk in connect(server, server="vllm").stream(ask("x"))]
    assert ["chat_template_kwargs" in body for body in server.bodies] == [True, False]


async def test_settings_leave_out_and_add_fields(serve: Serve) -> None:
    """Whatever the dialect writes."""
    server = await serve({})
    changes: dict[str, Any] = {"server": "other", "omit": ("temperature", "seed"), "extra_body": {"provider": {"sort": "price"}}}
    endpoint = create_endpoint(config_for("openai_compatible", server.url, **changes))
    await endpoint.chat(ask("x"))
    await endpoint.close()
    assert not {"temperature", "seed"} & set(server.bodies[0])
    assert server.bodies[0]["provider"] == {"sort": "price"}


def test_a_place_that_is_not_there_is_left_out_already() -> None:
    """Also within a value that is no object."""
    config = config_for("ollama", omit=("options.seed", "options.a.b", "x.y", "z"))
    assert with_settings(config, {"options": {"seed": 1, "a": 2}, "x": 1}) == {"options": {"a": 2}, "x": 1}


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5", True),
        ("gpt-5-mini-2025-08-07", True),
        ("openai/gpt-5.1", True),
        ("o3-mini", True),
        ("openai/o1", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("marco-o1", False),
        ("gpt-50", False),
        ("o1st", False),
    ],
)
def test_openais_reasoning_models_get_no_temperature_and_a_limit_of_another_name(model: str, reasons: bool) -> None:
    """At every server of the dialect."""
    assert always_reasons(model) is reasons
    body = OpenAIChat(config_for("openai_compatible", "https://far.example/v1")).write_request(ask("x", model=model))
    assert ("temperature" in body, "max_completion_tokens" in body, "max_tokens" in body) == (not reasons, reasons, not reasons)


def test_what_a_server_tells_may_be_anything() -> None:
    """It is then nothing in particular."""
    answers: list[Any] = [None, 5, [], {"data": [5, None, {"owned_by": []}]}, {"data": []}]
    for told in answers:
        assert (server_of(told), server_by(told)) == (None, "other")
