"""Servers are asked for log probabilities as long as they take the question, and no request fails for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from selfopt.dialects.asked_logprobs import MAX_SUSPECTED
from selfopt.dialects.logprobs import LONGEST_ASKED, LONGEST_SUMMED
from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.errors import EndpointError
from selfopt.records import ChatReply, ChatRequest, Constraint, Endpoint, EndpointConfig, Sampling
from tests.endpoints.kit import KEY, WEATHER, ask, config_for

Says = Callable[[dict[str, Any]], web.Response]
ENTRIES = [{"token": "h", "logprob": -0.5, "top_logprobs": []}, {"token": "i", "logprob": -0.25, "top_logprobs": []}]


def reply(body: dict[str, Any], entries: list[Any] | None = None) -> web.Response:
    """A reply in either dialect, with log probabilities where they were asked for."""
    given = (ENTRIES if entries is None else entries) if body.get("logprobs") else None
    message = {"role": "assistant", "content": "hi"}
    openai = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": given}}],
        "id": "1.50",
    }
    ollama = {"message": message, "done": True, "done_reason": "stop", "logprobs": given}
    return web.Response(text=json.dumps({**openai, **ollama}))


def refusal(message: str, status: int = 400) -> web.Response:
    """An error."""
    return web.Response(status=status, text=json.dumps({"error": {"message": message}}))


class Server:
    """Answers POSTs as told, and keeps their bodies."""

    def __init__(self, says: Says) -> None:
        self.says = says
        self.bodies: list[dict[str, Any]] = []
        self.config = config_for("openai_compatible", None)

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        if request.method != "POST":
            return web.Response(text=json.dumps({"version": "0.12.11", "models": [], "data": []}))
        body = await request.json()
        self.bodies.append(body)
        return self.says(body)

    @property
    def asked(self) -> list[bool]:
        """Which requests asked for log probabilities."""
        return ["logprobs" in body for body in self.bodies]


Serve = Callable[..., Awaitable[tuple[Server, Endpoint]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers, with an endpoint each."""
    runners: list[web.AppRunner] = []
    endpoints: list[Endpoint] = []

    async def start(says: Says = reply, kind: str = "openai_compatible", **changes: Any) -> tuple[Server, Endpoint]:
        server = Server(says)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        server.config = config_for(kind, f"http://127.0.0.1:{runner.addresses[0][1]}", **changes)
        endpoints.append(create_endpoint(server.config))
        return server, endpoints[-1]

    yield start
    for endpoint in endpoints:
        await endpoint.close()
    for runner in runners:
        await runner.cleanup()


def wanting(**changes: Any) -> ChatRequest:
    """A request that asks."""
    return ask("x", **({"logprobs": 5} | changes))


def strict(message: str, status: int = 400) -> Says:
    """Refuses every request that asks."""
    return lambda body: refusal(message, status) if "logprobs" in body else reply(body)


async def whole(endpoint: Endpoint, request: ChatRequest) -> ChatReply:
    """The reply to a streamed request."""
    chunks = [chunk async for chunk in endpoint.stream(request)]
    assert chunks[-1].final is not None
    return chunks[-1].final


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
async def test_log_probabilities_come_with_the_reply_and_stand_only_there(serve: Serve, kind: str) -> None:
    """The same content as without them. The body as received has null in their place, and all else."""
    server, endpoint = await serve(kind=kind)
    plain, with_them = await endpoint.chat(ask("x")), await endpoint.chat(wanting())
    assert server.asked == [False, True]
    assert with_them.content == plain.content
    assert plain.logprobs is None
    assert with_them.logprobs is not None
    assert (with_them.logprobs.text, with_them.logprobs.total) == ("hi", -0.75)
    cut = json.loads(with_them.reply_body)
    assert cut["logprobs"] is None
    assert cut["choices"][0]["logprobs"] is None
    assert {**cut, "choices": 0, "logprobs": 0} == {**json.loads(plain.reply_body), "choices": 0, "logprobs": 0}
    assert json.loads(with_them.request_body)["top_logprobs"] == 5


