"""A promoted variant drops nothing and refuses nothing: what it has no words for goes past it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.records import Sampling
from selfopt.variants import get_variant
from selfopt.variants.space import composed

from .kit import World, gateway_world
from .servers import raw_upstream, whole
from .test_harness import MODELS, PLAY, WEATHER, promote

THOUGHT: dict[str, Any] = {"writer": {"default": {"text": "Just text.", "thinking": "Let me see."}}}
FORWARDED: dict[str, Any] = {
    "stop": ["END"],
    "temperature": 0.3,
    "top_p": 0.9,
    "seed": 7,
    "presence_penalty": 0.5,
    "logit_bias": {"5": -100},
    "user": "ann",
    "metadata": {"a": "b"},
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "parallel_tool_calls": False,
    "n": 1,
    "logprobs": False,
    "x_new": {"b": 1.5},
}


def asking(text: str, **fields: Any) -> dict[str, Any]:
    """A chat with tools."""
    return {"model": "up/writer", "messages": [{"role": "user", "content": text}], "tools": [WEATHER, PLAY], **fields}


async def asked_of(world: World, **fields: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers of an answer, and what the server was asked last."""
    answer = await world.post(asking("weather?", **fields))
    assert answer.status == 200, answer.text
    return answer.headers, world.upstream.journal[-1].body or {}


@pytest.mark.parametrize("stream", [False, True])
async def test_fields_that_a_variant_does_not_shape_are_forwarded(tmp_path: Path, stream: bool) -> None:
    """And its own stay as they were measured."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        headers, asked = await asked_of(world, **FORWARDED, stream=stream)
        assert {key: asked.get(key) for key in FORWARDED} == FORWARDED
        assert headers["x-selfopt-variant"] == "native_parsed"
        assert not {"x-selfopt-passed", "x-selfopt-kept"} & set(headers)
        _, plain = await asked_of(world, stream=stream)
        assert (plain["temperature"], plain["seed"]) == (0.0, 0)


async def test_a_limited_reply_keeps_its_temperature_and_a_header_says_so(tmp_path: Path) -> None:
    """The answer that follows it is the client's again, and has no word about calls."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "few_shot_constrained")
        fields = {"temperature": 0.9, "stop": "END", "top_k": 5, "parallel_tool_calls": False, "reasoning_effort": "low"}
        answer = await world.post(asking("nothing to do", **fields))
        limited, free = [entry.body or {} for entry in list(world.upstream.journal)[-2:]]
        assert answer.headers["x-selfopt-kept"] == "temperature, stop, reasoning_effort"
        assert (limited["temperature"], limited["top_k"], limited.get("stop")) == (0.0, 5, None)
        assert (free["temperature"], free["top_k"], free["stop"], free["reasoning_effort"]) == (0.9, 5, "END", "low")
        assert "reasoning_effort" not in limited
        assert "parallel_tool_calls" not in limited | free


async def test_a_variant_with_a_temperature_of_its_own_keeps_it(tmp_path: Path) -> None:
    """Its evidence was measured so."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, get_variant("native_parsed").model_copy(update={"sampling": Sampling(temperature=0.4, top_p=0.5)}))
        headers, asked = await asked_of(world, temperature=0.9, top_p=0.9)
        assert (asked["temperature"], asked["top_p"], headers["x-selfopt-kept"]) == (0.4, 0.5, "temperature, top_p")
        assert "x-selfopt-kept" not in (await asked_of(world))[0]


async def test_a_sampled_variant_is_served_as_it_was_measured(tmp_path: Path) -> None:
    """At its own temperature, of all likely tokens, and without a seed unless the client has one."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, composed({"temperature": "0.7"}))
        headers, asked = await asked_of(world, temperature=0.0, top_p=0.1)
        assert (asked["temperature"], asked.get("top_p"), "seed" in asked) == (0.7, None, False)
        assert headers["x-selfopt-kept"] == "temperature, top_p"
        assert (await asked_of(world, seed=3))[1]["seed"] == 3


async def test_a_sampled_variant_that_chooses_first_keeps_its_temperature_in_both_steps(tmp_path: Path) -> None:
    """The second one is free, and was measured at it, too."""
    play = {"writer": {"replies": [{"match": {"constraint": "grammar"}, "text": "play"}], "default": {"text": "Hm."}}}
    async with gateway_world(tmp_path, play) as world:
        await promote(world, composed({"steps": "choose_then_answer", "temperature": "1"}))
        await asked_of(world, temperature=0.2, stop="END")
        first, second = [entry.body or {} for entry in list(world.upstream.journal)[-2:]]
        assert ("grammar" in first, "grammar" in second) == (True, False)
        assert [body["temperature"] for body in (first, second)] == [1.0, 1.0]
        assert (first.get("stop"), second["stop"]) == (None, "END")


