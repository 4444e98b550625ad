"""Clients of Anthropic's Messages: the official SDK, against servers of each dialect, with and without a variant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest

from selfopt.dialects.anthropic import Anthropic
from selfopt.home import ChainedFile, KeyFile
from selfopt.records import ChatRequest, EndpointConfig, Message, ToolCall

from .kit import World, gateway_world
from .servers import SSE_HEAD, chunk, raw_upstream, whole
from .test_escalation import MODELS as UNSURE
from .test_escalation import sure_rule
from .test_harness import CALL, promote

SERVERS = """
[endpoints.claude]
kind = "anthropic"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
[endpoints.lama]
kind = "ollama"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
[endpoints.both]
kind = "openai_compatible"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
also = ["anthropic"]
"""
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NATIVE = [{"name": "get_weather", "arguments": {"city": "Oslo"}}]
MODELS: dict[str, Any] = {
    "writer": {"replies": [{"match": {"contains": "weather"}, "text": CALL}], "default": {"text": "Just text."}},
    "caller": {
        "replies": [{"match": {"contains": "weather"}, "text": "Let me see.", "tool_calls": NATIVE}],
        "default": {"text": "Hm."},
    },
    "thinker": {"default": {"text": "Forty-two.", "thinking": "Six times seven."}},
    "ill": {"default": {"fault": {"kind": "status", "status": 500}}},
}
EVERYWHERE = pytest.mark.parametrize("endpoint", ["up", "claude", "lama", "both"])
STREAMED = pytest.mark.parametrize("stream", [False, True])


def client(world: World, **more: Any) -> anthropic.AsyncAnthropic:
    """The official client."""
    return anthropic.AsyncAnthropic(base_url=world.url.removesuffix("/v1"), api_key="none", max_retries=0, **more)


def sent(world: World) -> dict[str, Any]:
    """The body that the server got last."""
    body = world.upstream.journal[-1].body
    assert body is not None
    return body


async def told(world: World, *, stream: bool, **asked: Any) -> anthropic.types.Message:
    """The message that the official client makes of an answer."""
    fields: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **asked}
    async with client(world) as own:
        if not stream:
            message: anthropic.types.Message = await own.messages.create(**fields)
            return message
        async with own.messages.stream(**fields) as events:
            return await events.get_final_message()


@STREAMED
@EVERYWHERE
async def test_a_text_comes_from_servers_of_every_dialect(tmp_path: Path, endpoint: str, stream: bool) -> None:
    """With the stop reason and the token counts, which the record has too."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        message = await told(world, stream=stream, model=f"{endpoint}/writer", system="Be brief.")
        assert [block.model_dump(include={"type", "text"}) for block in message.content] == [
            {"type": "text", "text": "Just text."}
        ]
        assert (message.stop_reason, message.role) == ("end_turn", "assistant")
        assert message.usage.output_tokens > 0
        record = world.records[-1]
        assert (record.status, record.output_tokens) == (200, message.usage.output_tokens)
        assert record.input_tokens == message.usage.input_tokens > 0
        assert "Be brief." in json.dumps(world.upstream.journal[-1].body)


@STREAMED
@EVERYWHERE
@pytest.mark.parametrize("model", ["writer", "caller"])
async def test_a_tool_is_called_through_a_variant(tmp_path: Path, endpoint: str, stream: bool, model: str) -> None:
    """Whether the model writes the call as text or the server reports it."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        await promote(world, "native_parsed", model=f"{endpoint}/{model}")
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "weather?"}], "tools": [WEATHER]}
        message = await told(world, stream=stream, model=f"{endpoint}/{model}", **asked)
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert (call.name, call.input, message.stop_reason) == ("get_weather", {"city": "Oslo"}, "tool_use")
        assert world.records[-1].variant == "native_parsed"


@STREAMED
@pytest.mark.parametrize("endpoint", ["up", "claude", "lama"])
async def test_thinking_is_a_block_before_the_text(tmp_path: Path, endpoint: str, stream: bool) -> None:
    """Whatever the server calls it."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        wish = {"type": "enabled", "budget_tokens": 1024}
        message = await told(world, stream=stream, model=f"{endpoint}/thinker", max_tokens=2000, thinking=wish)
        first, second = message.content
        assert isinstance(first, anthropic.types.ThinkingBlock)
        assert isinstance(second, anthropic.types.TextBlock)
        assert (first.thinking, second.text) == ("Six times seven.", "Forty-two.")
        body = sent(world)
        assert {"up": body.get("reasoning_effort"), "lama": body.get("think"), "claude": body.get("thinking")}[endpoint] == {
            "up": "low",
            "lama": True,
            "claude": wish,
        }[endpoint]