async def test_a_reply_that_nobody_asked_this_of_stays_as_it_came(serve: Serve) -> None:
    """A client's own question, or a server that gives them to everybody."""
    server, endpoint = await serve(lambda body: reply({"logprobs": True}))
    assert (await endpoint.chat(ask("x"))).reply_body == reply({"logprobs": True}).text
    assert server.asked == [False]


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
@pytest.mark.parametrize("status", [400, 403, 422, 500])
async def test_a_server_that_refuses_by_name_is_asked_without_from_then_on(serve: Serve, kind: str, status: int) -> None:
    """No request fails, and the refusal is met once."""
    server, endpoint = await serve(strict("this model does not support Logprobs", status), kind)
    for _ in range(3):
        found = await endpoint.chat(wanting())
        assert (found.content.text, found.logprobs) == ("hi", None)
    assert server.asked == [True, False, False, False]


async def test_a_server_that_refuses_without_a_reason_is_found_out(serve: Serve) -> None:
    """The same request without the question has a reply, so the question was to blame."""
    server, endpoint = await serve(strict("extra inputs are not permitted", 422))
    for _ in range(3):
        assert (await endpoint.chat(wanting())).content.text == "hi"
    assert server.asked == [True, False, False, False]


async def test_both_unknown_fields_are_left_out(serve: Serve) -> None:
    """A server may refuse several of ours, one at a time."""

    def says(body: dict[str, Any]) -> web.Response:
        named = next((field for field in ("chat_template_kwargs", "cache_prompt", "logprobs") if field in body), None)
        return refusal(f"property '{named}' is unsupported") if named else reply(body)

    server, endpoint = await serve(says)
    for _ in range(2):
        assert (await endpoint.chat(wanting(isolate=True))).content.text == "hi"
    assert len(server.bodies) == 5


async def test_a_request_that_fails_anyway_fails_with_its_own_error(serve: Serve) -> None:
    """The question is not to blame then, and is asked again. After a few of them no second request is made."""
    server, endpoint = await serve(lambda body: refusal("no"))
    for _ in range(MAX_SUSPECTED + 2):
        with pytest.raises(EndpointError, match="no"):
            await endpoint.chat(wanting())
    assert server.asked == [True, False] * MAX_SUSPECTED + [True, True]
    server.says = reply
    assert (await endpoint.chat(wanting())).logprobs is not None


@pytest.mark.parametrize(
    "message", ["registry.ollama.ai/library/m:latest does not support tools", "the request exceeds the available context size"]
)
async def test_a_refusal_with_a_known_cause_is_final(serve: Serve, message: str) -> None:
    """What the server says is believed: one request, as without the question."""
    server, endpoint = await serve(lambda body: refusal(message))
    with pytest.raises(EndpointError):
        await endpoint.chat(wanting(tools=(WEATHER,)))
    assert server.asked == [True]


async def test_a_server_that_gave_them_is_not_suspected_later(serve: Serve) -> None:
    """A request that it refuses for another reason is sent once."""
    server, endpoint = await serve()
    await endpoint.chat(wanting())
    server.says = lambda body: refusal("no")
    with pytest.raises(EndpointError):
        await endpoint.chat(wanting())
    assert server.asked == [True, True]


