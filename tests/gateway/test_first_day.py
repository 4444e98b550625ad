"""Without any rule, calls in text are read, damaged ones are mended, and everything else passes as it came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from .kit import World, chat, gateway_world
from .servers import Said, raw_upstream, whole
from .test_harness import promote
from .test_streaming import entry

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "city_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    },
    {"type": "function", "function": {"name": "list_alarms", "parameters": {"type": "object", "properties": {}}}},
]
CALL = '{"name": "city_weather", "arguments": {"city": "Graz"}}'
WRITTEN = f"I will look. <tool_call>{CALL}</tool_call>"
KEY = "sk-upstream-0123456789"
GRAZ = [("city_weather", {"city": "Graz"})]
MODELS: dict[str, Any] = {
    "writes": {"default": {"text": WRITTEN}},
    "thinks": {"default": {"text": f"<think>Shall I call {CALL}?</think>\n{WRITTEN}"}},
    "rehearses": {"default": {"text": f"<think>Shall I call {CALL}?</think>\nNo."}},
    "explains": {"default": {"text": f"You would write `{CALL}` for Graz."}},
    "reports": {"default": {"tool_calls": [{"name": "city_weather", "arguments": {"city": "Graz"}}]}},
    "damages": {"default": {"tool_calls": [{"name": "functions.city_weather", "arguments": "{'city': 'Graz',}"}]}},
    "garbles": {"default": {"tool_calls": [{"name": "city_weather", "arguments": "Graz please"}]}},
}


def asked(model: str, **fields: Any) -> dict[str, Any]:
    """A chat with tools."""
    return chat(f"up/{model}", **{"tools": TOOLS, **fields})


def said(body: Any) -> tuple[str | None, list[tuple[str, Any]], str]:
    """Text, calls and finish reason of a whole answer."""
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or ()]
    return message["content"], calls, choice["finish_reason"]


async def streamed(world: World, model: str) -> tuple[str, list[tuple[str, Any]], str]:
    """The same of a stream, as the official client puts it together."""
    async with openai.AsyncOpenAI(base_url=world.url, api_key="unused", max_retries=0) as client:
        text, finish, calls = "", "", dict[int, list[str]]()
        async for piece in await client.chat.completions.create(**asked(model), stream=True):
            for choice in piece.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    assert call.function is not None
                    known = calls.setdefault(call.index, ["", ""])
                    known[0] += call.function.name or ""
                    known[1] += call.function.arguments or ""
        return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], finish


@pytest.mark.parametrize(
    ("model", "text", "calls"),
    [
        ("writes", "I will look. ", GRAZ),
        ("thinks", f"<think>Shall I call {CALL}?</think>\nI will look. ", GRAZ),
        ("rehearses", f"<think>Shall I call {CALL}?</think>\nNo.", []),
        ("explains", f"You would write `{CALL}` for Graz.", []),
        ("reports", "", GRAZ),
    ],
)
async def test_calls_in_text_become_calls(tmp_path: Path, model: str, text: str, calls: list[tuple[str, Any]]) -> None:
    """Whole and streamed alike; thinking stays in the text, and what is no call stays as it came."""
    async with gateway_world(tmp_path, MODELS) as world:
        answer = await world.post(asked(model))
        content, found, finish = said(answer.body)
        assert (content or "", found, finish) == (text, calls, "tool_calls" if calls else "stop")
        assert answer.headers.get("x-selfopt-read") == ("text" if calls and model != "reports" else None)
        assert await streamed(world, model) == (text, calls, finish)
        count = 2 if calls and model != "reports" else 0
        assert f"selfopt_read_calls_total {count}\n" in (await world.get("/metrics")).text


async def test_what_holds_no_call_passes_byte_for_byte(tmp_path: Path) -> None:
    """With tools offered, as without."""
    body = b'{ "choices":[{"message":{"content":"a {b} [c] <d> city_weather"},"x":1.50}],\n"usage":{"prompt_tokens":3}}'

    async def talk(reader: Any, writer: Any) -> None:
        writer.write(whole(body, b"200 OK", b"Connection: close"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        assert (await world.post({**asked("m"), "model": "raw/m"})).text.encode() == body
        assert world.records[-1].input_tokens == 3


@pytest.mark.parametrize(
    ("settings", "headers", "fields"),
    [
        ('[gateway]\nread_calls = "off"\n', {}, {}),
        ("", {"x-selfopt-variant": "off"}, {}),
        ("", {}, {"tool_choice": "none"}),
        ("", {}, {"response_format": {"type": "json_object"}}),
        ("", {}, {"tools": []}),
    ],
)
async def test_reading_can_be_switched_off(
    tmp_path: Path, settings: str, headers: dict[str, str], fields: dict[str, Any]
) -> None:
    """In the settings or by the client; and it is off where an answer may look like a call for another reason."""
    async with gateway_world(tmp_path, MODELS, settings=settings) as world:
        answer = await world.post(asked("writes", **fields), headers)
        assert said(answer.body) == (WRITTEN, [], "stop")
        assert "x-selfopt-read" not in answer.headers


async def test_a_rule_without_a_variant_reads_as_none_does(tmp_path: Path) -> None:
    """What serves is the model alone."""
    async with gateway_world(tmp_path, MODELS) as world:
        world.enforcer.set_rule("up/writes", "atomic", allow=True, reason="by hand")
        await world.reload()
        assert said((await world.post(asked("writes"))).body)[1] == GRAZ


async def test_what_goes_past_a_variant_is_read(tmp_path: Path) -> None:
    """As if there were no rule."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_api", "up/writes")
        answer = await world.post(asked("writes", n=2))
        assert "x-selfopt-passed" in answer.headers
        assert said(answer.body)[1] == GRAZ