async def test_a_server_of_the_dialect_gets_what_the_client_sent(tmp_path: Path) -> None:
    """Every field, with its own name of the model; its answer comes back byte for byte."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        body = {
            "model": "claude/writer",
            "max_tokens": 10,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": None}]}],
            "tools": [WEATHER, {"type": "web_search_20250305", "name": "web_search"}],
            "context_management": {"edits": []},
            "brand_new": [1, 2.50],
        }
        answer = await world.post(body, path="/v1/messages?beta=true")
        assert world.upstream.journal[-1].body == {**body, "model": "writer"}
        assert answer.body["content"] == [{"type": "text", "text": "Just text."}]
        assert answer.headers["x-selfopt-model"] == "claude/writer"
        streamed = await world.post({**body, "stream": True}, path="/v1/messages")
        assert streamed.text.startswith("event: message_start\n")
        assert streamed.text.rstrip().endswith('data: {"type": "message_stop"}')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("container", "c1"),
        ("mcp_servers", [{"type": "url", "url": "http://x", "name": "x"}]),
        ("context_management", {"edits": []}),
        ("inference_geo", "us"),
        ("brand_new", 1),
        ("thinking", {"type": "odd"}),
        ("thinking", {"type": "adaptive", "display": "omitted"}),
        ("output_config", {"task_budget": {"type": "tokens", "total": 1}}),
        ("output_config", {"effort": "huge"}),
        ("output_format", {"type": "xml"}),
        ("metadata", {"team": "x"}),
        ("tools", [{"type": "web_search_20250305", "name": "web_search"}]),
        ("tools", [{**WEATHER, "defer_loading": True}]),
        ("tool_choice", {"type": "odd"}),
        ("messages", [{"role": "user", "content": [{"type": "document", "source": {}}]}]),
        ("messages", [{"role": "odd", "content": "x"}]),
        ("messages", [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]),
    ],
)
@pytest.mark.parametrize("endpoint", ["up", "lama"])
async def test_what_a_server_has_no_words_for_is_refused_by_its_name(
    tmp_path: Path, endpoint: str, field: str, value: Any
) -> None:
    """Nothing was asked, and the client learns which field it is."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        with pytest.raises(anthropic.BadRequestError) as refused:
            await told(world, stream=False, model=f"{endpoint}/writer", extra_body={field: value})
        error = refused.value.body
        assert isinstance(error, dict)
        assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
        assert field in error["error"]["message"]
        assert error["request_id"] == world.records[-1].id
        assert not world.upstream.journal


