"""Clients of OpenAI's Responses API, asked with its own SDK."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.dialects.responses_client import NAME

from .kit import World, gateway_world
from .servers import SSE_HEAD, Said, chunk, event, raw_upstream, whole
from .test_escalation import MODELS as SURE_MODELS
from .test_escalation import sure_rule
from .test_harness import MODELS, promote

PATH = "/v1/responses"
TOOLS: list[Any] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    {"type": "function", "name": "play", "description": "Music", "parameters": {"type": "object", "properties": {}}},
]
KINDS = {"openai_compatible": "/v1", "ollama": "", "anthropic": "/v1"}


def client(world: World, key: str = "none") -> openai.AsyncOpenAI:
    """OpenAI's own client."""
    return openai.AsyncOpenAI(base_url=world.url, api_key=key, max_retries=0)


def asking(text: str = "hi", model: str = "up/good", **fields: Any) -> dict[str, Any]:
    """The body of a request."""
    return {"model": model, "input": text, **fields}


def calls_in(response: Any) -> list[tuple[str, Any]]:
    """The calls of an answer."""
    return [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]


class City(pydantic.BaseModel):
    """What the model is to fill in."""

    city: str


@pytest.mark.parametrize("variant", ["native_parsed", None])
async def test_the_sdk_reads_text_and_parallel_calls_whole_and_streamed(tmp_path: Path, variant: str | None) -> None:
    """The same items come both ways."""
    both = [("get_weather", {"city": "Oslo"}), ("play", {})]
    async with gateway_world(tmp_path, MODELS) as world, client(world) as sdk:
        await promote(world, variant)
        for text, calls in (("hi", []), ("both", both)):
            whole = await sdk.responses.create(model="up/writer", input=text, tools=TOOLS, instructions="Be brief.")
            assert (whole.status, whole.model, whole.instructions) == ("completed", "up/writer", "Be brief.")
            assert calls_in(whole) == calls
            assert whole.output_text == ("" if calls else "Just text.")
            async with sdk.responses.stream(model="up/writer", input=text, tools=TOOLS) as stream:
                events = [one async for one in stream]
                final = await stream.get_final_response()
            assert [one.sequence_number for one in events] == list(range(len(events)))
            assert (final.output_text, calls_in(final)) == (whole.output_text, calls)
            assert whole.usage is not None
            assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens > 0
            assert world.records[-1].variant == variant
            raw = await sdk.responses.with_raw_response.create(model="up/writer", input=text, tools=TOOLS)
            assert raw.headers.get("x-selfopt-variant") == variant


@pytest.mark.parametrize("kind", KINDS)
async def test_servers_of_every_dialect_answer(tmp_path: Path, kind: str) -> None:
    """Text, a call, its result and thinking, whole and streamed."""
    called = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}
    replies = [{"match": {"after_tool_result": True}, "text": "It rains."}, {"match": {"contains": "weather"}, **called}]
    model = {"m": {"replies": replies, "default": {"text": "Hello.", "thinking": "Somebody greets."}}}
    settings = '[endpoints.it]\nkind = "{kind}"\nbase_url = "{url}"\nlocal = true\napi_key = "sk-upstream-0123456789"\n'
    (tmp_path / "one").mkdir()
    async with gateway_world(tmp_path / "one", model) as behind:
        url = behind.upstream.base_url.removesuffix("/v1") + KINDS[kind]
        text = settings.format(kind=kind, url=url)
        async with gateway_world(tmp_path, settings=text) as world, client(world) as sdk:
            for stream in (False, True):

                async def ask(given: Any, stream: bool = stream, sdk: openai.AsyncOpenAI = sdk) -> Any:
                    fields: dict[str, Any] = {"model": "it/m", "input": given, "tools": TOOLS, "max_output_tokens": 50}
                    if not stream:
                        return await sdk.responses.create(**fields)
                    async with sdk.responses.stream(**fields) as events:
                        return await events.get_final_response()

                said = await ask("hi")
                assert said.output_text == "Hello."
                assert [item.content[0].text for item in said.output if item.type == "reasoning"] == ["Somebody greets."]
                first = await ask([{"role": "user", "content": "weather?"}])
                assert calls_in(first) == [("get_weather", {"city": "Oslo"})]
                (call,) = [item for item in first.output if item.type == "function_call"]
                result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
                turns = [{"role": "user", "content": "weather?"}, *(item.to_dict() for item in first.output), result]
                assert (await ask(turns)).output_text == "It rains."
                assert world.records[-1].phase == "extended"


async def test_structured_output_is_parsed_by_the_sdk(tmp_path: Path) -> None:
    """The schema reaches the server, and the text fits it."""
    async with gateway_world(tmp_path, {"m": {"default": {"text": '{"city": "Oslo"}'}}}) as world, client(world) as sdk:
        parsed = await sdk.responses.parse(model="up/m", input="where?", text_format=City)
        assert parsed.output_parsed == City(city="Oslo")
        asked = world.upstream.journal[-1].body
        assert asked is not None
        assert asked["response_format"]["json_schema"]["schema"]["required"] == ["city"]
        async with sdk.responses.stream(model="up/m", input="where?", text_format=City) as stream:
            assert (await stream.get_final_response()).output_parsed == City(city="Oslo")