async def test_a_variant_that_was_measured_thinking_keeps_its_allowance(tmp_path: Path) -> None:
    """Beside the answer's limit, whatever the client says of thinking. The thinking is no call and no text."""
    call = '{"name": "play", "arguments": {}}'
    async with gateway_world(tmp_path, {"writer": {"default": {"text": "Just text.", "thinking": call}}}) as world:
        await promote(world, composed({"thinking": "short", "tools": "signatures"}))
        for fields, limit, kept in (
            ({}, 1024 + 256, None),
            ({"max_tokens": 50}, 50 + 256, None),
            ({"reasoning_effort": "none"}, 1024 + 256, "reasoning_effort"),
            ({"reasoning_effort": "high"}, 1024 + 256, "reasoning_effort"),
        ):
            answer = await world.post(asking("weather?", **fields))
            sent = world.upstream.journal[-1].body or {}
            assert answer.headers.get("x-selfopt-kept") == kept
            assert "reasoning_effort" not in sent
            assert sent["max_tokens"] == limit
            assert "chat_template_kwargs" not in sent
            message = answer.body["choices"][0]["message"]
            assert (message.get("tool_calls"), message["content"]) == (None, "Just text.")


async def test_a_client_that_asks_for_thinking_gets_it_and_room_for_it(tmp_path: Path) -> None:
    """A variant that was measured without thinking switches it off for others only. No limit of a client is lowered."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        off = {"enable_thinking": False}
        for fields, limit, template in (
            ({}, 1024, off),
            ({"reasoning_effort": "none"}, 1024, off),
            ({"reasoning_effort": "high"}, 5120, None),
            ({"reasoning_effort": "high", "max_tokens": 50}, 50, None),
            ({"max_tokens": 100_000, "chat_template_kwargs": {"x": 1}}, 100_000, {**off, "x": 1}),
        ):
            _, asked = await asked_of(world, **fields)
            assert (asked["max_tokens"], asked.get("chat_template_kwargs")) == (limit, template)


def history(**message: Any) -> dict[str, Any]:
    """A conversation with this message of the assistant."""
    user = {"role": "user", "content": "weather?"}
    return {"messages": [user, {"role": "assistant", "content": None, **message}, user]}


def called(arguments: Any, **more: Any) -> dict[str, Any]:
    """A conversation with a call that has these arguments."""
    call = {"id": "c1", "type": "function", "function": {"name": "play", "arguments": arguments}, **more}
    return history(tool_calls=[call])


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
PAST: dict[str, tuple[str, dict[str, Any]]] = {
    "role": ("role", {"messages": [{"role": "critic", "content": "x"}]}),
    "picture": ("content", {"messages": [{"role": "user", "content": [{"type": "text", "text": "weather?"}, PICTURE]}]}),
    "audio": ("content", {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
    "parts of another kind": ("content", {"messages": [{"role": "user", "content": ["weather?"]}]}),
    "part with more": (
        "content",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]},
    ),
    "refusal": ("content", history(refusal="no")),
    "spoken": ("content", history(audio={"id": "a"})),
    "broken arguments": ("history", called('{"city": "Gra')),
    "arguments as a list": ("history", called(["Graz"])),
    "no number": ("history", called('{"x": NaN}')),
    "custom call": ("history", history(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}])),
    "call with more": ("history", called("{}", extra_content={"google": {}})),
    "name that is no text": ("history", {"messages": [{"role": "user", "content": "x", "name": 5}]}),
    "custom tool": ("tools", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
    "tool of the server": ("tools", {"tools": [WEATHER, {"type": "web_search"}]}),
    "flat tool": ("tools", {"tools": [{"type": "function", "name": "x", "parameters": {}}]}),
    "tool without a type": ("tools", {"tools": [{"function": WEATHER["function"]}]}),
    "tool twice": ("tools", {"tools": [WEATHER, WEATHER]}),
    "tool without a name": ("tools", {"tools": [{"type": "function", "function": {"name": ""}}]}),
    "no schema": ("tools", {"tools": [{"type": "function", "function": {"name": "x", "parameters": []}}]}),
    "129 tools": (
        "size",
        {"tools": [{**PLAY, "function": {**PLAY["function"], "name": f"t{number}"}} for number in range(129)]},
    ),
    "choice without words": ("tool_choice", {"tool_choice": ""}),
    "choice of nobody": ("tool_choice", {"tool_choice": {"type": "function", "function": {"name": "nobody"}}}),
    "flat choice": ("tool_choice", {"tool_choice": {"type": "function", "name": "play"}}),
    "choice of another kind": ("tool_choice", {"tool_choice": {"type": "custom", "custom": {"name": "x"}}}),
    "max_tokens 0": ("sampling", {"max_tokens": 0}),
    "max_tokens 1.5": ("sampling", {"max_completion_tokens": 1.5}),
    "temperature 2.5": ("sampling", {"temperature": 2.5}),
    "temperature as text": ("sampling", {"temperature": "0.7"}),
    "top_p 0": ("sampling", {"top_p": 0}),
    "seed 1.5": ("sampling", {"seed": 1.5}),
    "n": ("choices", {"n": 2}),
    "logprobs": ("logprobs", {"logprobs": True}),
    "speech": ("fields", {"modalities": ["text", "audio"]}),
    "stream options": ("fields", {"stream_options": {"x": 1}}),
}


async def test_what_goes_past_is_read_as_without_a_variant(tmp_path: Path) -> None:
    """A picture keeps the variant away, and not the call that the model writes."""
    reason, fields = PAST["picture"]
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        answer = await world.post(asking("weather?", **fields))
        assert answer.headers["x-selfopt-passed"] == reason
        assert answer.body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


@pytest.mark.parametrize("name", PAST)
async def test_what_a_variant_has_no_words_for_goes_past_it_untouched(tmp_path: Path, name: str) -> None:
    """With the reason in a header and a counter; what is invalid is the server's to say."""
    reason, fields = PAST[name]
    async with gateway_world(tmp_path, MODELS, options={"read_calls": "off"}) as world:
        await promote(world, "native_parsed")
        body = asking("weather?", **fields)
        answer, off = await world.post(body), await world.post(body, {"x-selfopt-variant": "off"})
        assert answer.headers["x-selfopt-passed"] == reason
        assert not {"x-selfopt-variant", "x-selfopt-kept"} & set(answer.headers)
        assert "x-selfopt-passed" not in off.headers
        assert (answer.status, answer.body.get("choices"), answer.body.get("error")) == (
            off.status,
            off.body.get("choices"),
            off.body.get("error"),
        )
        assert [entry.body for entry in world.upstream.journal] == [{**body, "model": "writer"}] * 2
        assert f'selfopt_passed_total{{reason="{reason}"}} 1\n' in (await world.get("/metrics")).text


