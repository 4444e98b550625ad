"""Whatever the habits of a server: a stream adds up to the answer in one piece, and no call that it reported is lost."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dialects.wild import ANTHROPIC, CUTS, OLLAMA, OPENAI, OPENAI_BROKEN, Call, Habits, Lines, Reply, Server, cut

from .kit import World, gateway_world
from .servers import SSE_HEAD, chunk, raw_upstream, whole
from .test_harness import PLAY, WEATHER, promote
from .test_harness_streaming import asking, both, joined, json_or_text, same

TOOLS = [WEATHER, PLAY]
OFFERED = {"get_weather", "play"}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = {"openai_chat": "openai_compatible", "ollama": "ollama", "anthropic": "anthropic"}


@dataclass(frozen=True, slots=True)
class Wild:
    """A server that answers in its own way, its stream cut at any places."""

    server: Server
    cuts: tuple[int, ...] = ()
    packed: bool = False

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the whole answer or the stream."""
        lines = [b"Content-Encoding: gzip"] if self.packed else []
        if not asked.get("stream"):
            body = json.dumps(self.server.whole()).encode()
            return whole(gzip.compress(body) if self.packed else body, b"200 OK", b"Connection: close", *lines)
        data = self.server.stream()
        head = SSE_HEAD.replace(b"\r\n\r\n", b"\r\n" + b"\r\n".join([*lines, b"", b""]))
        return head + b"".join(map(chunk, cut(gzip.compress(data) if self.packed else data, self.cuts))) + b"0\r\n\r\n"


def entry(url: str, dialect: str = "openai_chat") -> str:
    root = url if dialect == "openai_chat" else url.removesuffix("/v1")
    return f'[endpoints.raw]\nkind = "{KINDS[dialect]}"\nbase_url = "{root}"\nlocal = true\n[limits]\nretries = 0\n'


def said_by(answer: Any) -> tuple[str, list[tuple[str, Any]]]:
    """Text or refusal, and calls."""
    message = answer["choices"][0]["message"]
    calls = [(c["function"]["name"], json_or_text(c["function"]["arguments"])) for c in message.get("tool_calls", ())]
    return message["content"] or message.get("refusal") or "", calls


async def agree(world: World, reply: Reply, **fields: Any) -> list[tuple[str, Any]]:
    """The whole answer and the stream say the same; returns the calls."""
    whole_answer, streamed = await both(world, asking("Oslo", tools=TOOLS, **fields))
    text, calls = said_by(whole_answer)
    if reply.refusal:
        deltas = [choice["delta"] for one in streamed for choice in one["choices"]]
        assert "".join(delta.get("refusal") or "" for delta in deltas) == text == reply.refusal
    else:
        same(whole_answer, streamed)
        assert joined(streamed)[0] == text
    return calls


@FEW
@given(server=OPENAI, cuts=CUTS, variant=st.sampled_from(["native_parsed", "native_api", "fitted"]), packed=st.booleans())
async def test_no_call_is_lost_behind_a_variant(
    tmp_path: Path, server: Server, cuts: tuple[int, ...], variant: str, packed: bool
) -> None:
    """Every one that the server reported reaches the client once, whether its tool was offered or not."""
    async with raw_upstream(Wild(server, cuts, packed)) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, variant, "raw/m")
        calls = await agree(world, server.reply)
        assert len(calls) == len(server.reply.calls)
        if variant != "fitted":  # which may take another tool, where the arguments fit that one alone
            assert [name for name, _ in calls] == [call.name for call in server.reply.calls]


@FEW
@given(reply=OPENAI_BROKEN.map(lambda server: server.reply), cuts=CUTS)
async def test_a_broken_call_is_mended_or_goes_on_as_it_came(tmp_path: Path, reply: Reply, cuts: tuple[int, ...]) -> None:
    """And is counted as the one or the other."""
    server = Server(reply, Habits(), Lines())
    async with raw_upstream(Wild(server, cuts)) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_parsed", "raw/m")
        calls = await agree(world, reply)
        assert [name for name, _ in calls] == [call.name for call in reply.calls]
        for name, arguments in calls:
            assert isinstance(arguments, dict) or any((c.name, c.text) == (name, arguments) for c in reply.calls)
        raw = [name for name, arguments in calls if not isinstance(arguments, dict) or name not in OFFERED]
        assert f"selfopt_passed_calls_total {2 * len(raw)}\n" in (await world.get("/metrics")).text


@FEW
@given(server=OLLAMA | ANTHROPIC, cuts=CUTS, variant=st.sampled_from([None, "native_parsed"]))
async def test_no_call_of_a_server_of_another_dialect_is_lost(
    tmp_path: Path, server: Server, cuts: tuple[int, ...], variant: str | None
) -> None:
    """With a variant and without one."""
    if server.reply.refusal or (server.dialect == "anthropic" and server.lines.done):
        return
    url_of = raw_upstream(Wild(server, cuts))
    async with url_of as url, gateway_world(tmp_path, settings=entry(url, server.dialect)) as world:
        if variant is not None:
            await promote(world, variant, "raw/m")
        calls = await agree(world, server.reply)
        assert [name for name, _ in calls] == [call.name for call in server.reply.calls]