async def test_damaged_calls_are_mended_where_nothing_is_lost(tmp_path: Path) -> None:
    """Name and arguments; what can't be read is the client's to see."""
    async with gateway_world(tmp_path, MODELS) as world:
        answer = await world.post(asked("damages"))
        assert said(answer.body)[1:] == (GRAZ, "tool_calls")
        assert answer.headers["x-selfopt-read"] == "mended"
        assert await streamed(world, "damages") == ("", GRAZ, "tool_calls")
        garbled = await world.post(asked("garbles"))
        assert garbled.body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "Graz please"
        assert "selfopt_mended_calls_total 2\n" in (await world.get("/metrics")).text


async def test_a_required_call_that_did_not_come_is_told(tmp_path: Path) -> None:
    """The reply is the client's, once; a header says what is missing. Nothing invites a retry."""
    async with gateway_world(tmp_path, MODELS) as world:
        answer = await world.post(asked("explains", tool_choice="required"))
        assert (answer.status, answer.headers["x-selfopt-unmet"]) == (200, "tool_choice")
        named = {"type": "function", "function": {"name": "list_alarms"}}
        assert (await world.post(asked("writes", tool_choice=named))).headers["x-selfopt-unmet"] == "tool_choice"
        met = await world.post(asked("writes", tool_choice="required"))
        assert "x-selfopt-unmet" not in met.headers
        assert len(world.upstream.journal) == 3


