"""Hostile clients and servers against a running gateway. After each attack it serves, hides, verifies, and has given its memory back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from .conftest import TABLES
from .replies import REPLIES
from .requests import BODIES, CLIENTS, FRAMES, head, talk
from .world import LONG, TOOLS, World, attacked_world, chat_body

pytestmark = [pytest.mark.attacks, pytest.mark.timeout(900)]

# The kinds of servers that a reply comes through: passed on, through a variant, through adapters of other dialects.
WAYS = ("up", "via", "anth", "olla")
# Of the short form: with everything else behind one way, these still go through all.
EVERYWHERE = ("brackets", "echo_plain_200", "echo_json_500", "echo_in_stream_error", "endless_body", "no_http", "redirect")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """One gateway for all; its figures are printed at the end."""
    with attacked_world(tmp_path_factory.mktemp("attacks")) as found:
        yield found
        request.config.stash.setdefault(TABLES, []).append(found.table())
        found.assert_verifies()


def _attacked(world: World, name: str, work: Callable[[], list[bytes]]) -> None:
    """Run it, look at everything. A machine that others use as well may be to blame for one slow answer, not for two."""
    for last in (False, True):
        with world.watched(name):
            seen = work()
        world.assert_hides(*seen)
        world.assert_sound()
        try:
            world.assert_alive()
        except AssertionError:
            if last:
                raise
        else:
            return


def test_hostile_framing(world: World) -> None:
    """Every frame is answered or cut, and none opens the door to a second request."""

    def work() -> list[bytes]:
        host = b"127.0.0.1:%d" % world.port

        async def all_frames() -> list[bytes]:
            return await asyncio.gather(*(talk(world.port, f.replace(b"HOST", host), wait_s=2.0) for f in FRAMES.values()))

        return asyncio.run(all_frames())

    _attacked(world, "frames", work)


@pytest.mark.parametrize("name", list(CLIENTS))
def test_hostile_clients(world: World, name: str) -> None:
    """Whatever they do, the others are served."""
    _attacked(world, f"client {name}", lambda: asyncio.run(CLIENTS[name](world)))


@pytest.mark.parametrize("name", list(BODIES))
def test_hostile_bodies(world: World, name: str) -> None:
    """Any body within the limits is answered, and the loop goes on meanwhile."""
    body = BODIES[name]()

    def work() -> list[bytes]:
        got = asyncio.run(talk(world.port, head(world, len(body), "Connection: close"), body, wait_s=30.0))
        assert got.startswith(b"HTTP/1.1 "), got[:100]
        assert not got.startswith(b"HTTP/1.1 500"), got[:500]
        return [got]

    _attacked(world, f"body {name}", work)


def _ways(name: str) -> tuple[str, ...]:
    return WAYS if LONG or name in EVERYWHERE else ("up", "via")


@pytest.mark.parametrize("name", list(REPLIES))
def test_hostile_servers(world: World, name: str) -> None:
    """Whole and streamed, passed on and through a variant and through adapters: a client gets an answer or an error, never a secret."""

    def work() -> list[bytes]:
        seen = []
        for way in _ways(name):
            for streamed in (False, True):
                status, got = world.ask(chat_body(f"{way}/{name}", stream=streamed, tools=TOOLS))
                assert status != 500, got
                seen.append(got)
        return seen

    _attacked(world, f"server {name}", work)