async def test_errors_are_those_of_the_official_client(tmp_path: Path) -> None:
    """By status, with the dialect's own types, for refusals of the gateway and of servers."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS, options={"retries": 0}) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=False)
        await world.reload()
        cases: list[tuple[type[anthropic.APIStatusError], str, dict[str, Any]]] = [
            (anthropic.NotFoundError, "not_found_error", {"model": "up/nobody"}),
            (anthropic.NotFoundError, "not_found_error", {"model": "claude/nobody"}),
            (anthropic.PermissionDeniedError, "permission_error", {"model": "up/good", "tools": [WEATHER]}),
            (anthropic.InternalServerError, "api_error", {"model": "up/ill"}),
            (anthropic.InternalServerError, "api_error", {"model": "claude/ill"}),
            (anthropic.BadRequestError, "invalid_request_error", {"model": "up/good", "messages": []}),
            (anthropic.BadRequestError, "invalid_request_error", {"model": ""}),
        ]
        for kind, name, fields in cases:
            for stream in (False, True):
                with pytest.raises(kind) as raised:
                    await told(world, stream=stream, **fields)
                assert isinstance(raised.value.body, dict)
                assert raised.value.body["error"]["type"] == name


async def test_keys_come_as_the_official_client_sends_them(tmp_path: Path) -> None:
    """In x-api-key or as a bearer's; two different ones, or one that came twice, are refused."""
    home = tmp_path / "home"
    home.mkdir()
    key, _ = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("mine")
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        body = {"model": "claude/writer", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}

        async def answered(**headers: str) -> int:
            return (
                await world.post(body, {name.replace("_", "-"): value for name, value in headers.items()}, "/v1/messages")
            ).status

        assert await answered() == 401
        assert await answered(x_api_key="wrong") == 401
        assert await answered(x_api_key=key) == 200
        assert await answered(Authorization=f"Bearer {key}") == 200
        assert await answered(Authorization=f"Bearer {key}", x_api_key=key) == 200
        assert await answered(Authorization="Bearer other", x_api_key=key) == 400
        lines = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\nX-API-Key: {key}\r\nContent-Length: 0\r\n\r\n"
        )
        assert (await world.raw(lines.encode(), eof=True)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("endpoint", ["claude", "both"])
async def test_tokens_are_counted_by_a_server_that_does(tmp_path: Path, endpoint: str) -> None:
    """The scripted one has no such route: its own words reach the client. Nobody else is asked, and nothing is guessed."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world, client(world) as own:
        for name, asked in ((endpoint, 1), ("up", 0), ("lama", 0)):
            before = len(world.records)
            with pytest.raises(anthropic.NotFoundError) as raised:
                await own.messages.count_tokens(model=f"{name}/writer", messages=[{"role": "user", "content": "hi"}])
            assert ("has no /v1/messages/count_tokens" in str(raised.value)) == (not asked)
            (record,) = world.records[before:]
            assert (record.route, record.status) == ("messages/count_tokens", 404)


async def test_a_count_is_the_servers_own(tmp_path: Path) -> None:
    """With the features of the API that the client names, and the endpoint's key."""
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"input_tokens": 14}', b"200 OK", b"Connection: close"))

    async with raw_upstream(talk, bodies, heads) as url:
        settings = f'[endpoints.own]\nkind = "anthropic"\nbase_url = "{url}"\napi_key = "sk-own-0123456789"\nlocal = true\n'
        async with gateway_world(tmp_path, settings=settings) as world, client(world) as own:
            count = await own.beta.messages.count_tokens(
                model="own/claude", messages=[{"role": "user", "content": "hi"}], betas=["token-counting-2024-11-01"]
            )
    assert count.input_tokens == 14
    assert json.loads(bodies[0])["model"] == "claude"
    (head,) = heads
    assert head.startswith(b"POST /v1/messages/count_tokens HTTP/1.1\r\n")
    assert head.count(b"x-api-key: ") == head.count(b"x-api-key: sk-own-0123456789\r\n") == 1
    assert (head.count(b"anthropic-version: 20"), head.count(b"anthropic-beta: token-counting-2024-11-01")) == (1, 1)


EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c",'
    b'"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_read_input_tokens":5,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"sk-own-0123"}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"456789 Hi"}}\n\n'
)
ENDED = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},'
    b'"usage":{"output_tokens":9}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)


@asynccontextmanager
async def claude(tmp_path: Path, events: bytes, *, complete: bool = True) -> AsyncIterator[World]:
    """A gateway before a server that streams these events."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            SSE_HEAD
            + b"".join(chunk(one + b"\n\n") for one in events.split(b"\n\n") if one)
            + (b"0\r\n\r\n" if complete else b"")
        )
        await writer.drain()

    async with raw_upstream(talk) as url:
        settings = f'[endpoints.own]\nkind = "anthropic"\nbase_url = "{url}"\napi_key = "sk-own-0123456789"\nlocal = true\n'
        async with gateway_world(tmp_path, settings=settings, options={"retries": 0}) as world:
            yield world


async def test_a_stream_that_is_passed_on_is_counted_and_tells_no_key(tmp_path: Path) -> None:
    """The tokens of its first event and of its last are in the record. A key over two events is taken out."""
    async with claude(tmp_path, EVENTS + ENDED) as world:
        message = await told(world, stream=True, model="own/c")
        (block,) = message.content
        assert isinstance(block, anthropic.types.TextBlock)
        assert block.text == "[key] Hi"
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
        record = world.records[-1]
        assert (record.input_tokens, record.output_tokens) == (12, 9)


async def test_a_stream_that_breaks_off_ends_with_an_error(tmp_path: Path) -> None:
    """In the dialect's own form, after what came."""
    async with claude(tmp_path, EVENTS, complete=False) as world:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await told(world, stream=True, model="own/c")
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["error"]["type"] == "api_error"
        assert world.records[-1].outcome == "failed"


