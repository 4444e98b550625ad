"""A home whose playground has models to ask, and a server elsewhere that talks or does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .homes import HOSTILE
from .kit import Running, running

TOOLS = json.dumps(
    [
        {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        }
    ]
)
EVIL_REPLY = f"{HOSTILE}</pre><img src=x onerror=alert(1)>"
LONG = 300_000
_SETTINGS = """\
[endpoints.lab]
kind = "scripted"
script = "{script}"
[prices."lab/good"]
input = 1
output = 2
"""
_REMOTE = """\
[endpoints.far]
kind = "openai_compatible"
base_url = "{url}"
local = false
[models.aliases]
distant = "far/away"
"""


@asynccontextmanager
async def play_site(
    folder: Path, keys: dict[str, str] | None = None, *, remote: str = "", more: str = ""
) -> AsyncIterator[Running]:
    """A site with scripted models: a good one, one whose replies are hostile, and one whose replies are long."""
    replies = {
        "good": {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        "evil": {"text": EVIL_REPLY},
        "long": {"text": "x" * LONG},
    }
    script = {"models": {name: {"initially_loaded": True, "default": reply} for name, reply in replies.items()}}
    path = folder / "script.yaml"
    path.write_text(json.dumps(script), "utf-8")
    more += _REMOTE.format(url=remote) if remote else ""
    (folder / "user.toml").write_text(_SETTINGS.format(script=path) + more, "utf-8")
    async with running(folder, keys, environ={"SELFOPT_CONFIG": str(folder / "user.toml")}) as ui:
        yield ui


@asynccontextmanager
async def talking_server(*, never: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server of OpenAI's dialect: its address, and what was sent to it. never: it takes a request and keeps silent."""
    heard: list[bytes] = []
    body = json.dumps(
        {"choices": [{"message": {"role": "assistant", "content": "a word from far away"}, "finish_reason": "stop"}]}
    ).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            sent = await reader.readexactly(length)
            if head.startswith(b"POST"):
                heard.append(sent)
            if never:
                await reader.read()
            else:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                    % len(body)
                    + body
                )
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heard
