"""Answers that are kept: who finds them, for how long, and what is never kept."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.gateway import KeptLimits, KeptResponses
from selfopt.gateway.kept_responses import KeptResponse
from selfopt.home import ChainedFile, KeyFile

from .kit import World, gateway_world
from .servers import raw_upstream
from .test_responses import PATH, TOOLS, Native, asking, calls_in, client, native

KEEPS = "[gateway]\nkeep_responses = 3\n"
MODELS: dict[str, Any] = {
    "m": {
        "replies": [
            {"match": {"after_tool_result": True}, "text": "It rains."},
            {"match": {"contains": "weather"}, "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        ],
        "default": {"text": "Hello."},
    }
}


def messages_sent(world: World) -> Any:
    """The messages of the last chat that the server got."""
    body = world.upstream.journal[-1].body
    assert body is not None
    return body["messages"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_from_an_earlier_answer(tmp_path: Path, stream: bool) -> None:
    """The server gets all of it; instructions are those of each request."""
    async with gateway_world(tmp_path, MODELS, settings=KEEPS) as world, client(world) as sdk:

        async def ask(**fields: Any) -> Any:
            if not stream:
                return await sdk.responses.create(model="up/m", tools=TOOLS, **fields)
            async with sdk.responses.stream(model="up/m", tools=TOOLS, **fields) as events:
                return await events.get_final_response()

        first = await ask(input="weather?", instructions="Be brief.")
        assert calls_in(first) == [("get_weather", {"city": "Oslo"})]
        (call,) = first.output
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        second = await ask(input=[result], previous_response_id=first.id)
        assert (second.output_text, second.previous_response_id) == ("It rains.", first.id)
        third = await ask(input="Thanks.", previous_response_id=second.id)
        roles = [message["role"] for message in messages_sent(world)]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        kept = await sdk.responses.retrieve(third.id)
        assert (kept.id, kept.output_text, kept.status) == (third.id, "Hello.", "completed")
        # An answer can go on from the same one twice, and name items alone.
        named: Any = [{"role": "user", "content": "weather?"}, {"type": "item_reference", "id": call.id}, result]
        assert (await ask(input=named)).output_text == "It rains."
        assert [message["role"] for message in messages_sent(world)] == ["user", "assistant", "tool"]


async def test_an_answer_is_found_by_its_own_key_alone(tmp_path: Path) -> None:
    """Another key can neither read, go on from, nor delete it."""
    (tmp_path / "home").mkdir()
    keys = KeyFile(tmp_path / "home" / "gateway_keys.json", ChainedFile(tmp_path / "home" / "routing_decisions.jsonl"))
    (mine, _), (other, _) = keys.add("mine"), keys.add("other")
    async with (
        gateway_world(tmp_path, MODELS, settings=KEEPS) as world,
        client(world, mine) as own,
        client(world, other) as stranger,
    ):
        answer = await own.responses.create(**asking("hi", "up/m"))
        assert (await own.responses.retrieve(answer.id)).output_text == "Hello."
        with pytest.raises(openai.NotFoundError):
            await stranger.responses.retrieve(answer.id)
        with pytest.raises(openai.NotFoundError):
            await stranger.responses.delete(answer.id)
        with pytest.raises(openai.BadRequestError) as refused:
            await stranger.responses.create(**asking("more", "up/m"), previous_response_id=answer.id)
        assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
        await own.responses.delete(answer.id)
        with pytest.raises(openai.NotFoundError):
            await own.responses.retrieve(answer.id)


async def test_answers_are_kept_across_starts_and_bounded_in_number(tmp_path: Path) -> None:
    """The newest stay, in a file that nobody else can read."""
    async with gateway_world(tmp_path, MODELS, settings=KEEPS) as world:
        ids = [(await world.post(asking(f"hi {number}", "up/m"), path=PATH)).body["id"] for number in range(5)]
    async with gateway_world(tmp_path, MODELS, settings=KEEPS) as world:
        found = [(await world.get(f"{PATH}/{name}")).status for name in ids]
        assert found == [404, 404, 200, 200, 200]
        for file in (tmp_path / "home").glob("responses.sqlite3*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        answer = await world.post(asking("hi", "up/m", previous_response_id=ids[-1]), path=PATH)
        assert answer.status == 200
    async with gateway_world(tmp_path, MODELS) as world:
        assert (await world.get(f"{PATH}/{ids[-1]}")).status == 404


async def test_what_the_client_does_not_want_kept_is_not_kept(tmp_path: Path) -> None:
    """Nothing of it is in the home."""
    async with gateway_world(tmp_path, MODELS, settings=KEEPS) as world:
        answer = await world.post(asking("a secret wish", "up/m", store=False), path=PATH)
        assert answer.body["store"] is False
        assert (await world.get(f"{PATH}/{answer.body['id']}")).status == 404
        kept = await world.post(asking("hi", "up/m"), path=PATH)
        assert kept.body["store"] is True
    for file in (tmp_path / "home").rglob("*"):
        if file.is_file():
            assert b"a secret wish" not in file.read_bytes()


async def test_what_is_too_large_or_too_old_is_forgotten(tmp_path: Path) -> None:
    """By size all together, and by age."""
    now = [1000.0]
    kept = KeptResponses(tmp_path / "kept.sqlite3", KeptLimits(10, 100, 1.0), lambda: now[0])
    small = KeptResponse(b"[]", b"{}" * 20)
    try:
        assert not await kept.keep("resp_0", None, KeptResponse(b"[]", b" " * 200))
        for number in range(1, 4):
            now[0] += 1
            assert await kept.keep(f"resp_{number}", None, small)
        assert [await kept.find(f"resp_{number}", None) for number in range(4)] == [None, None, small, small]
        now[0] += 86_400
        assert await kept.find("resp_3", None) is None
        assert await kept.keep("resp_4", "k", small)
        assert await kept.find("resp_4", None) is None
        assert await kept.find("resp_4", "k") == small
    finally:
        await kept.close()
        await kept.close()


async def test_where_the_file_cannot_be_used_answers_go_on_unkept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client reads that its answer is not kept, and the log says why."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "responses.sqlite3").write_bytes(b"this is no database" * 100)
    async with gateway_world(tmp_path, MODELS, settings=KEEPS) as world:
        answer = await world.post(asking("hi", "up/m"), path=PATH)
        assert (answer.status, answer.body["store"]) == (200, False)
        assert "responses.sqlite3 cannot be used" in caplog.text


async def test_two_processes_share_what_is_kept(tmp_path: Path) -> None:
    """What one keeps, the other finds and forgets."""
    path, limits, small = tmp_path / "kept.sqlite3", KeptLimits(10, 1000, 1.0), KeptResponse(b"[]", b"{}")
    one, other = KeptResponses(path, limits), KeptResponses(path, limits)
    try:
        kept = await asyncio.gather(*(each.keep(f"resp_{n}", None, small) for n in range(4) for each in (one, other)))
        assert all(kept)
        assert await other.find("resp_3", None) == small
        assert await other.forget("resp_3", None)
        assert await one.find("resp_3", None) is None
    finally:
        await one.close()
        await other.close()


async def test_a_server_that_speaks_the_dialect_gets_the_whole_conversation(tmp_path: Path) -> None:
    """Where the gateway kept the beginning, in items without its own ids; what it did not keep goes there unchanged."""
    server = Native()
    async with raw_upstream(server) as url, gateway_world(tmp_path, MODELS, settings=KEEPS + native(url)) as world:
        first = (await world.post(asking("hi", "up/m"), path=PATH)).body
        for previous in (first["id"], "resp_of_theirs"):
            assert (await world.post(asking("more", "raw/m", previous_response_id=previous), path=PATH)).status == 200
        kept, theirs = server.asked
        assert "previous_response_id" not in kept
        assert [(item["role"], "id" in item) for item in kept["input"]] == [
            ("user", False),
            ("assistant", False),
            ("user", False),
        ]
        assert theirs == asking("more", "m", previous_response_id="resp_of_theirs")
        assert (await world.get(f"{PATH}/{first['id']}?stream=true")).error["param"] == "stream"


async def test_what_a_request_goes_on_from_counts_for_its_limits(tmp_path: Path) -> None:
    """A conversation cannot grow beyond what one request may hold, by bytes or by items."""
    async with gateway_world(tmp_path, MODELS, settings=KEEPS, options={"max_body_bytes": 3000}) as world:
        previous, status = None, 200
        for _ in range(3):
            answer = await world.post(asking("x" * 1200, "up/m", previous_response_id=previous), path=PATH)
            status, previous = answer.status, answer.body.get("id")
            if status != 200:
                break
        assert (status, answer.error["param"]) == (400, "input")
        assert "goes on from" in answer.error["message"]
