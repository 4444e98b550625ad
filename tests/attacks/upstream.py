"""A process that answers as `replies` says: `python -m tests.attacks.upstream` prints its port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from tests.attacks.replies import REPLIES, Asked, honest


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            body = await reader.readexactly(length)
            path = head.split(b" ", 2)[1].decode()
            try:
                asked = json.loads(body) if body else {}
            except (ValueError, RecursionError):
                asked = {}
            model = str(asked.get("model", "")) if len(body) < 1_000_000 else "honest"
            await REPLIES.get(model.removeprefix("v-"), honest)(Asked(path, asked, writer))
    writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_one, "127.0.0.1", 0, limit=65_536)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
    sys.exit(0)