async def test_an_answer_that_was_cut_is_incomplete(tmp_path: Path) -> None:
    """With the reason, in the event that names it."""
    async with gateway_world(tmp_path, {"m": {"default": {"text": "It is", "finish_reason": "length"}}}) as world:
        answered = (await world.post(asking(model="up/m"), path=PATH)).body
        assert (answered["status"], answered["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        async with client(world) as sdk:
            events = [one async for one in await sdk.responses.create(model="up/m", input="hi", stream=True)]
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.output_text == "It is"


@pytest.mark.parametrize("stream", [False, True])
async def test_rules_escalation_and_fallbacks_hold_as_for_chats(tmp_path: Path, stream: bool) -> None:
    """Refused, not sure enough, and failed: who answers, and what is told."""
    async with gateway_world(tmp_path, SURE_MODELS) as world:
        await promote(world, None, "up/mute", fallback="up/other")
        failed = await world.post(asking("hi", "up/mute", stream=stream), path=PATH)
        await sure_rule(world)
        unsure = await world.post(asking("weather, maybe", "up/m", stream=stream, tools=TOOLS), path=PATH)
        for answer, why in ((failed, "server"), (unsure, "unsure")):
            assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "up/other"), why
            assert answer.headers["x-selfopt-fallback"] == why
            assert "I am the other." in answer.text
        sure = await world.post(asking("weather, surely", "up/m", stream=stream, tools=TOOLS), path=PATH)
        assert sure.headers["x-selfopt-model"] == "up/m"
        assert '"function_call"' in sure.text
        for phase in ("atomic", "extended"):
            world.enforcer.set_rule("up/good", phase, allow=False)
        await world.reload()
        refused = await world.post(asking(stream=stream, tools=TOOLS), path=PATH)
        assert (refused.status, refused.error["code"], refused.error["param"]) == (403, "refused_by_rules", "model")
        async with client(world) as sdk:
            with pytest.raises(openai.PermissionDeniedError):
                await sdk.responses.create(**asking(tools=TOOLS))
            with pytest.raises(openai.NotFoundError):
                await sdk.responses.create(**asking(model="up/nobody"))


async def test_what_the_server_has_no_words_for_is_refused_by_the_clients_name(tmp_path: Path) -> None:
    """400, and nobody is asked."""
    async with gateway_world(tmp_path) as world:
        for fields, param in (
            ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
            ({"truncation": "auto"}, "truncation"),
            ({"previous_response_id": "resp_1"}, "previous_response_id"),
            ({"background": True}, "background"),
            ({"input": [{"type": "item_reference", "id": "msg_1_0"}]}, "input[0]"),
        ):
            answer = await world.post({**asking(), **fields}, path=PATH)
            assert (answer.status, answer.error["param"]) == (400, param)
        assert not world.upstream.journal
        async with client(world) as sdk:
            with pytest.raises(openai.BadRequestError, match="previous_response_id"):
                await sdk.responses.create(**asking(), previous_response_id="resp_1")


async def test_a_stream_that_breaks_off_raises_in_the_sdk(tmp_path: Path) -> None:
    """After the text that came, as the error that it is; the response has failed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("Half of it"))
        await writer.drain()

    async with raw_upstream(talk) as url:
        entry = f'[endpoints.raw]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\n'
        async with gateway_world(tmp_path, settings=entry) as world, client(world) as sdk:
            seen: list[str] = []

            async def read() -> None:
                async for one in await sdk.responses.create(model="raw/m", input="hi", stream=True):
                    seen.append(one.type)

            with pytest.raises(openai.APIError, match="endpoint raw"):
                await read()
            assert seen[-1] == "response.output_text.delta"
            body = json.dumps(asking(model="raw/m", stream=True)).encode()
            head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            raw = await world.raw(head % (PATH.encode(), len(body)) + body)
            assert raw.index(b'"type":"error"') < raw.index(b'"type":"response.failed"')
            assert not raw.endswith(b"0\r\n\r\n")
            assert world.records[-1].outcome == "failed"
    assert NAME == "openai_responses"


async def test_a_wish_to_keep_an_answer_is_told_to_be_unmet(tmp_path: Path) -> None:
    """Where the settings keep none. Without the wish nobody hears of it."""
    async with gateway_world(tmp_path) as world:
        wanted = await world.post(asking(store=True), path=PATH)
        assert (wanted.status, wanted.body["store"], wanted.headers["x-selfopt-unmet"]) == (200, False, "store")
        for body in (asking(), asking(store=False)):
            answer = await world.post(body, path=PATH)
            assert answer.body["store"] is False
            assert "x-selfopt-unmet" not in answer.headers
        assert (await world.get(f"{PATH}/{wanted.body['id']}")).status == 404


def whole_response(text: str, **fields: Any) -> dict[str, Any]:
    """An answer as OpenAI's server gives it."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": "msg_9", "status": "completed", "role": "assistant", "content": content}
    usage = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3, "total_tokens": 10}
    return {"id": "resp_9", "object": "response", "status": "completed", "output": [item], "usage": usage, "user": None, **fields}