@pytest.mark.parametrize("variant", ["few_shot_constrained", "few_shot"])
async def test_a_reply_that_is_limited_or_written_as_text_takes_no_other_form(tmp_path: Path, variant: str) -> None:
    """The form that the client wants would rule out a call, or the limit the form."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, variant)
        for form, reason in (({"type": "json_object"}, "response_format"), ({"type": "text"}, None)):
            headers, _ = await asked_of(world, response_format=form)
            assert headers.get("x-selfopt-passed") == reason


READ: dict[str, dict[str, Any]] = {
    "arguments as an object": called({"city": "Graz"}),
    "no arguments": called(""),
    "null arguments": called(None),
    "before there were lists": {
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": None, "function_call": {"name": "play", "arguments": '{"city": "Graz"}'}},
            {"role": "function", "name": "play", "content": "3"},
        ]
    },
    "text parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "weather?"}]}]},
    "any": {"tool_choice": "any"},
    "allowed": {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [PLAY]}}},
}


@pytest.mark.parametrize("name", READ)
async def test_what_can_be_read_without_loss_goes_through_the_variant(tmp_path: Path, name: str) -> None:
    """Calls as records have them, `any` as required, allowed tools as those that are offered."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        headers, asked = await asked_of(world, **READ[name])
        assert (headers.get("x-selfopt-variant"), headers.get("x-selfopt-passed")) == ("native_parsed", None)
        calls = [json.loads(call["function"]["arguments"]) for said in asked["messages"] for call in said.get("tool_calls", ())]
        assert all(arguments in ({}, {"city": "Graz"}) for arguments in calls)
        if name in ("any", "allowed"):
            tools = [tool["function"]["name"] for tool in asked["tools"]]
            assert (asked["tool_choice"], tools) == {
                "any": ("required", ["get_weather", "play"]),
                "allowed": ("auto", ["play"]),
            }[name]


