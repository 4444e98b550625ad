"""What every Endpoint promises, run over each adapter against a scripted server that speaks its dialect, and in process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.endpoints.factory import create_endpoint
from selfopt.errors import EndpointError, EndpointFault
from selfopt.gateway import HttpAddress, Pool, PooledEndpoint
from selfopt.records import ChatReply, ChatRequest, Endpoint, Message, Sampling, ToolCall
from selfopt.scripted.endpoint import ScriptedEndpoint
from selfopt.scripted.player import ScriptEngine
from selfopt.scripted.server import serve_scripted
from tests.endpoints.kit import KEY, WEATHER, ask, config_for, contract_script
from tests.looptime import pass_time
from tests.scripted.clock import ManualClock

KINDS = ("openai_compatible", "ollama", "anthropic", "scripted", "in_process", "pooled")


@dataclass
class Bench:
    """An endpoint with the engine behind it."""

    kind: str
    endpoint: Endpoint
    engine: ScriptEngine


@asynccontextmanager
async def pooled(base_url: str) -> AsyncIterator[Endpoint]:
    """The gateway's own connections, with the adapter for what they leave to it."""
    address, pool = HttpAddress.of("it", f"{base_url}/v1", KEY), Pool()

    async def connect() -> HttpAddress:
        return address

    adapter = create_endpoint(config_for("openai_compatible", base_url))
    limit = config_for("openai_compatible", base_url).max_reply_bytes
    endpoint = PooledEndpoint("it", pool, OpenAIChat(config_for("openai_compatible", base_url)), connect, lambda: adapter, limit)
    yield endpoint
    await endpoint.close()
    await adapter.close()
    pool.close()


