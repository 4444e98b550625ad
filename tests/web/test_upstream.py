"""A connection to a server reads large answers in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from selfopt.errors import EndpointError
from selfopt.web import turns
from selfopt.web.stream import UpstreamStream
from selfopt.web.turns import Turns
from selfopt.web.upstream import TURN_BYTES, UpstreamConnection

from .kit import FakeTransport, settled

HEAD = b"HTTP/1.1 200 OK\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
READ_AT_ONCE = 32
"""So often libuv reads one socket in one turn of the loop."""


class Server:
    """A server that sends all it has, as long as it is read. got: what the stream handed on."""

    def __init__(self, shared: Turns, length: int | None = None) -> None:
        self.connection = UpstreamConnection(lambda gone: None, asyncio.get_running_loop(), shared)
        self.transport = FakeTransport()
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)
        self.got = bytearray()
        self.stream = self.asked(length)

    def asked(self, length: int | None) -> UpstreamStream:
        """Ask for an answer of this length, or of one that ends with the connection."""
        self.future, stream = self.connection.open(REQUEST, 60, 10_000_000)
        self.connection.data_received(HEAD + (b"\r\n" if length is None else b"Content-Length: %d\r\n\r\n" % length))
        stream.pipe(self.got.extend)
        return stream

    def sends(self, *pieces: bytes) -> int:
        """Send these in one turn of the loop until reading is paused; return how many were."""
        for number, piece in enumerate(pieces):
            if self.transport.paused:
                return number
            self.connection.data_received(piece)
        return len(pieces)


@pytest.fixture
async def shared(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Turns of one piece."""
    monkeypatch.setattr(turns, "TURNS_S", 0.0)
    return Turns(asyncio.get_running_loop())


async def test_many_servers_that_send_much_at_once_are_read_bit_by_bit(shared: Turns) -> None:
    """One turn of the loop reads one small part, however many sockets have megabytes; nothing is lost or mixed up."""
    pieces = [bytes([number]) * 250_000 for number in range(READ_AT_ONCE)]
    servers = [Server(shared) for _ in range(20)]
    sent = [server.sends(*pieces) for server in servers]
    assert sent == [1] * len(servers)
    before = 0
    while any(server.transport.paused for server in servers):
        read = sum(len(server.got) for server in servers)
        assert read - before <= TURN_BYTES
        before = read
        await settled(1)
    assert all(server.got == pieces[0] for server in servers)


async def test_small_pieces_wait_for_nobody(shared: Turns) -> None:
    """What a chat streams is handed on at once beside endless answers."""
    large, small = Server(shared), Server(shared)
    large.sends(b"x" * 250_000)
    small.sends(b"data: 1\n\n")
    assert small.got == b"data: 1\n\n"
    assert not small.transport.paused


async def test_what_waits_is_read_before_what_comes_later(shared: Turns) -> None:
    """Reading goes on once all is read, unless the client holds it."""
    server = Server(shared)
    server.sends(b"a" * 100_000)
    server.connection.hold(True)
    await settled(10)
    assert server.got == b"a" * 100_000
    assert server.transport.paused
    server.connection.hold(False)
    assert server.sends(b"b" * 100_000) == 1
    server.connection.hold(True)
    server.connection.hold(False)
    assert server.transport.paused, "more would overtake what waits"
    await settled(10)
    assert server.got == b"a" * 100_000 + b"b" * 100_000
    assert not server.transport.paused


async def test_an_answer_that_ends_while_it_is_held_leaves_its_connection_readable(shared: Turns) -> None:
    """The next answer on it does not wait for the client of the one before."""
    server = Server(shared, 100_000)
    server.sends(b"x" * 99_999)
    await settled(10)
    server.stream.pipe(lambda data: server.stream.hold(True))
    server.sends(b"x")
    assert server.stream.finished
    assert server.connection.kept
    server.got.clear()
    server.asked(2)
    assert server.sends(b"ok") == 1, "it is read"
    assert server.got == b"ok"


@pytest.mark.parametrize("more", [1, 3 * TURN_BYTES])
async def test_bytes_after_the_end_close_the_connection_whenever_they_are_read(shared: Turns, more: int) -> None:
    """They reach no answer."""
    server = Server(shared, 2 * TURN_BYTES)
    server.sends(b"x" * (2 * TURN_BYTES + more))
    await settled(10)
    assert server.got == b"x" * 2 * TURN_BYTES
    assert server.stream.error is None
    assert not server.connection.kept


