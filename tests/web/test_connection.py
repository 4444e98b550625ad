"""A connection among others: its body, what is held of it, and who goes when there is no room."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import replace
from typing import Any

import pytest

from selfopt.web import HttpRequest, Reply, WebServer
from selfopt.web.connection import Answer
from selfopt.web.reply import head
from selfopt.web.server import listening_sockets

from .kit import LIMITS, Talk, settled

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def post(path: bytes, length: int, *lines: bytes) -> bytes:
    """The head of a POST."""
    return (
        b"POST "
        + path
        + b" HTTP/1.1\r\n"
        + HOST
        + b"".join(line + b"\r\n" for line in lines)
        + b"Content-Length: %d\r\n\r\n" % length
    )


def nobody(request: HttpRequest) -> Answer:
    """Serve nothing."""
    raise AssertionError


async def later(talk: Talk, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let time pass for the server."""
    now = talk.server._loop.time() + seconds
    monkeypatch.setattr(talk.server, "_loop", _Clock(now))
    await settled()


class _Clock:
    """A loop at another time."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    def time(self) -> float:
        """Return the time it was set to."""
        return self.now


async def test_go_on_is_said_in_its_turn() -> None:
    """`100 Continue` for a second request follows the answer to the first."""
    holds = asyncio.Event()
    talk = Talk(holds=holds)
    await talk.say(GET + post(b"/2", 2, b"Expect: 100-continue"))
    assert talk.transport.written == b""
    holds.set()
    await settled()
    first, _, rest = talk.transport.written.partition(b"\r\n\r\nok")
    assert first.startswith(b"HTTP/1.1 200")
    assert rest == b"HTTP/1.1 100 Continue\r\n\r\n"
    await talk.say(b"{}")
    assert talk.outcome().answers == [200, 100, 200]


async def test_nobody_is_told_to_go_on_who_has_begun() -> None:
    """No `100 Continue` when some of the body came with the head, nor in HTTP/1.0."""
    talk = Talk()
    await talk.say(post(b"/", 2, b"Expect: 100-continue") + b"{")
    await talk.say(b"}")
    assert talk.outcome().answers == [200]
    old = Talk()
    await old.say(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    await old.say(b"{}")
    assert old.outcome().answers == [200]


async def test_a_denied_request_is_answered_before_its_body() -> None:
    """Its body is neither kept nor read as a request."""
    for head_lines in (post(b"/no", 100_000), post(b"/no", 5, b"Expect: 100-continue"), b"POST /no HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"):  # fmt: skip
        talk = Talk(denies=[b"/no"])
        await talk.say(head_lines)
        assert talk.outcome().answers == [401]
        assert b"Connection: close" in talk.transport.written
        await talk.say(GET * 3)
        assert talk.outcome().answers == [401]
        assert talk.requests == []
        assert talk.server.held.used == 0


async def test_a_denied_request_with_a_short_body_keeps_its_connection() -> None:
    """The body is read and dropped."""
    talk = Talk(denies=[b"/no"])
    await talk.say(post(b"/no", 40_000) + b"x" * 30_000)
    assert talk.outcome().answers == []
    await talk.say(b"x" * 10_000 + GET)
    assert talk.outcome().answers == [401, 200]
    assert [read.path for read in talk.requests] == [b"/"]


async def test_a_limit_on_bodies_does_not_tell_strangers_of_it() -> None:
    """Without a key the answer is 401, whatever length the body claims."""
    talk = Talk(denies=[b"/no"])
    await talk.say(post(b"/no", 10**12))
    assert talk.outcome().answers == [401]


async def test_bodies_are_counted_over_all_connections_and_let_go() -> None:
    """Bytes count as they come, until the answer; small bodies do not count."""
    server = WebServer(nobody, replace(LIMITS, max_body_bytes=400_000, max_held_bytes=500_000))
    holds = asyncio.Event()
    first, second, third = (Talk(server=server, limits=server._limits, holds=holds) for _ in range(3))
    await first.say(post(b"/1", 300_000) + b"x" * 200_000)
    assert server.held.used == 200_000
    await second.say(post(b"/2", 300_000) + b"x" * 300_000)
    assert server.held.used == 500_000
    await third.say(post(b"/3", 300_000) + b"x" * 100_000)
    assert third.outcome().answers == [503]
    assert b"Retry-After" in third.transport.written
    small = Talk(server=server, limits=server._limits)
    await small.say(post(b"/4", 60_000) + b"x" * 60_000)
    assert small.outcome().answers == [200]
    holds.set()
    await settled()
    assert second.outcome().answers == [200]
    assert server.held.used == 200_000
    first.transport.close()
    await settled()
    assert server.held.used == 0


async def test_a_request_that_was_cut_before_it_began_holds_nothing() -> None:
    """The client leaves in the turn of the loop that completes its request."""
    server = WebServer(nobody, replace(LIMITS, max_body_bytes=400_000))
    talk = Talk(server=server, limits=server._limits)
    talk.connection.data_received(post(b"/", 200_000) + b"x" * 200_000)
    assert server.held.used == 200_000
    talk.connection.connection_lost(None)
    await settled()
    assert server.held.used == 0
    assert talk.requests == []


async def test_whoever_stalls_makes_room_for_whoever_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stalled for a second is dropped when another needs the room."""
    server = WebServer(nobody, replace(LIMITS, max_body_bytes=400_000, max_held_bytes=400_000))
    stalls = Talk(server=server, limits=server._limits)
    await stalls.say(post(b"/1", 400_000) + b"x" * 300_000)
    await later(stalls, monkeypatch, 10)
    sends = Talk(server=server, limits=server._limits)
    await sends.say(post(b"/2", 300_000) + b"x" * 300_000)
    assert sends.outcome().answers == [200]
    assert stalls.transport.closed
    assert server.held.used == 0


