"""A client that sends ordinary tools gets the calls of the promoted variant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.dialects.chat_body import BodyLimits, at_once, reading_body
from selfopt.dialects.openai_client import reading_request
from selfopt.records import Rule, Variant
from selfopt.routing import rule_id_of
from selfopt.variants import get_variant

from .kit import World, chat, gateway_world

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PLAY: dict[str, Any] = {"type": "function", "function": {"name": "play", "parameters": {"type": "object", "properties": {}}}}
CALL = '```json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n```'
BOTH = '[{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "play", "arguments": {}}]'
MODELS: dict[str, Any] = {
    "writer": {
        "replies": [
            {"match": {"contains": "both"}, "text": BOTH},
            {"match": {"contains": "other"}, "text": '{"name": "launch", "arguments": {"now": true}}'},
            {"match": {"contains": "weather"}, "text": CALL},
            {"match": {"conversation_contains": "nothing to do", "constraint": "grammar"}, "text": "none"},
        ],
        "default": {"text": "Just text."},
    }
}


async def promote(world: World, variant: str | Variant | None, model: str = "up/writer", **fields: Any) -> None:
    """Make a rule whose spec was promoted with this variant."""
    chosen = get_variant(variant) if isinstance(variant, str) else variant
    rules = [
        Rule(rule_id=rule_id_of(model, phase), model=model, phase=phase, allow=True, variant=chosen, **fields)
        for phase in ("atomic", "extended")
    ]
    world.enforcer.apply(rules, event="test", reason="")
    await world.reload()


def asking(text: str, **fields: Any) -> dict[str, Any]:
    return chat("up/writer", messages=[{"role": "user", "content": text}], **{"tools": [WEATHER, PLAY], **fields})


async def test_a_call_written_as_text_comes_back_as_a_tool_call(tmp_path: Path) -> None:
    """With an id, its arguments as JSON text, and the finish reason."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        answer = await world.post(asking("weather?"))
        (choice,) = answer.body["choices"]
        (call,) = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        assert call["id"].startswith("call_")
        assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
        assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
        assert answer.headers["x-selfopt-variant"] == "native_parsed"
        assert answer.body["usage"]["completion_tokens"] > 0
        assert world.records[-1].variant == "native_parsed"