@pytest.mark.parametrize(
    ("head", "status", "kind"),
    [
        (b"Content-Length: 99999999\r\n", 413, "request_too_large"),
        (b"X-Long: %s\r\n" % (b"x" * 40_000), 431, "invalid_request_error"),
        (b"X: y\r\n" * 200, 431, "invalid_request_error"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400, "invalid_request_error"),
    ],
)
async def test_a_request_that_cannot_be_read_gets_the_dialects_error(tmp_path: Path, head: bytes, status: int, kind: str) -> None:
    """Even where only the beginning of its head is known."""
    async with gateway_world(tmp_path) as world:
        lines = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + head
        answer = await world.raw(lines + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (body["type"], body["error"]["type"]) == ("error", kind)


@STREAMED
async def test_a_server_that_speaks_both_gets_the_clients_own_words(tmp_path: Path, stream: bool) -> None:
    """Unless calls have to be read from its text. What can't be translated goes to it as well."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        await told(world, stream=stream, model="both/writer", thinking={"type": "adaptive"}, extra_body={"brand_new": 1})
        assert sent(world)["brand_new"] == 1
        message = await told(
            world, stream=stream, model="both/writer", messages=[{"role": "user", "content": "weather?"}], tools=[WEATHER]
        )
        assert [block.type for block in message.content] == ["tool_use"]
        assert sent(world)["tools"][0]["type"] == "function"
        await told(world, stream=stream, model="both/writer", tools=[WEATHER], extra_body={"container": "c"})
        assert sent(world)["container"] == "c"
        assert world.records[-1].status == 200


@STREAMED
async def test_another_model_answers_in_the_same_dialect(tmp_path: Path, stream: bool) -> None:
    """When the first one fails, the fallback of its rule is asked in the words of its own server."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS, options={"retries": 0}) as world:
        for first, second in (("up/ill", "claude/caller"), ("claude/ill", "lama/caller")):
            await promote(world, None, model=first, fallback=second)
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": "weather?"}], "tools": [WEATHER]}
            message = await told(world, stream=stream, model=first, **asked)
            assert message.stop_reason == "tool_use"
            assert (message.content[-1].type, world.records[-1].served) == ("tool_use", second)


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("endpoint", ["up", "claude", "lama"])
async def test_a_conversation_with_tools_and_pictures_reaches_every_server(tmp_path: Path, endpoint: str) -> None:
    """Pictures, calls, and their results, one of them an error."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        results = [
            {"type": "tool_result", "tool_use_id": "a1", "content": [{"type": "text", "text": "rain"}, picture]},
            {"type": "tool_result", "tool_use_id": "a2", "content": "no such city", "is_error": True},
        ]
        turns: list[dict[str, Any]] = [
            {"role": "user", "content": [picture, {"type": "text", "text": "like here?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": ""},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "a1", "name": "get_weather", "input": {"city": "Oslo"}},
                    {"type": "tool_use", "id": "a2", "name": "get_weather", "input": {"city": "Osl"}},
                ],
            },
            {"role": "user", "content": [*results, {"type": "text", "text": "so?"}]},
        ]
        message = await told(world, stream=False, model=f"{endpoint}/writer", messages=turns, tools=[WEATHER])
        assert message.stop_reason == "end_turn"
        assert world.records[-1].phase == "extended"
        body = json.dumps(sent(world))
        assert body.count(PIXEL) == 2
        for part in ("like here?", "I look.", "Oslo", "rain", "no such city", "so?"):
            assert part in body
        assert ("is_error" in body) == (endpoint == "claude")
        assert ("Error: no such city" in body) == (endpoint != "claude")


@STREAMED
async def test_signed_thinking_comes_through_a_variant_and_goes_back(tmp_path: Path, stream: bool) -> None:
    """The next turn carries it; thinking that nobody signed is left out where the server would refuse it."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        await promote(world, "native_parsed", model="claude/thinker")
        asked: dict[str, Any] = {"model": "claude/thinker", "max_tokens": 2000, "thinking": thinking, "tools": [WEATHER]}
        message = await told(world, stream=stream, **asked)
        first = message.content[0]
        assert isinstance(first, anthropic.types.ThinkingBlock)
        assert (first.thinking, first.signature) == ("Six times seven.", "c2NyaXB0ZWQ=")
        assert (sent(world)["thinking"], sent(world)["max_tokens"]) == (thinking, 2000)
        unsigned = {"type": "thinking", "thinking": "Mine.", "signature": ""}
        turns = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [unsigned, *(block.model_dump(exclude_none=True) for block in message.content)]},
            {"role": "user", "content": "why?"},
        ]
        for more in ({}, {"extra_headers": {"x-selfopt-variant": "off"}}):
            await told(world, stream=stream, messages=turns, **asked, **more)
            content = sent(world)["messages"][1]["content"]
            assert [block.get("thinking") for block in content] == ["Six times seven.", None]


