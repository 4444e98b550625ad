"""A small HTTP proxy on loopback: it forwards whole URLs and connects tunnels, all to one server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Forwarder", "forwarding"]


@dataclass(slots=True)
class Forwarder:
    """url: where it listens; asked: the first lines of what it was asked; heads: all of each head; wants: the line of a head that
    it asks for."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    wants: bytes = b""

    def with_user(self, userinfo: str) -> str:
        """Return its URL with user and password."""
        return self.url.replace("http://", f"http://{userinfo}@")


@asynccontextmanager
async def forwarding(port: int, wants: bytes = b"") -> AsyncIterator[Forwarder]:
    """Run a proxy; every host that it is asked for is the server at this port of loopback."""
    proxy = Forwarder(wants=wants)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        back: asyncio.StreamWriter | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line = head.partition(b"\r\n")[0].decode()
            proxy.asked.append(line)
            proxy.heads.append(head)
            if proxy.wants not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                await reader.read()
                return
            there, back = await asyncio.open_connection("127.0.0.1", port)
            if line.startswith("CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                method, url, version = line.split(" ")
                path = "/" + url.split("/", 3)[3]
                back.write(f"{method} {path} {version}\r\n".encode() + head.partition(b"\r\n")[2])
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            if back is not None:
                back.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