class Native:
    """A server that speaks the Responses API. Its answer repeats the key that it was given, if it has one."""

    def __init__(self, text: str = "Native.") -> None:
        self.text = text
        self.asked: list[dict[str, Any]] = []

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        self.asked.append(asked)
        if asked.get("model") == "bad":
            error = {"message": "no such tool", "type": "invalid_request_error", "param": "tools", "code": "invalid_value"}
            return whole(json.dumps({"error": error}).encode(), b"400 Bad Request")
        response = whole_response(self.text)
        if not asked.get("stream"):
            return whole(json.dumps(response).encode())
        begun = {**response, "status": "in_progress", "output": [], "usage": None}
        at = {"item_id": "msg_9", "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": []}
        item = {**response["output"][0], "content": [], "status": "in_progress"}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **at, "part": part},
            *({"type": "response.output_text.delta", **at, "delta": one, "logprobs": []} for one in self.text),
            {"type": "response.output_item.done", "output_index": 0, "item": response["output"][0]},
            {"type": "response.completed", "response": response},
        ]
        lines = [f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': n})}\n\n" for n, one in enumerate(events)]
        return SSE_HEAD + b"".join(chunk(line.encode()) for line in lines) + b"0\r\n\r\n"


def native(url: str, key: str = "sk-upstream-0123456789") -> str:
    """The settings of such a server."""
    return (
        f'[endpoints.raw]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\napi_key = "{key}"\nalso = ["{NAME}"]\n'
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_speaks_the_dialect_gets_the_body_unchanged(tmp_path: Path, stream: bool) -> None:
    """Whatever is in it, with the server's name of the model; tokens are counted, and errors come in shape."""
    server = Native()
    fields: dict[str, Any] = {
        "stream": stream,
        "include": ["message.output_text.logprobs"],
        "tools": [{"type": "web_search"}],
        "truncation": "auto",
        "previous_response_id": "resp_of_theirs",
    }
    async with raw_upstream(server) as url, gateway_world(tmp_path, settings=native(url)) as world:
        answer = await world.post(asking(model="raw/m", **fields), path=PATH)
        assert answer.status == 200
        assert server.asked == [asking(model="m", **fields)]
        assert '"text": "Native."' in answer.text
        record = world.records[-1]
        assert (record.outcome, record.input_tokens, record.output_tokens) == ("served", 7, 3)
        refused = await world.post(asking(model="raw/bad", stream=stream), path=PATH)
        assert (refused.status, refused.error["param"]) == (400, "tools")
        async with client(world) as sdk, sdk.responses.stream(model="raw/m", input="hi") as events:
            assert (await events.get_final_response()).output_text == "Native."


async def test_a_stream_that_its_own_server_breaks_off_raises_in_the_sdk(tmp_path: Path) -> None:
    """With the error behind what came."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = f"event: response.created\ndata: {json.dumps({'type': 'response.created', 'response': whole_response('')})}\n\n"
        writer.write(SSE_HEAD + chunk(line.encode()))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=native(url)) as world, client(world) as sdk:
        seen: list[str] = []

        async def read() -> None:
            async for one in await sdk.responses.create(model="raw/m", input="hi", stream=True):
                seen.append(one.type)

        with pytest.raises(openai.APIError, match="endpoint raw"):
            await read()
        assert seen == ["response.created"]


async def test_the_key_of_a_server_is_not_shown_however_its_answer_spells_it(tmp_path: Path) -> None:
    """Whole, and spread over the events of a stream."""
    key = "sk-upstream-0123456789"
    async with raw_upstream(Native(f"I know {key}!")) as url, gateway_world(tmp_path, settings=native(url, key)) as world:
        for stream in (False, True):
            answer = await world.post(asking(model="raw/m", stream=stream), path=PATH)
            said = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
            assert key not in answer.text
            assert key not in "".join(one.get("delta", "") for one in said)
            assert "[key]" in answer.text


async def test_where_calls_have_to_be_read_a_server_is_asked_for_a_chat(tmp_path: Path) -> None:
    """Small models write calls into their text, and the server that speaks the dialect would leave them there."""
    call = '```json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n```'
    async with raw_upstream(Said(call)) as url, gateway_world(tmp_path, settings=native(url)) as world:
        answer = await world.post(asking("weather?", "raw/m", tools=TOOLS), path=PATH)
        assert [item["name"] for item in answer.body["output"] if item["type"] == "function_call"] == ["get_weather"]
        assert answer.headers["x-selfopt-read"] == "text"


def test_openais_own_server_speaks_it_without_a_setting() -> None:
    """With tools, too: it reports every call."""
    kind = ENDPOINT_KINDS.get("openai_compatible")
    assert kind is not None
    assert kind.speaks_at("api.openai.com") == ("openai_chat", NAME)
    assert kind.speaks_at("127.0.0.1") == kind.speaks_at(None) == ("openai_chat",)
