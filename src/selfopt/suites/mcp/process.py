"""A server that is started as a command: its pipes as streams of messages, bounded, and its end.

The SDK's own client for commands keeps a line of any length, waits for each without end, and prints
what is no message with a stack trace. So the process is ours, and the conversation the SDK's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.suites.check import printable

from .limits import SAID, Intake

_PIECE = 65_536
_END_S = 1.0


class ServerProcess:
    """A running server. `read` and `write` are what the SDK's session speaks through."""

    def __init__(self, process: asyncio.subprocess.Process, intake: Intake) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._intake = intake
        self._words: deque[bytes] = deque(maxlen=4)
        self._other = ""
        self._received: MemoryObjectSendStream[Any]
        self._sent: MemoryObjectReceiveStream[Any]
        self.read: MemoryObjectReceiveStream[Any]
        self.write: MemoryObjectSendStream[Any]
        self._received, self.read = anyio.create_memory_object_stream[Any](0)
        self.write, self._sent = anyio.create_memory_object_stream[Any](0)
        self._tasks = [
            asyncio.ensure_future(work()) for work in (self._read_messages, self._write_messages, self._keep_last_words)
        ]

    async def _read_messages(self) -> None:
        """Hand on each line that is a message. Lines of logs, which many servers print, are passed over."""
        rest = bytearray()
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async with self._received:
                while piece := await self._out.read(_PIECE):
                    if self._intake.count(len(piece)):
                        return
                    rest += piece
                    if b"\n" not in piece:
                        continue
                    *lines, rest = rest.split(b"\n")
                    for line in lines:
                        message = self._message(bytes(line))
                        if message is not None:
                            await self._received.send(message)
                self._intake.over = True

    def _message(self, line: bytes) -> Any:
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
        try:
            body = read_plain_json(text) if text.startswith("{") else None
            if body is not None and body.get("jsonrpc") == "2.0":
                if "method" in body and "id" not in body:
                    return None  # a notification: nothing that is asked for here needs one
                return SessionMessage(jsonrpc_message_adapter.validate_python(body, by_name=False))
        except (PlainJsonError, ValueError):
            pass
        self._other = self._other or text[:SAID]
        return None

    async def _write_messages(self) -> None:
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async with self._sent:
                async for message in self._sent:
                    self._in.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await self._in.drain()

    async def _keep_last_words(self) -> None:
        while piece := await self._err.read(_PIECE):
            self._words.append(piece[-SAID:])

    async def ended(self) -> SuiteError:
        """Say how the process ended before it was done."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_S)
            await asyncio.wait_for(asyncio.shield(self._tasks[-1]), _END_S)
        code = self._process.returncode
        how = "closed its output" if code is None else f"ended with exit code {code}"
        return self._intake.fail(f"{how} before it listed its tools{self.last_words()}; run the command by hand to see why")

    def last_words(self) -> str:
        """The end of what it wrote that was no message, in parentheses, to append to a message."""
        text = b"".join(self._words).decode("utf-8", "replace").strip() or self._other
        return f" ({printable(' '.join(text[-SAID:].split()))})" if text else ""

    async def close(self) -> None:
        """End the process and all that it started: close its input, then signal its group."""
        self._in.close()
        with contextlib.suppress(TimeoutError, ProcessLookupError):
            await asyncio.wait_for(self._process.wait(), _END_S / 4)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in (self.read, self.write, self._received, self._sent):
            stream.close()
        # asyncio can't otherwise release pipes that are full or held open by a process outside the group.
        self._process._transport.close()  # type: ignore[attr-defined]


@asynccontextmanager
async def started(command: Sequence[str], intake: Intake) -> AsyncIterator[ServerProcess]:
    """Start a command without a shell, in its own process group, and end it on leaving.

    Raises:
        SuiteError: the command can't be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SuiteError(f"{intake.who}: cannot be started ({reason}); check the command and its path") from None
    server = ServerProcess(process, intake)
    try:
        yield server
    finally:
        await server.close()