async def test_an_idle_stranger_makes_room_for_a_new_client() -> None:
    """The longest idle connection goes, not one whose request is being answered."""
    server = WebServer(nobody, replace(LIMITS, max_connections=3))
    holds = asyncio.Event()
    busy = Talk(server=server, holds=holds)
    await busy.say(GET)
    oldest, newer = Talk(server=server), Talk(server=server)
    await oldest.say(GET)
    await newer.say(GET)
    await oldest.say(GET)  # now newer has waited longest
    client = Talk(server=server)
    await client.say(GET)
    assert client.outcome().answers == [200]
    assert newer.transport.closed
    assert not oldest.transport.closed
    holds.set()
    await settled()
    assert busy.outcome().answers == [200]
    assert len(server.connections) == 3


async def test_half_a_head_is_no_shelter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stalled requests make room too; while all move, a new client gets 503."""
    server = WebServer(nobody, replace(LIMITS, max_connections=2))
    slow, slower = Talk(server=server), Talk(server=server)
    await slow.say(b"GET / HT")
    await slower.say(post(b"/", 10) + b"x")
    client = Talk(server=server)
    assert client.outcome().answers == [503]
    client.connection.connection_lost(None)
    await later(slow, monkeypatch, 2)
    client = Talk(server=server)
    await client.say(GET)
    assert client.outcome().answers == [200]
    assert [slow.transport.closed, slower.transport.closed].count(True) == 1


async def test_an_answer_that_is_not_taken_is_counted_and_waits_for_no_further_request() -> None:
    """The next request begins only after the client has read the answer."""
    talk = Talk(answer=b"x" * 50_000)
    talk.transport.backlog = 50_000
    talk.connection.data_received(GET * 3)
    talk.connection.pause_writing()
    await settled()
    assert len(talk.requests) == 1
    assert talk.server.held.used == 50_000
    assert talk.connection.deadline > 0
    talk.connection.resume_writing()
    await settled(12)
    assert len(talk.requests) == 3
    assert talk.server.held.used == 0


async def test_pipelined_bytes_are_bounded() -> None:
    """While a request is answered, reading stops at the limit."""
    holds = asyncio.Event()
    talk = Talk(holds=holds)
    await talk.say(GET)
    await talk.say(GET * 3000)
    assert talk.transport.paused
    holds.set()
    while len(talk.requests) < 3001:
        await settled()
    assert talk.outcome().answers == [200] * 3001
    assert talk.server.held.used == 0


@pytest.mark.parametrize(
    "line", [b"X: a\r\nY: b", b"X: a\rb", b"X: a\nb", b"X: \x00", b"X a", b"X : a", b": qq", b"X: \x7f", b"\xe4: a"]
)
async def test_no_header_is_written_that_is_none(line: bytes) -> None:
    """A header that would break the head leads to a 500 without it."""
    with pytest.raises(ValueError, match="header"):
        head(200, [b"A: b", line])

    async def answer(request: HttpRequest, reply: Reply) -> None:
        reply.send(200, [line], b"")

    talk = Talk()
    talk.connection._service = lambda request: answer
    await talk.say(GET)
    assert talk.transport.written.startswith(b"HTTP/1.1 500 ")
    assert line not in talk.transport.written


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_answers_without_a_body_have_none(method: bytes, status: int) -> None:
    """An answer to HEAD or of status 204 or 304; the connection stays open."""

    async def whole(request: HttpRequest, reply: Reply) -> None:
        reply.send(status, [b"A: b"], b"body")

    async def pieces(request: HttpRequest, reply: Reply) -> None:
        reply.begin(200, [b"A: b"])
        reply.write(b"body")
        reply.end()

    for answer in (whole, pieces) if method == b"HEAD" else (whole,):
        talk = Talk()
        talk.connection._service = lambda request, answer=answer: answer  # type: ignore[misc]
        await talk.say(method + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert talk.transport.written.endswith(b"\r\n\r\n")
        assert b"body" not in talk.transport.written
        assert (b"Content-Length" in talk.transport.written) == (status == 200 and answer is whole)
        await talk.say(GET)
        assert not talk.transport.closed


async def test_a_client_of_http_1_0_is_told_that_its_connection_is_kept() -> None:
    """It would close the connection otherwise."""
    talk = Talk()
    await talk.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: keep-alive\r\n" in talk.transport.written
    await talk.say(b"GET / HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in talk.transport.written
    assert talk.transport.closed


async def test_a_body_is_not_kept_until_the_next_request() -> None:
    """An idle connection holds none of its last request."""
    talk = Talk(limits=replace(LIMITS, max_body_bytes=400_000))
    await talk.say(post(b"/", 300_000) + b"x" * 300_000)
    assert talk.connection._reader.request is None
    assert talk.server.held.used == 0


async def test_a_small_request_does_not_stand_behind_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pieces take turns; small requests are answered in between."""
    monkeypatch.setattr("selfopt.web.turns.TURNS_S", 0.0)
    server = WebServer(nobody, LIMITS)
    large = [Talk(server=server) for _ in range(30)]
    body = b"10\r\n" + b"x" * 16 + b"\r\n"
    for talk in large:
        talk.connection.data_received(
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body * 500 + b"0\r\n\r\n"
        )
    assert all(talk.transport.paused for talk in large[1:])
    small = Talk(server=server)
    await small.say(GET)
    assert small.outcome().answers == [200]
    assert len(server._turns) > 20
    while server._turns:
        await settled()
    await settled()
    assert all(talk.outcome().answers == [200] for talk in large)
    assert not any(talk.transport.paused for talk in large)
    assert server.held.used == 0


