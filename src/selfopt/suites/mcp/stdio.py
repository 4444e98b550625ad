"""MCP over standard input and output of a command, with one message a line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

from .session import MAX_BYTES, answer_to, parse_message

_LAST_WORDS = 300
_PIECE = 65_536
_END_S = 1.0


class StdioTransport:
    """Sends messages over the pipes of a process."""

    def __init__(self, process: asyncio.subprocess.Process, who: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._who = who
        self._read_bytes = 0
        self._rest = b""
        self._words: deque[bytes] = deque(maxlen=4)
        self._drain = asyncio.ensure_future(self._keep_last_words())

    async def request(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the response with its id.

        Answers requests of the server meanwhile.
        """
        await self.notify(message)
        while True:
            line = (await self._line()).decode("utf-8", "replace").strip()
            if not line:
                continue
            got = parse_message(line, self._who)
            reply = answer_to(got)
            if reply is not None:
                await self._write(reply)
            elif "method" not in got and got.get("id") == message["id"]:
                return got

    async def notify(self, message: Mapping[str, Any]) -> None:
        """Send a notification."""
        await self._write(json.dumps(message))

    def agreed(self, protocol_version: str) -> None:
        """Does nothing: messages carry no version here."""

    async def _write(self, line: str) -> None:
        try:
            self._in.write(line.encode() + b"\n")
            await self._in.drain()
        except OSError:
            raise await self._ended() from None

    async def _line(self) -> bytes:
        while b"\n" not in self._rest:
            piece = await self._out.read(_PIECE)
            if not piece:
                raise await self._ended()
            self._read_bytes += len(piece)
            if self._read_bytes > MAX_BYTES:
                raise SuiteError(
                    f"{self._who}: sent more than {MAX_BYTES} bytes and was ended; it floods, or lists too many tools"
                )
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    async def _ended(self) -> SuiteError:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_S)
            await asyncio.wait_for(self._drain, _END_S)
        code = self._process.returncode
        how = "closed its output" if code is None else f"ended with exit code {code}"
        return SuiteError(f"{self._who}: {how} before it listed its tools{self.last_words()}; run the command by hand to see why")

    def last_words(self) -> str:
        """The end of the server's standard error, in parentheses, to append to a message."""
        text = b"".join(self._words).decode("utf-8", "replace").strip()
        return f" ({printable(' '.join(text[-_LAST_WORDS:].split()))})" if text else ""

    async def _keep_last_words(self) -> None:
        while piece := await self._err.read(_PIECE):
            self._words.append(piece[-_LAST_WORDS:])

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
        self._drain.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._drain
        # asyncio can't otherwise release pipes that are full or held open by a process outside the group.
        self._process._transport.close()  # type: ignore[attr-defined]


@asynccontextmanager
async def started(command: Sequence[str], who: str) -> AsyncIterator[StdioTransport]:
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
        raise SuiteError(f"{who}: cannot be started ({reason}); check the command and its path") from None
    transport = StdioTransport(process, who)
    try:
        yield transport
    finally:
        await transport.close()