async def test_keys_of_messages_and_tools_that_no_record_knows_are_forwarded(tmp_path: Path) -> None:
    """A speaker's name, earlier thinking, `strict`, marks of a cache."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": "weather?", "name": "ann"},
            {"role": "assistant", "content": "hm", "reasoning_content": "so", "x": {"a": 1}, "refusal": None},
            {"role": "user", "content": "weather?"},
        ]
        strict = {"type": "function", "function": {**WEATHER["function"], "strict": True}, "cache_control": {"type": "ephemeral"}}
        headers, asked = await asked_of(world, messages=messages, tools=[strict])
        assert headers["x-selfopt-variant"] == "native_parsed"
        assert asked["messages"] == [messages[0], {k: v for k, v in messages[1].items() if k != "refusal"}, messages[2]]
        assert asked["tools"] == [strict]


@pytest.mark.parametrize("variant", [None, "native_parsed"])
@pytest.mark.parametrize("stream", [False, True])
async def test_thinking_comes_back_through_a_variant(tmp_path: Path, variant: str | None, stream: bool) -> None:
    """As it does without one."""
    async with gateway_world(tmp_path, THOUGHT) as world:
        if variant is not None:
            await promote(world, variant)
        answer = await world.post(asking("hi", stream=stream))
        pieces = (
            [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")] if stream else [answer.body]
        )
        said = [choice.get("delta") or choice.get("message") or {} for piece in pieces for choice in piece["choices"]]
        assert "".join(one.get("reasoning_content") or "" for one in said) == "Let me see."
        assert "".join(one.get("content") or "" for one in said) == "Just text."


async def ollama(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says hi."""
    body = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True, "done_reason": "stop"}
    writer.write(whole(json.dumps(body).encode(), b"200 OK", b"Connection: close"))
    await writer.drain()


@pytest.mark.parametrize("variant", [None, "native_api"])
async def test_fields_reach_a_server_of_another_dialect_or_are_refused_by_name(tmp_path: Path, variant: str | None) -> None:
    """With and without a variant."""
    bodies: list[bytes] = []
    async with raw_upstream(ollama, bodies) as url:
        settings = f'[endpoints.oll]\nkind = "ollama"\nbase_url = "{url}"\n'
        async with gateway_world(tmp_path, MODELS, settings=settings) as world:
            if variant is not None:
                await promote(world, variant, "oll/m")
            fields = {
                "stop": "END",
                "temperature": 0.7,
                "top_k": 40,
                "think": True,
                "response_format": {"type": "json_object"},
                "options": {"num_ctx": 8192},
                "keep_alive": "10m",
                "user": "ann",
            }
            answer = await world.post({**asking("weather?", **fields), "model": "oll/m"})
            assert (answer.status, answer.headers.get("x-selfopt-variant")) == (200, variant)
            asked = json.loads(bodies[-1])
            options = {"stop": ["END"], "temperature": 0.7, "top_k": 40, "num_ctx": 8192}
            assert asked["options"] == {**({"num_predict": 5120, "seed": 0} if variant else {}), **options}
            assert (asked["think"], asked["format"], asked["keep_alive"], asked["user"]) == (True, "json", "10m", "ann")
            seen = len(bodies)
            for key, value in {"n": 2, "logit_bias": {"5": 1}}.items():
                refused = await world.post({**asking("weather?", **{key: value}), "model": "oll/m"})
                assert refused.status == 400
                assert repr(key) in refused.error["message"]
            picture = {"messages": [{"role": "user", "content": [{"type": "text", "text": "what"}, PICTURE]}]}
            answer = await world.post({**asking("", **picture), "model": "oll/m"})
            assert answer.headers.get("x-selfopt-passed") == ("content" if variant else None)
            assert json.loads(bodies[-1])["messages"] == [{"role": "user", "content": "what", "images": ["AA"]}]
            many = [{**PLAY, "function": {**PLAY["function"], "name": f"t{number}"}} for number in range(129)]
            answer = await world.post({**asking("x", tools=many), "model": "oll/m"})
            assert (answer.status, answer.headers.get("x-selfopt-passed")) == (200, "size" if variant else None)
            assert len(json.loads(bodies[-1])["tools"]) == 129
            audio = {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}
            refused = await world.post({**asking("", **audio), "model": "oll/m"})
            assert (refused.status, refused.error["param"], len(bodies)) == (400, "messages", seen + 2)


async def test_settings_of_an_endpoint_leave_out_and_add_fields(tmp_path: Path) -> None:
    """With a variant and past it, also within objects."""
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
        writer.write(whole(json.dumps(reply).encode(), b"200 OK", b"Connection: close"))
        await writer.drain()

    async with raw_upstream(serve, bodies) as url:
        own = 'server = "vllm"\nomit = ["temperature", "metadata.a", "absent.b"]\nextra_body = {provider = {sort = "price"}}\n'
        settings = f'[endpoints.cut]\nkind = "openai_compatible"\nbase_url = "{url}"\n{own}'
        async with gateway_world(tmp_path, MODELS, settings=settings) as world:
            await promote(world, "native_parsed", "cut/m")
            for headers in ({}, {"x-selfopt-variant": "off"}):
                body = {**asking("weather?", temperature=0.3, metadata={"a": 1, "b": 2}), "model": "cut/m"}
                assert (await world.post(body, headers)).status == 200
                asked = json.loads(bodies[-1])
                assert "temperature" not in asked
                assert (asked["metadata"], asked["provider"]) == ({"b": 2}, {"sort": "price"})