@pytest.fixture(params=KINDS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Each adapter in turn."""
    kind = str(request.param)
    if kind == "in_process":
        engine = ScriptEngine(contract_script(), ManualClock())
        endpoint: Endpoint = ScriptedEndpoint(config_for("scripted"), engine)
        yield Bench(kind, endpoint, engine)
        await endpoint.close()
        return
    server = await serve_scripted(contract_script())
    if kind == "pooled":
        async with pooled(server.base_url) as endpoint:
            yield Bench(kind, endpoint, server.engine)
        await server.close()
        return
    endpoint = create_endpoint(config_for(kind, server.base_url))
    yield Bench(kind, endpoint, server.engine)
    await endpoint.close()
    await server.close()


async def fault_of(endpoint: Endpoint, request: ChatRequest, *, streamed: bool) -> EndpointError:
    """The error that this request ends with."""
    with pytest.raises(EndpointError) as caught:
        await (final_of(endpoint, request) if streamed else endpoint.chat(request))
    return caught.value


async def until_known(engine: ScriptEngine) -> str:
    """The outcome of the newest request, once there is one."""
    while not engine.journal or engine.journal[-1].outcome == "open":  # noqa: ASYNC110 - the journal has no event
        await asyncio.sleep(0)
    return engine.journal[-1].outcome


async def final_of(endpoint: Endpoint, request: ChatRequest) -> ChatReply:
    """The last piece's whole reply, which the pieces must add up to."""
    text = thinking = ""
    final = None
    async for chunk in endpoint.stream(request):
        assert final is None, "nothing may follow the final piece"
        text, thinking, final = text + chunk.text, thinking + chunk.thinking, chunk.final
    assert final is not None
    assert (text, thinking) == (final.content.text, final.content.thinking)
    return final


def test_it_is_an_endpoint(bench: Bench) -> None:
    """It has the seam's methods."""
    assert isinstance(bench.endpoint, Endpoint)


async def test_a_text_reply_carries_figures_and_exact_bodies(bench: Bench) -> None:
    """Text, finish reason, tokens, times, and what was sent and received. Live traffic keeps no bodies."""
    reply = await bench.endpoint.chat(ask("hi there"))
    assert (reply.content.text, reply.content.finish_reason, reply.status) == ("Hello.", "stop", 200)
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    assert reply.latency_ms >= 0.0
    if bench.kind == "pooled":
        assert (reply.request_body, reply.reply_body) == ("", "")
    else:
        assert "hi there" in reply.request_body
        assert "Hello." in reply.reply_body
    assert reply.model == "m"


async def test_native_tool_calls_are_read(bench: Bench) -> None:
    """Name and arguments as an object; the finish reason says so."""
    reply = await bench.endpoint.chat(ask("weather, please", tools=(WEATHER,)))
    assert [(c.name, c.arguments) for c in reply.content.tool_calls] == [("get_weather", {"city": "Oslo"})]
    assert reply.content.finish_reason == "tool_calls"
    assert bench.engine.journal[-1].tool_names == ("get_weather",)


async def test_two_calls_stay_two_in_order(bench: Bench) -> None:
    """Parallel calls are kept apart, streamed or not."""
    for reply in (await bench.endpoint.chat(ask("twice")), await final_of(bench.endpoint, ask("twice"))):
        assert [c.arguments["city"] for c in reply.content.tool_calls] == ["Rome", "Bern"]
        assert len({c.id for c in reply.content.tool_calls if c.id}) in (0, 2)


@pytest.mark.parametrize("streamed", [False, True])
async def test_arguments_that_are_no_object_are_kept_as_broken(bench: Bench, streamed: bool) -> None:
    """They are evidence of what the model did, not an error."""
    request = ask("broken", tools=(WEATHER,))
    reply = await (final_of(bench.endpoint, request) if streamed else bench.endpoint.chat(request))
    assert reply.content.tool_calls == ()
    assert len(reply.content.broken_tool_calls) == 1
    assert "city is Oslo" in reply.content.broken_tool_calls[0]


async def test_thinking_is_kept_apart_from_the_answer(bench: Bench) -> None:
    """Whatever field or tag it comes in."""
    content = (await bench.endpoint.chat(ask("think"))).content
    assert (content.text, content.thinking) == ("Four.", "Let me see.")


async def test_a_reply_cut_at_the_limit_says_length(bench: Bench) -> None:
    """Truncation is visible."""
    assert (await bench.endpoint.chat(ask("long"))).content.finish_reason == "length"


@pytest.mark.parametrize("text", ["hello", "think", "long", "unicode", "weather"])
async def test_a_stream_ends_with_the_reply_as_it_would_have_come_whole(bench: Bench, text: str) -> None:
    """Same content and tokens, and the pieces add up to it."""
    request = ask(text, tools=(WEATHER,))
    whole, final = await bench.endpoint.chat(request), await final_of(bench.endpoint, request)
    assert final.content.model_copy(update={"tool_calls": ()}) == whole.content.model_copy(update={"tool_calls": ()})
    assert [(c.name, c.arguments) for c in final.content.tool_calls] == [(c.name, c.arguments) for c in whole.content.tool_calls]
    assert final.usage.output_tokens == whole.usage.output_tokens


async def test_slow_bytes_arrive_whole(bench: Bench) -> None:
    """A slow server is no fault within the timeout."""
    assert (await bench.endpoint.chat(ask("slowly"))).content.text == "abc"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("close", "protocol"),
        ("garbage", "protocol"),
        ("truncated", "protocol"),
        ("deep", "protocol"),
        ("huge", "protocol"),
        ("invalid_utf8", "protocol"),
        ("html", "protocol"),
        ("status302", "protocol"),
        ("status500", "server"),
        ("status503", "loading"),
        ("status429", "rate_limited"),
        ("status403", "auth"),
        ("status400", "bad_request"),
        ("hang", "timeout"),
    ],
)
async def test_every_fault_is_an_endpoint_error_of_its_kind(bench: Bench, what: str, kind: EndpointFault, streamed: bool) -> None:
    """Never another exception; the message shows no control characters and is one line; what was sent is there."""
    error = await fault_of(bench.endpoint, ask(what, timeout_s=0.3 if what == "hang" else 120.0), streamed=streamed)
    assert error.kind == kind
    assert str(error).isprintable()
    assert f'"{what}"' in error.request_body
    assert len(error.reply_body) <= 64_000
    assert (await bench.endpoint.chat(ask("hello"))).content.text == "Hello.", "the endpoint is still usable"


@pytest.mark.parametrize("streamed", [False, True])
async def test_retry_after_is_handed_on(bench: Bench, streamed: bool) -> None:
    """Seconds as the server asked for."""
    error = await fault_of(bench.endpoint, ask("status429"), streamed=streamed)
    assert (error.status, error.retry_after_s, error.retryable) == (429, 7.0, True)


async def test_an_unknown_model_is_not_found(bench: Bench) -> None:
    """And another attempt is not worth it."""
    error = await fault_of(bench.endpoint, ask("hi", model="nobody"), streamed=False)
    assert (error.kind, error.retryable) == ("not_found", False)
    assert "nobody" in str(error)


async def test_a_request_during_a_load_that_refuses_says_loading(bench: Bench) -> None:
    """So that a caller can tell a cold start from a broken server."""
    error = await fault_of(bench.endpoint, ask("hi", model="refusing"), streamed=False)
    assert (error.kind, error.retryable) == ("loading", True)