async def test_signed_thinking_reaches_clients_of_the_other_dialect(tmp_path: Path) -> None:
    """Whole and streamed, in the field in which they may send it back."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        block = {"type": "thinking", "thinking": "Six times seven.", "signature": "c2NyaXB0ZWQ="}
        body = {"model": "claude/thinker", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "low"}
        whole_answer = await world.post(body)
        assert whole_answer.body["choices"][0]["message"]["thinking_blocks"] == [block]
        streamed = await world.post({**body, "stream": True})
        events = [json.loads(line[6:]) for line in streamed.text.split("\n") if line.startswith("data: {")]
        deltas = [choice["delta"] for event in events for choice in event["choices"]]
        assert [delta["thinking_blocks"] for delta in deltas if "thinking_blocks" in delta] == [[block]]


async def test_a_variants_request_keeps_what_only_the_dialect_says(tmp_path: Path) -> None:
    """Fields, pictures in results, and wishes to keep what was read arrive at a server of the dialect."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        await promote(world, "native_api", model="claude/caller")
        kept = {"type": "ephemeral"}
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        result = {"type": "tool_result", "tool_use_id": "a1", "content": "none", "is_error": True, "cache_control": kept}
        call = {"type": "tool_use", "id": "a1", "name": "get_weather", "input": {}}
        await told(
            world,
            stream=False,
            model="claude/caller",
            system=[{"type": "text", "text": "s", "cache_control": kept}],
            messages=[
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [result]},
            ],
            tools=[{**WEATHER, "cache_control": kept, "defer_loading": True}],
            tool_choice={"type": "any", "disable_parallel_tool_use": True},
            metadata={"user_id": "u"},
            extra_body={"container": "c", "inference_geo": "us", "speed": "fast", "context_management": {"edits": []}},
        )
        body = sent(world)
        assert world.records[-1].variant == "native_api"
        assert body["system"] == [{"type": "text", "text": "s", "cache_control": kept}]
        assert body["messages"][2]["content"] == [result]
        (tool,) = body["tools"]
        assert (tool["cache_control"], tool["defer_loading"]) == (kept, True)
        assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
        more = {"metadata": {"user_id": "u"}, "container": "c", "inference_geo": "us", "speed": "fast"}
        assert more.items() <= body.items()
        assert body["context_management"] == {"edits": []}
        pictured = {"type": "tool_result", "tool_use_id": "a1", "content": [picture]}
        written = Anthropic(EndpointConfig(name="x", kind="anthropic")).write_request(
            ChatRequest(
                model="m",
                messages=(
                    Message(role="user", content="x"),
                    Message(role="assistant", tool_calls=(ToolCall(name="t", id="a1"),)),
                    Message(role="tool", tool_call_id="a1", pictures=(f"data:image/png;base64,{PIXEL}",)),
                ),
            )
        )
        assert written["messages"][2]["content"] == [pictured]


async def test_what_is_not_served_below_messages_is_told_in_its_clients_form(tmp_path: Path) -> None:
    """Anthropic's SDK asks for batches there, and reads errors of its own form."""
    async with gateway_world(tmp_path, settings=SERVERS) as world:
        with pytest.raises(anthropic.NotFoundError) as caught:
            async with client(world) as anthropic_client:
                await anthropic_client.messages.batches.list()
        assert caught.value.body == {
            "type": "error",
            "error": {"type": "not_found_error", "message": "nothing is served at this path; see /openapi.json"},
            "request_id": None,
        }


@STREAMED
async def test_an_unsure_answer_escalates_to_a_server_of_another_dialect(tmp_path: Path, stream: bool) -> None:
    """Signed in the record; a sure one is served. With nobody stronger the client gets an error that it does not repeat."""
    async with gateway_world(tmp_path, {**UNSURE, **MODELS}, settings=SERVERS) as world:
        await sure_rule(world, fallback="claude/caller")
        for text, served in (("weather, surely", "up/m"), ("weather, maybe", "claude/caller")):
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": text}], "tools": [WEATHER]}
            message = await told(world, stream=stream, model="up/m", **asked)
            (call,) = [block for block in message.content if block.type == "tool_use"]
            assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
            assert world.records[-1].served == served
        assert world.records[-1].escalated == ("unsure",)
        await sure_rule(world, fallback="claude/ill")
        with pytest.raises(anthropic.APIStatusError) as refused:
            await told(world, stream=stream, model="up/m", **asked)
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["type"] == "error"