@pytest.mark.parametrize("variant", [None, "native_api"])
async def test_a_required_call_that_did_not_come_goes_to_the_fallback(tmp_path: Path, variant: str | None) -> None:
    """With a variant and without one. The headers tell of the answer that the client gets."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, variant, "up/explains", fallback="up/writes")
        answer = await world.post(asked("explains", tool_choice="required"))
        assert (answer.headers["x-selfopt-model"], said(answer.body)[1]) == ("up/writes", GRAZ)
        assert "x-selfopt-unmet" not in answer.headers
        await promote(world, variant, "up/explains", fallback="up/rehearses")
        answer = await world.post(asked("explains", tool_choice="required"))
        assert (answer.status, answer.headers["x-selfopt-unmet"]) == (200, "tool_choice")


async def test_the_headers_tell_nothing_of_a_reply_that_was_set_aside(tmp_path: Path) -> None:
    """Its damaged calls are not those of the answer."""
    models = {"half": {"default": {"tool_calls": [{"name": "city_weather", "arguments": "Graz please"}]}}}
    async with gateway_world(tmp_path, {**MODELS, **models}) as world:
        await promote(world, "native_parsed", "up/half", fallback="up/reports", fallback_on_unparsed=True)
        answer = await world.post(asked("half"))
        assert answer.headers["x-selfopt-model"] == "up/reports"
        assert {"x-selfopt-read", "x-selfopt-variant", "x-selfopt-kept"}.isdisjoint(answer.headers)
        assert "selfopt_passed_calls_total 0\n" in (await world.get("/metrics")).text


async def test_a_long_reply_is_read_as_well(tmp_path: Path) -> None:
    """Beyond what is read at once."""
    text = "".join(f"All is well in room {number}. " for number in range(1000)) + WRITTEN
    async with (
        raw_upstream(Said(text, cuts=tuple(range(0, 30000, 1000)))) as url,
        gateway_world(tmp_path, settings=entry("raw", url)) as world,
    ):
        answer = await world.post({**asked("m"), "model": "raw/m"})
        assert said(answer.body)[1] == GRAZ
        stream = await world.post({**asked("m"), "model": "raw/m", "stream": True})
        assert '"tool_calls"' in stream.text
        assert stream.text.count("<tool_call>") == 0


@pytest.mark.parametrize("spelled", [KEY, "".join(f"\\u{ord(char):04x}" for char in KEY)])
async def test_a_call_reveals_no_key(tmp_path: Path, spelled: str) -> None:
    """Whichever way the server spells it in the text."""
    text = f'<tool_call>{{"name": "city_weather", "arguments": {{"city": "{spelled}"}}}}</tool_call>'
    async with gateway_world(tmp_path, {"leaks": {"default": {"text": text}}}) as world:
        for stream in (False, True):
            answer = await world.post(asked("leaks", stream=stream))
            assert '"tool_calls"' in answer.text
            assert KEY not in answer.text
            assert "[key]" in answer.text


def answered(body: bytes, kind: bytes = b"application/json") -> Any:
    """A server that always answers with this body."""

    async def talk(reader: Any, writer: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (kind, len(body))
        writer.write(head + body)
        await writer.drain()

    return raw_upstream(talk)


WHOLE = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hm.", "function_call": {"name": "city_weather", "arguments": {"city": "Graz"}}},
                "finish_reason": "function_call",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    },
    indent=1,
).encode()  # fmt: skip


async def test_an_answer_in_one_piece_becomes_the_stream_that_was_asked_for(tmp_path: Path) -> None:
    """With its calls, its token counts and its end; a client that takes streams alone can read it."""
    async with answered(WHOLE) as url, gateway_world(tmp_path, settings=entry("up2", url)) as world:
        answer = await world.post({**asked("m"), "model": "up2/m", "stream": True})
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.text.endswith("data: [DONE]\n\n")
        assert world.records[-1].output_tokens == 4
        async with openai.AsyncOpenAI(base_url=world.url, api_key="unused", max_retries=0) as client:
            pieces = [
                piece async for piece in await client.chat.completions.create(**{**asked("m"), "model": "up2/m"}, stream=True)
            ]
        deltas = [choice.delta for piece in pieces for choice in piece.choices]
        assert "".join(delta.content or "" for delta in deltas) == "Hm."
        (call,) = [call for delta in deltas for call in delta.tool_calls or ()]
        assert (call.index, call.function.name, call.function.arguments) == (0, "city_weather", '{"city": "Graz"}')
        assert [choice.finish_reason for piece in pieces for choice in piece.choices] == [None, "tool_calls"]
        assert "selfopt_mended_calls_total 2\n" in (await world.get("/metrics")).text


@pytest.mark.parametrize(
    ("settings", "fields", "body"),
    [
        ('[gateway]\nread_calls = "off"\n', {}, WHOLE),
        ("", {"tools": []}, WHOLE),
        ("", {}, b'{"error": {"message": "no"}}'),
        ("", {}, b"{not JSON"),
        ("", {}, b"plain text\n\nin two parts"),
    ],
)
async def test_what_is_not_to_be_mended_or_not_understood_passes(
    tmp_path: Path, settings: str, fields: dict[str, Any], body: bytes
) -> None:
    """Byte for byte, under its own type."""
    async with answered(body) as url, gateway_world(tmp_path, settings=settings + entry("up2", url)) as world:
        answer = await world.post({**asked("m", **fields), "model": "up2/m", "stream": True})
        assert (answer.text.encode(), answer.headers["content-type"]) == (body, "application/json")


PARTS: list[Any] = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "I will "}]


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_in_the_parts_of_a_content_are_read(tmp_path: Path, stream: bool) -> None:
    """What is no text stays; so does the text before the call."""
    content = [*PARTS, {"type": "text", "text": f"look. <tool_call>{CALL}", "x": 1}, {"type": "text", "text": "</tool_call>"}]
    part = "delta" if stream else "message"
    choice = {"index": 0, part: {"role": "assistant", "content": content}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice]}).encode()
    sent = answered(
        b"data: %s\n\ndata: [DONE]\n\n" % body if stream else body, b"text/event-stream" if stream else b"application/json"
    )
    async with sent as url, gateway_world(tmp_path, settings=entry("up2", url)) as world:
        answer = await world.post({**asked("m"), "model": "up2/m", "stream": stream})
        values = (
            [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")] if stream else [answer.body]
        )
        told = [choice[part] for value in values for choice in value["choices"]]
        assert [one["content"] for one in told if one.get("content")] == [[*PARTS, {"type": "text", "text": "look. ", "x": 1}]]
        (call,) = [call for one in told for call in one.get("tool_calls") or ()]
        assert (call["function"]["name"], call["function"]["arguments"]) == ("city_weather", '{"city": "Graz"}')