async def test_a_load_longer_than_the_timeout_is_a_timeout(bench: Bench) -> None:
    """The client leaves, the request is seen as given up."""
    asked = asyncio.ensure_future(fault_of(bench.endpoint, ask("hi", model="cold", timeout_s=60), streamed=False))
    while not bench.engine.journal:  # noqa: ASYNC110 - the journal has no event
        await asyncio.sleep(0)
    pass_time(60)
    assert (await asked).kind == "timeout"
    assert await until_known(bench.engine) == "aborted"


@pytest.mark.parametrize("what", ["hello", "echo", "status400"])
async def test_the_key_is_nowhere_in_what_is_recorded_or_shown(bench: Bench, what: str) -> None:
    """Not even when the server repeats it."""
    try:
        reply = await bench.endpoint.chat(ask(what))
        seen = reply.model_dump_json()
    except EndpointError as error:
        seen = f"{error}{error.request_body}{error.reply_body}"
    assert KEY not in seen
    assert KEY not in repr(bench.endpoint.__dict__)


async def test_isolation_and_reuse_both_answer(bench: Bench) -> None:
    """A fresh connection gives the same reply."""
    for isolate in (True, False, True):
        assert (await bench.endpoint.chat(ask("hello", isolate=isolate))).content.text == "Hello."


async def test_a_conversation_with_tool_results_is_understood(bench: Bench) -> None:
    """Calls and results of earlier turns need no ids of their own."""
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Say what it is after the tool."),
        Message(role="assistant", tool_calls=(ToolCall(name="get_weather", arguments={"city": "Oslo"}),)),
        Message(role="tool", name="get_weather", content="rain"),
    )
    reply = await bench.endpoint.chat(ask("x", messages=messages, tools=(WEATHER,)))
    assert reply.content.text == "It rains."


async def test_cancelling_gives_the_request_up(bench: Bench) -> None:
    """The caller's task ends with CancelledError, and the server sees the client leave."""
    if bench.kind == "in_process":
        pytest.skip("time of a manual clock does not stand still for a waiting request")
    task = asyncio.ensure_future(bench.endpoint.chat(ask("hang", timeout_s=60)))
    while not bench.engine.journal:  # noqa: ASYNC110 - the journal has no event
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await until_known(bench.engine) == "aborted"


async def test_leaving_a_stream_early_leaves_the_endpoint_usable(bench: Bench) -> None:
    """A consumer may stop after the first piece."""
    stream = bench.endpoint.stream(ask("unicode"))
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    assert (await bench.endpoint.chat(ask("hello"))).content.text == "Hello."


async def test_a_thinking_budget_is_taken(bench: Bench) -> None:
    """Requests with and without one are accepted."""
    for tokens in (0, 100, 4000):
        sampling = Sampling(max_tokens=50, thinking_tokens=tokens, top_p=0.9)
        assert (await bench.endpoint.chat(ask("hello", sampling=sampling))).content.text == "Hello."


async def test_many_requests_at_once_are_all_answered(bench: Bench) -> None:
    """More than the pool has connections."""
    replies = await asyncio.gather(*(bench.endpoint.chat(ask(f"hello {i}")) for i in range(40)))
    assert all(reply.content.text == "Hello." for reply in replies)
    assert len(bench.engine.journal) == 40


async def test_it_may_be_closed_twice(bench: Bench) -> None:
    """Closing is idempotent, used or not."""
    await bench.endpoint.chat(ask("hello"))
    await bench.endpoint.close()
    await bench.endpoint.close()


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
@pytest.mark.parametrize("key", [None, "sk-wrong-key"])
async def test_a_wrong_key_is_an_auth_fault(kind: str, key: str | None) -> None:
    """Named as such, and not worth another attempt."""
    server = await serve_scripted(contract_script())
    endpoint = create_endpoint(config_for(kind, server.base_url, key))
    error = await fault_of(endpoint, ask("hello"), streamed=False)
    await endpoint.close()
    await server.close()
    assert (error.kind, error.status, error.retryable) == ("auth", 401, False)
    assert "key" in str(error)


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
async def test_no_server_is_a_connect_fault(kind: str) -> None:
    """Nobody listens at the URL."""
    server = await serve_scripted(contract_script())
    await server.close()
    endpoint = create_endpoint(config_for(kind, server.base_url))
    error = await fault_of(endpoint, ask("hello"), streamed=True)
    await endpoint.close()
    assert (error.kind, error.retryable) == ("connect", True)
