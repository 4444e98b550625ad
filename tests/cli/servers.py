"""Servers on loopback for the tests of the command line: scripted ones, and one that misbehaves below HTTP."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted

__all__ = ["free_port", "scripted_server", "socket_server"]


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def scripted_server(script: Script) -> Iterator[str]:
    """A scripted endpoint on a thread of its own; its base URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve_scripted(script, "127.0.0.1", 0), loop).result(120)

    async def close() -> None:
        """First take what the kernel has accepted already: a connection that meets a closed server is never closed itself."""
        for _ in range(3):
            await asyncio.sleep(0)
        await server.close()

    try:
        yield server.base_url
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(120)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(120)
        loop.close()


@contextmanager
def socket_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A TCP server that does to each connection what `talk` does, until the block ends (the event is set then)."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.2)
            try:
                talk(connection, over)
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=one, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        for thread in [acceptor, *threads]:
            thread.join(120)
        listener.close()
