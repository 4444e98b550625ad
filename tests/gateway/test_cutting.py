"""A reply that will not end is ended, and its place is given to those who wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import pytest

from selfopt.dialects.routes import Route
from selfopt.gateway.cutting import LONG_RUN
from selfopt.gateway.gates import EndpointGate
from selfopt.gateway.seams import Upstream

from .kit import World, chat, gateway_world, until
from .servers import SSE_HEAD, chunk, delta, raw_upstream
from .test_harness import WEATHER, promote
from .test_streaming import entry

LINE = "Let me look up the weather in Oslo. "
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}\n'


class Endless:
    """A server that streams pieces until nobody listens. left: done when nobody does."""

    def __init__(self, pieces: Iterable[str], field: str = "content") -> None:
        self.pieces = pieces
        self.field = field
        self.sent = 0
        self.left = asyncio.Event()
        self.bodies: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        writer.write(SSE_HEAD)
        try:
            if self.field == "arguments":
                writer.write(
                    delta({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": ""}}]})
                )
            for piece in self.pieces:
                fields = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
                writer.write(delta(fields if self.field == "arguments" else {self.field: piece}))
                self.sent += 1
                await writer.drain()
                await asyncio.sleep(0)
            end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode()
            writer.write(chunk(b"data: %s\n\n" % end) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.left.set()


@asynccontextmanager
async def before(server: Endless, tmp_path: Path, *, variant: str | None = "native_parsed") -> AsyncIterator[World]:
    """A gateway that asks this server for streams only, as it does with its own engine."""
    async with raw_upstream(server.talk, server.bodies) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        await promote(world, variant, "raw/m")
        upstreams = world.gateway.parts.chat.attempts._upstreams
        find = upstreams.find

        def streamed(model: str, asked: str, route: Route | None = None) -> Upstream:
            return replace(find(model, asked, route), streamed=True)

        upstreams.find = streamed  # type: ignore[method-assign]
        yield world


def choice_of(text: str, *, stream: bool) -> tuple[str, list[Any], str]:
    """Text, calls and finish reason of an answer."""
    if not stream:
        only = json.loads(text)["choices"][0]
        return only["message"]["content"] or "", only["message"].get("tool_calls") or [], only["finish_reason"]
    said, finish = "", ""
    calls: list[Any] = []
    for line in text.splitlines():
        if line.startswith("data: {"):
            for part in json.loads(line[6:])["choices"]:
                said += part["delta"].get("content") or ""
                calls += part["delta"].get("tool_calls") or []
                finish = part["finish_reason"] or finish
    return said, calls, finish


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_repeats_itself_is_cut(tmp_path: Path, stream: bool) -> None:
    """The client has what came, with `length`; the server is left, and the record says why."""
    server = Endless(repeat(LINE))
    async with before(server, tmp_path) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER], stream=stream))
        said, calls, finish = choice_of(answer.text, stream=stream)
        assert (answer.status, calls, finish) == (200, [], "length")
        assert said.startswith(LINE)
        assert len(said) < 3000
        assert answer.headers.get("x-selfopt-cut") == (None if stream else "repeats")
        assert world.records[-1].reason == "cut: repeats"
        assert 'selfopt_cut_replies_total{reason="repeats"} 1' in (await world.get("/metrics")).text
        await server.left.wait()
        assert json.loads(server.bodies[0])["stream"] is True


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
async def test_a_stream_that_no_variant_serves_is_cut_once_it_is_certain(tmp_path: Path, field: str) -> None:
    """Later than behind a variant, whose replies were measured; the server is left."""
    server = Endless(repeat(LINE), field)
    async with before(server, tmp_path, variant=None) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER], stream=True))
        said, calls, finish = choice_of(answer.text, stream=True)
        assert (answer.status, calls, finish) == (200, [], "length")
        assert answer.text.endswith("data: [DONE]\n\n")
        assert said == LINE * (len(said) // len(LINE))
        assert server.sent * len(LINE) >= LONG_RUN
        assert field != "content" or LONG_RUN <= len(said) < LONG_RUN + 1000
        assert world.records[-1].reason == "cut: repeats"
        assert 'selfopt_cut_replies_total{reason="repeats"} 1' in (await world.get("/metrics")).text
        await server.left.wait()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("variant", [None, "native_parsed"])
async def test_arguments_that_repeat_themselves_are_cut(tmp_path: Path, variant: str | None, stream: bool) -> None:
    """The call goes to the client as it came, as with any reply that the limit cut off."""
    server = Endless(chain(['{"city": "'], repeat("Oslo, ")), "arguments")
    async with before(server, tmp_path, variant=variant) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER], stream=stream))
        _, calls, finish = choice_of(answer.text, stream=stream)
        assert (answer.status, finish) == (200, "length")
        assert "".join(call["function"].get("name") or "" for call in calls) == "get_weather"
        arguments = "".join(call["function"]["arguments"] for call in calls)
        assert arguments.startswith('{"city": "Oslo, Oslo, ')
        assert LONG_RUN <= len(arguments) < LONG_RUN + 1000
        assert world.records[-1].reason == "cut: repeats"
        await server.left.wait()


async def test_a_call_that_is_repeated_in_text_is_made_once_without_a_variant(tmp_path: Path) -> None:
    """It waits until it is certain that nothing else comes."""
    server = Endless(repeat(CALL))
    async with before(server, tmp_path, variant=None) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER], stream=True))
        said, calls, finish = choice_of(answer.text, stream=True)
        assert ([call["function"]["name"] for call in calls], finish, said) == (["get_weather"], "tool_calls", "")
        assert answer.headers["x-selfopt-cut"] == "repeats"


async def test_a_call_that_is_repeated_is_made_once(tmp_path: Path) -> None:
    """It was made before the reply ran away."""
    server = Endless(repeat(CALL))
    async with before(server, tmp_path) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER]))
        _, calls, finish = choice_of(answer.text, stream=False)
        assert ([call["function"]["name"] for call in calls], finish) == (["get_weather"], "tool_calls")
        assert answer.headers["x-selfopt-cut"] == "repeats"


async def test_a_fallback_does_not_say_that_it_was_cut(tmp_path: Path) -> None:
    """It serves in place of a reply that was."""
    server = Endless(repeat(LINE))
    async with before(server, tmp_path) as world:
        await promote(world, "native_parsed", "raw/m", fallback="up/good")
        answer = await world.post(chat("raw/m", tools=[WEATHER], tool_choice="required"))
        assert answer.headers["x-selfopt-fallback"]
        assert answer.headers["x-selfopt-model"] == "up/good"
        assert "x-selfopt-cut" not in answer.headers
        assert world.records[-1].reason == ""


async def test_thinking_that_repeats_itself_is_cut(tmp_path: Path) -> None:
    """Though no text comes."""
    server = Endless(repeat(LINE), "reasoning_content")
    async with before(server, tmp_path) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER]))
        assert choice_of(answer.text, stream=False) == ("", [], "length")
        await server.left.wait()


async def test_a_long_reply_goes_on_while_nobody_waits(tmp_path: Path) -> None:
    """And gives its place once somebody does."""
    numbers = (f"{number} " for number in range(1500))
    server = Endless(numbers)
    async with before(server, tmp_path) as world:
        answer = await world.post(chat("raw/m", tools=[WEATHER]))
        said, _, finish = choice_of(answer.text, stream=False)
        assert (said.split()[-1], finish) == ("1499", "stop")
        assert "x-selfopt-cut" not in answer.headers


async def test_a_place_is_taken_back_from_a_reply_that_takes_more_than_was_measured(tmp_path: Path) -> None:
    """Others wait for it."""
    server = Endless(chain.from_iterable((f"{number} ",) for number in count()))
    async with before(server, tmp_path) as world:
        parts = world.gateway.parts.chat

        async def never() -> bool:
            return False

        gate = parts.attempts.gates["raw"] = EndpointGate("raw", 1, parts.options, never)
        asked = asyncio.ensure_future(world.post(chat("raw/m", tools=[WEATHER])))
        await until(lambda: gate.active == 1)
        other = asyncio.ensure_future(world.post(chat("raw/m")))
        first = await asked
        assert (first.headers["x-selfopt-cut"], choice_of(first.text, stream=False)[2]) == ("slot", "length")
        assert len(choice_of(first.text, stream=False)[0].split()) >= 1024
        other.cancel()


async def test_a_chat_without_tools_is_never_cut(tmp_path: Path) -> None:
    """Nothing was measured of it, and people may want the same line a hundred times."""
    server = Endless([LINE] * 200)
    async with before(server, tmp_path) as world:
        answer = await world.post(chat("raw/m", stream=True))
        assert choice_of(answer.text, stream=True)[0] == LINE * 200