async def test_without_a_variant_or_tools_a_chat_is_untouched(tmp_path: Path) -> None:
    """The server gets the chat as the client sent it."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        for body, headers in (
            (asking("weather?"), {"x-selfopt-variant": "off"}),
            (asking("weather?", tools=[]), {}),
            (asking("weather?", tool_choice="none", user="me"), {}),
        ):
            answer = await world.post(body, headers)
            assert answer.body["choices"][0]["message"]["content"] == CALL
            assert "x-selfopt-variant" not in answer.headers
            assert world.upstream.journal[-1].body == {**body, "model": "writer"}
        assert (await world.post(asking("x"), {"x-selfopt-variant": "native_api"})).status == 400


async def test_calls_are_chosen_as_the_client_says(tmp_path: Path) -> None:
    """Parallel or single, named and required calls; unknown tools are dropped."""
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await promote(world, "native_parsed")

        async def names(**fields: Any) -> list[str]:
            answer = await world.post(asking(fields.pop("text", "both"), **fields))
            message = answer.body["choices"][0]["message"]
            return [call["function"]["name"] for call in message.get("tool_calls", ())]

        assert await names() == ["get_weather", "play"]
        assert await names(parallel_tool_calls=False) == ["get_weather"]
        assert await names(tool_choice={"type": "function", "function": {"name": "play"}}) == ["play"]
        assert await names(text="other") == []
        unmet = await world.post(asking("hi", tool_choice="required"))
        assert (unmet.status, unmet.headers["x-selfopt-unmet"]) == (200, "tool_choice")
        assert unmet.body["choices"][0]["message"]["content"] == "Just text."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("broken", ['{"city": "Oslo",}', "{'city': 'Oslo'}", '{"city": "Oslo"'])
async def test_what_the_server_reported_damaged_is_mended_and_counted(tmp_path: Path, broken: str, stream: bool) -> None:
    """Beside a whole call, whatever the chain of the variant reads."""
    reported: list[dict[str, Any]] = [{"name": "get_weather", "arguments": broken}, {"name": "play", "arguments": {}}]
    async with gateway_world(tmp_path, {"writer": {"default": {"tool_calls": reported}}}) as world:
        await promote(world, "native_parsed")
        answer = await world.post(asking("weather?", stream=stream))
        places = [answer.text.index(f'"{call["name"]}"') for call in reported]
        assert places == sorted(places)
        assert "selfopt_mended_calls_total 1\n" in (await world.get("/metrics")).text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("variant", ["restrained", "restrained@2"])
@pytest.mark.parametrize(
    ("damaged", "mended"),
    [("{'city': 'Oslo'}", '{"city": "Oslo"}'), ('{"city": "Oslo",}', '{"city": "Oslo"}'), ("Oslo?", "Oslo?")],
)
async def test_no_damaged_call_is_lost_with_one_that_nothing_backs(
    tmp_path: Path, variant: str, damaged: str, mended: str, stream: bool
) -> None:
    """What the variant drops is the call that was made up; the other is mended, or comes as it came, once."""
    reported: list[dict[str, Any]] = [
        {"name": "get_weather", "arguments": {"city": "Paris"}},
        {"name": "get_weather", "arguments": damaged},
    ]
    async with gateway_world(tmp_path, {"writer": {"default": {"tool_calls": reported}}}) as world:
        await promote(world, variant)
        answer = await world.post(asking("weather in Oslo?", stream=stream))
        assert "Paris" not in answer.text
        assert answer.text.count(json.dumps(mended)[1:-1]) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("variant", ["native_parsed", "native_parsed@2"])
async def test_a_number_that_json_lacks_passes_a_variant_as_it_came(tmp_path: Path, variant: str, stream: bool) -> None:
    """A text in its place would be another call."""
    schema = {"type": "object", "properties": {"minutes": {"type": "number"}}}
    timer = {"type": "function", "function": {"name": "set_timer", "parameters": schema}}
    reported = [{"name": "set_timer", "arguments": '{"minutes": NaN}'}]
    async with gateway_world(tmp_path, {"writer": {"default": {"tool_calls": reported}}}) as world:
        await promote(world, variant)
        answer = await world.post(asking("a timer?", tools=[timer], stream=stream))
        assert json.dumps('{"minutes": NaN}')[1:-1] in answer.text
        assert "selfopt_passed_calls_total 1\n" in (await world.get("/metrics")).text


async def test_a_limited_model_that_calls_nothing_is_asked_for_its_answer(tmp_path: Path) -> None:
    """After "none", the chat is asked again without tools."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "few_shot_constrained")
        answer = await world.post(asking("nothing to do"))
        message = answer.body["choices"][0]["message"]
        assert (message["content"], message.get("tool_calls")) == ("Just text.", None)
        assert "tools" not in (world.upstream.journal[-1].body or {})


async def test_the_official_client_gets_calls_in_one_piece_and_streamed(tmp_path: Path) -> None:
    """Also in a conversation with a tool result."""
    async with gateway_world(tmp_path, MODELS) as world, openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
        await promote(world, "native_parsed")
        messages: list[Any] = [{"role": "user", "content": "weather?"}]
        tools: list[Any] = [WEATHER, PLAY]
        done = await client.chat.completions.create(model="up/writer", messages=messages, tools=tools)
        calls = done.choices[0].message.tool_calls
        assert calls is not None
        (call,) = calls
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        stream = await client.chat.completions.create(
            model="up/writer", messages=messages, tools=tools, stream=True, stream_options={"include_usage": True}
        )
        pieces = [piece async for piece in stream]
        deltas = [d for p in pieces if p.choices for d in p.choices[0].delta.tool_calls or ()]
        assert [d.function.name for d in deltas if d.function] == ["get_weather"]
        assert [p.choices[0].finish_reason for p in pieces if p.choices][-1] == "tool_calls"
        assert pieces[-1].usage is not None
        messages += [done.choices[0].message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "Rain."}]
        messages.append({"role": "user", "content": "thanks"})
        last = await client.chat.completions.create(model="up/writer", messages=messages, tools=tools)
        assert last.choices[0].message.content == "Just text."