async def test_what_is_refused_in_one_form_is_asked_in_the_others(serve: Serve) -> None:
    """llama.cpp has none for streams with tools; others have none with a schema."""

    def says(body: dict[str, Any]) -> web.Response:
        if "logprobs" in body and body["stream"] and body.get("tools"):
            return refusal("logprobs is not supported with tools + stream")
        if not body["stream"]:
            return reply(body)
        entries = {"content": ENTRIES} if "logprobs" in body else None
        chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop", "logprobs": entries}]}
        return web.Response(text=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")

    _, endpoint = await serve(says)
    for _ in range(2):
        with_tools = await whole(endpoint, wanting(tools=(WEATHER,)))
        assert (with_tools.content.text, with_tools.logprobs) == ("hi", None)
        for found in (await whole(endpoint, wanting()), await endpoint.chat(wanting(tools=(WEATHER,)))):
            assert found.logprobs is not None
            assert found.logprobs.text == "hi"
    schema = Constraint(kind="json_schema", json_schema={"type": "object"})
    assert (await endpoint.chat(wanting(constraint=schema))).logprobs is not None


async def test_requests_at_the_same_time_learn_without_failing(serve: Serve) -> None:
    """Each of them has a reply, whoever met the refusal first."""
    server, endpoint = await serve(strict("no such field"))
    found = await asyncio.gather(*(endpoint.chat(wanting()) for _ in range(8)))
    assert [one.content.text for one in found] == ["hi"] * 8
    await endpoint.chat(wanting())
    assert server.asked[-1] is False


@pytest.mark.parametrize(
    ("sampling", "changes", "asked"),
    [
        ({"max_tokens": LONGEST_ASKED - 1000}, {}, True),
        ({"max_tokens": LONGEST_ASKED + 1}, {}, False),
        ({"thinking_tokens": LONGEST_ASKED}, {}, False),
        ({"max_tokens": 256}, {"max_reply_bytes": 100_000}, False),
        ({"max_tokens": 256}, {"max_reply_bytes": 100_000, "top": 1}, True),
        ({"max_tokens": LONGEST_SUMMED}, {"top": 1}, True),
        ({"max_tokens": LONGEST_SUMMED + 1}, {"top": 1}, False),
    ],
)
async def test_a_reply_that_could_become_too_large_has_none(
    serve: Serve, sampling: dict[str, int], changes: dict[str, Any], asked: bool
) -> None:
    """They would take half a kilobyte a token, or less where only the sum is wanted, and a reply beyond the limit fails."""
    top = changes.pop("top", 5)
    server, endpoint = await serve(**changes)
    assert (await endpoint.chat(wanting(sampling=Sampling(**sampling), logprobs=top))).content.text == "hi"
    assert server.asked == [asked]


@pytest.mark.parametrize("entries", [[], [{"token": "h", "logprob": 7.0}], [{"token": "h"}], [5]])
async def test_a_server_that_promises_and_does_not_keep_it_changes_nothing(serve: Serve, entries: list[Any]) -> None:
    """The reply counts, and its body stays as it came."""
    _, endpoint = await serve(lambda body: reply(body, entries))
    found = await endpoint.chat(wanting())
    assert (found.content.text, found.logprobs) == ("hi", None)
    assert json.loads(found.reply_body)["choices"][0]["logprobs"]["content"] == entries


async def test_a_key_that_is_split_over_tokens_is_not_kept(serve: Serve) -> None:
    """Neither with the log probabilities nor in the body."""
    pieces = [{"token": KEY[at : at + 4], "logprob": -1.0} for at in range(0, len(KEY), 4)]
    _, endpoint = await serve(lambda body: reply(body, pieces))
    found = await endpoint.chat(wanting())
    assert found.logprobs is None
    assert KEY[:4] not in found.reply_body


@pytest.mark.parametrize(
    ("version", "gives"),
    [("0.12.11", True), ("0.13.0-rc1", True), ("1.0.0", True), ("0.12.10", False), ("0.9.99", False), ("dev", None), ("", None)],
)
async def test_ollamas_version_tells_whether_it_gives_them(version: str, gives: bool | None) -> None:
    """Older ones ignore the question."""
    app = web.Application()
    told: dict[str, Any] = {"version": version, "models": [{"name": "m"}]}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(told))

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        residency = create_residency(config_for("ollama", f"http://127.0.0.1:{runner.addresses[0][1]}"))
        assert (await residency.status("m")).logprobs is gives
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("owner", "gives"), [("llamacpp", True), ("vllm", True), ("sglang", True), ("openai", None), (None, None)]
)
async def test_a_server_of_openais_dialect_is_known_by_its_list(owner: str | None, gives: bool | None) -> None:
    """Others are asked in a request, and may refuse."""
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"data": [{"id": "m", "owned_by": owner}]}))

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        residency = create_residency(config_for("openai_compatible", f"http://127.0.0.1:{runner.addresses[0][1]}"))
        assert (await residency.status("m")).logprobs is gives
    finally:
        await runner.cleanup()


async def test_anthropic_is_known_to_have_none() -> None:
    """Its API has no field for them."""
    config = EndpointConfig(name="anthropic", kind="anthropic", base_url="https://api.anthropic.com")
    assert (await create_residency(config).status("claude")).logprobs is False