@FEW
@given(
    dialect=st.sampled_from(sorted(KINDS)),
    names=st.lists(st.sampled_from(["get_weather", "functions.get_weather", "Get_Weather", "gone"]), min_size=1, max_size=3),
    variant=st.sampled_from([None, "native_api"]),
)
async def test_a_call_whose_name_is_mended_is_not_taken_back(
    tmp_path: Path, dialect: str, names: list[str], variant: str | None
) -> None:
    """A stream says no name that the end of the reply changes."""
    reply = Reply(calls=tuple(Call(name, '{"city": "Oslo"}', f"c{at}") for at, name in enumerate(names)))
    url_of = raw_upstream(Wild(Server(reply, dialect=dialect)))
    async with url_of as url, gateway_world(tmp_path, settings=entry(url, dialect)) as world:
        if variant is not None:
            await promote(world, variant, "raw/m")
        calls = await agree(world, reply)
        assert [name for name, _ in calls] == ["gone" if name == "gone" else "get_weather" for name in names]


SPOKEN = ["Let me look.", "I will look that up for you (in Oslo) [1]: one moment, please.", "OK", "See `city`.", "a < b"]


@pytest.mark.parametrize("text", SPOKEN)
@pytest.mark.parametrize("variant", ["native_api", "native_parsed", "restrained", "fitted"])
async def test_what_a_model_says_beside_calls_is_not_lost(tmp_path: Path, variant: str, text: str) -> None:
    """The client gets it as it would without the variant."""
    reply = Reply(text=text, calls=(Call("get_weather", '{"city": "Oslo"}', "c0"),))
    async with raw_upstream(Wild(Server(reply), (9,))) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, variant, "raw/m")
        assert await agree(world, reply) == [("get_weather", {"city": "Oslo"})]
        assert said_by((await world.post(asking("Oslo", tools=TOOLS, stream=False))).body)[0] == text


@pytest.mark.parametrize("field", ["response_format", "guided_json"])
@pytest.mark.parametrize("variant", ["native_parsed", "native_parsed@2", "restrained@2", "fitted"])
async def test_an_answer_in_a_form_of_the_clients_own_is_no_call(tmp_path: Path, variant: str, field: str) -> None:
    """It reaches the client as it would without the variant; calls that the server reports are read."""
    text = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
    reported = Reply(calls=(Call("get_weather", '{"city": "Oslo",}', "c0"),))
    for reply, calls in ((Reply(text=text), 0), (reported, 1)):
        async with raw_upstream(Wild(Server(reply))) as url, gateway_world(tmp_path, settings=entry(url)) as world:
            await promote(world, variant, "raw/m")
            assert len(await agree(world, reply, **{field: {"type": "json_object"}})) == calls


TEXT_AND_NATIVE = Reply(
    text='{"name": "play", "arguments": {"song": "x"}}', calls=(Call("get_weather", '{"city": "Oslo"}', "c0"),)
)


@pytest.mark.parametrize("variant", ["native_parsed", "constrained", "few_shot"])
async def test_a_call_beside_one_in_the_text_is_not_lost(tmp_path: Path, variant: str) -> None:
    """Whatever the chain reads first."""
    async with raw_upstream(Wild(Server(TEXT_AND_NATIVE))) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, variant, "raw/m")
        answer = (await world.post(asking("Oslo", tools=TOOLS, stream=False))).body
        assert ("get_weather", {"city": "Oslo"}) in said_by(answer)[1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_the_limit_cut_off_is_as_without_a_variant(tmp_path: Path, stream: bool) -> None:
    """As it came, with the reason `length`."""
    reply = Reply(calls=(Call("get_weather", '{"city": "Os', "c0"),), finish="length")
    async with raw_upstream(Wild(Server(reply))) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_parsed", "raw/m")
        answer = await world.post(asking(tools=TOOLS, stream=stream))
        assert '"arguments":"{\\"city\\": \\"Os"' in answer.text
        assert '"finish_reason":"length"' in answer.text


async def test_an_unreadable_call_goes_to_the_fallback_where_the_rule_says_so(tmp_path: Path) -> None:
    """Before anything was sent."""
    reply = Reply(calls=(Call("get_weather", "city is Oslo", "c0"),))
    async with raw_upstream(Wild(Server(reply))) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_parsed", "raw/m", fallback="up/other", fallback_on_unparsed=True)
        answer = await world.post(asking(tools=TOOLS, stream=False))
        assert answer.headers["x-selfopt-model"] == "up/other"