@pytest.mark.parametrize("variant", ["few_shot_constrained", "native_parsed"])
async def test_a_required_call_is_asked_for_by_the_limit_or_by_name(tmp_path: Path, variant: str) -> None:
    """The grammar leaves out "none", or the server is told to call."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, variant)
        asked = []
        for choice in ("auto", "required", {"type": "function", "function": {"name": "get_weather"}}):
            assert (await world.post(asking("weather?", tool_choice=choice))).status == 200
            asked.append(world.upstream.journal[-1].body or {})
        if variant == "native_parsed":
            assert [body.get("tool_choice", "auto") for body in asked] == ["auto", "required", "required"]
            assert [len(body["tools"]) for body in asked] == [2, 2, 1]
        else:
            assert ['"none" | ' in body["grammar"] for body in asked] == [True, False, False]
            assert ["play" in body["grammar"] for body in asked] == [True, True, False]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_not_read_goes_to_the_fallback_when_the_rule_says_so(tmp_path: Path, stream: bool) -> None:
    """Otherwise the reply is passed on as text."""
    async with gateway_world(tmp_path, MODELS) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        kept = world.enforcer.load().rules
        for asks_on, served in ((False, "up/writer"), (True, "up/good")):
            rule = Rule(
                rule_id=rule_id_of("up/writer", "atomic"),
                model="up/writer",
                phase="atomic",
                allow=True,
                fallback="up/good",
                variant=get_variant("native_api"),
                fallback_on_unparsed=asks_on,
            )
            world.enforcer.apply([*kept, rule], event="test", reason="")
            await world.reload()
            answer = await world.post(asking("weather?", stream=stream))
            assert (answer.status, answer.headers["x-selfopt-model"]) == (200, served)
        assert [attempt.fault for attempt in world.records[-1].attempts] == ["protocol", ""]
        assert (await world.post(asking("hi", stream=stream))).headers["x-selfopt-model"] == "up/writer"


def test_tools_that_come_again_are_the_same_records() -> None:
    """What a variant made of them is cached."""

    def tools_of(*tools: object) -> tuple[object, ...]:
        asked = at_once(reading_request(at_once(reading_body(json.dumps(chat(tools=tools)).encode(), BodyLimits()))))
        return asked.request.tools

    first, again, other = tools_of(WEATHER, PLAY), tools_of(WEATHER, PLAY), tools_of(WEATHER)
    assert first is again
    assert len(other) == 1


async def test_a_call_that_nothing_backs_never_reaches_the_client(tmp_path: Path) -> None:
    """A chain that drops calls reads a whole reply; the client gets text without the dropped call, streamed or not."""
    replies = [{"match": {"contains": "weather", "tools": True}, "text": CALL}]
    async with gateway_world(tmp_path, {"writer": {"replies": replies, "default": {"text": "Just text."}}}) as world:
        variant = get_variant("native_parsed").model_copy(update={"parsers": ("all@2", "ground@2")})
        await promote(world, variant)
        for stream in (False, True):
            answer = await world.post(asking("weather?", stream=stream))
            assert answer.status == 200
            assert "get_weather" not in answer.text
        kept = await world.post(asking("weather? In Oslo."))
        assert kept.body["choices"][0]["message"]["tool_calls"]