async def test_what_came_before_the_connection_was_lost_is_read(shared: Turns) -> None:
    """Its end may be that of the answer."""
    server = Server(shared)
    server.sends(b"x" * 100_000)
    server.transport.close()
    await settled()
    assert server.got == b"x" * 100_000
    assert server.stream.finished
    assert server.stream.error is None


async def test_of_an_answer_that_was_given_up_no_more_is_read(shared: Turns) -> None:
    """Its turn passes."""
    server = Server(shared)
    server.sends(b"x" * 100_000)
    server.connection.drop()
    await settled(10)
    assert len(server.got) == TURN_BYTES
    assert not len(shared)


async def test_a_reader_that_fails_ends_the_answer(shared: Turns) -> None:
    """As it does where the transport calls it."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    server = Server(shared)

    def fails(data: bytes) -> None:
        if server.got:
            raise ValueError("no header")
        server.got.extend(data)

    server.stream.pipe(fails)
    server.sends(b"x" * 100_000)
    await settled(10)
    assert server.transport.closed
    assert server.stream.error is not None


class SetClock:
    """A loop whose time is told to it. It rings what is due."""

    def __init__(self) -> None:
        self.now, self.due = 0.0, list[tuple[float, asyncio.Handle]]()

    def time(self) -> float:
        """Seconds."""
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        """A future of the loop that runs."""
        return asyncio.get_running_loop().create_future()

    def call_at(self, when: float, work: Callable[[], None]) -> asyncio.Handle:
        """Note it; return what takes it back."""
        handle = asyncio.Handle(work, (), asyncio.get_running_loop())
        self.due.append((when, handle))
        return handle

    def move(self, now: float) -> None:
        """Let time pass."""
        self.now = now
        due, self.due = self.due, [one for one in self.due if one[0] > now]
        for when, handle in due:
            if when <= now and not handle.cancelled():
                handle._run()


async def test_one_alarm_serves_many_requests_and_each_has_its_own_time() -> None:
    """A kept connection's timer is not set anew for each request; one that is late fails at its own time, no other does."""
    clock = SetClock()
    lost = list[UpstreamConnection]()
    connection = UpstreamConnection(lost.append, cast(asyncio.AbstractEventLoop, clock), Turns(asyncio.get_running_loop()))
    transport = FakeTransport()
    transport.protocol = connection
    connection.connection_made(transport)
    for second in range(5):
        clock.move(float(second))
        future = connection.ask(REQUEST, 60, 1000)
        assert len(clock.due) == 1
        connection.data_received(HEAD + b"Content-Length: 2\r\n\r\nok")
        assert (await future).body == b"ok"
    late = connection.ask(REQUEST, 60, 1000)
    clock.move(60.0)
    assert not late.done(), "the alarm of the first request"
    clock.move(63.9)
    assert not late.done()
    clock.move(64.0)
    with pytest.raises(EndpointError, match="no complete reply within 60 s"):
        await late


async def test_a_shorter_time_is_kept_beside_the_alarm_of_a_longer_one() -> None:
    """The alarm moves forward for a request that may take less; an idle connection's rings into nothing."""
    clock = SetClock()
    connection = UpstreamConnection(lambda gone: None, cast(asyncio.AbstractEventLoop, clock), Turns(asyncio.get_running_loop()))
    transport = FakeTransport()
    transport.protocol = connection
    connection.connection_made(transport)
    first = connection.ask(REQUEST, 60, 1000)
    connection.data_received(HEAD + b"Content-Length: 0\r\n\r\n")
    assert (await first).status == 200
    second = connection.ask(REQUEST, 5, 1000)
    connection.data_received(HEAD + b"Content-Length: 0\r\n\r\n")
    assert (await second).status == 200
    clock.move(5.0)
    assert connection.kept
    assert all(handle.cancelled() for _, handle in clock.due), "an idle connection sets no alarm"
    third = connection.ask(REQUEST, 5, 1000)
    clock.move(10.0)
    with pytest.raises(EndpointError, match="within 5 s"):
        await third