async def test_what_is_forgotten_is_read_in_turn_as_well() -> None:
    """A refused client that keeps sending gets one piece read a turn."""
    talk = Talk(denies=[b"/no"])
    await talk.say(post(b"/no", 10**8))
    talk.connection.data_received(b"x" * 200_000)
    before = talk.transport.paused
    await settled()
    assert (before, talk.transport.paused) == (True, False)
    assert talk.outcome().answers == [401]
    assert talk.server.held.used == 0


async def test_many_requests_at_once_leave_room_for_one() -> None:
    """Hundreds of pipelined requests do not delay another client's first one."""
    server = WebServer(nobody, LIMITS)
    many = [Talk(server=server) for _ in range(20)]
    for talk in many:
        talk.connection.data_received(GET * 100)
    one = Talk(server=server)
    await one.say(GET)
    assert one.outcome().answers == [200]
    assert sum(len(talk.requests) for talk in many) < 500
    while any(len(talk.requests) < 100 for talk in many):
        await settled()
    assert all(talk.outcome().answers == [200] * 100 for talk in many)


async def test_all_who_knock_are_let_in_at_once() -> None:
    """One turn of the loop accepts all of them."""
    server = WebServer(nobody, replace(LIMITS, max_connections=300))
    await server.listen("127.0.0.1", 0)
    knocking = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    turns = 0
    while len(server.connections) < 200:
        await asyncio.sleep(0)
        turns += 1
    assert turns < 40
    for each in knocking:
        each.close()
    await server.close(5)


async def test_out_of_descriptors_the_longest_idle_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepting resumes a moment later."""
    server = WebServer(nobody, LIMITS)
    await server.listen("127.0.0.1", 0)
    idle = Talk(server=server)
    monkeypatch.setattr("selfopt.web.server.NO_ROOM_S", 0.0)
    listening = server._listening[0]

    class _Full:
        """Fails once for lack of descriptors."""

        failed = False

        def accept(self) -> tuple[socket.socket, Any]:
            if not _Full.failed:
                _Full.failed = True
                raise OSError(errno.EMFILE, "Too many open files")
            return listening.accept()

        def fileno(self) -> int:
            return listening.fileno()

    server._accept(_Full())  # type: ignore[arg-type]
    assert idle.transport.closed
    with socket.create_connection(("127.0.0.1", server.port)):
        async with asyncio.timeout(60):
            while not server.connections:  # noqa: ASYNC110  the loop lets it in
                await asyncio.sleep(0)
    await server.close(5)


async def test_a_name_of_several_addresses_is_listened_on_under_one_port() -> None:
    """`localhost`, with or without IPv6."""
    sockets = await listening_sockets("localhost", 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()
