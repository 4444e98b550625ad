"""Runs one engine child: starts it, learns its address, keeps its log, ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from selfopt.errors import EngineError
from selfopt.home.extras import install_command

from .logfile import BoundedLog, printable

_LAST_LINES = 20
_END_GRACE_S = 2.0
_MAX_LINE_BYTES = 65536


def default_command() -> tuple[str, ...]:
    """The command that starts a child. It names the file, so that selfopt need not be imported.

    -P keeps this folder off the child's path.
    """
    return (sys.executable, "-P", str(Path(__file__).with_name("child.py")))


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """The configuration that a child reads from stdin.

    It is not passed as arguments or in the environment, because other users can read these.

    Attributes:
        model_path: the GGUF file.
        alias: the name under which the model is served.
        context_size: tokens per slot.
        slots: requests served at the same time.
        threads: threads that compute.
        cores: how many may compute instead where they sleep while they wait for each other; None
            where `threads` is what the user asked for.
        sleep_idle_s: seconds without a request after which the weights are dropped; -1 for never.
        prompt_cache_mib: memory for prompts that have left their slot.
        embedding: whether it embeds texts, and does not chat.
        pools: whether the model says itself how the vectors of a text's tokens become one.
        verbosity: llama.cpp's log level; 2 shows warnings.
        install: the command that installs the engine's packages.
    """

    model_path: str
    alias: str
    context_size: int
    slots: int
    threads: int
    cores: int | None
    sleep_idle_s: int
    prompt_cache_mib: int
    embedding: bool = False
    pools: bool = False
    verbosity: int = 2
    install: str = field(default_factory=lambda: f"run: {install_command('engine')}")


class ChildProcess:
    """A running child. Make it with `start`. `end` can be called at any time, even repeatedly."""

    def __init__(self, process: asyncio.subprocess.Process, api_key: str, log: BoundedLog) -> None:
        self._process = process
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._pump = asyncio.create_task(self._pump_log())
        self.api_key = api_key
        self.base_url = ""

    @classmethod
    async def start(cls, config: ChildConfig, *, command: Sequence[str], log_path: Path, timeout_s: float) -> ChildProcess:
        """Start a child and wait until it listens.

        Raises:
            EngineError: it cannot start, ends early, or takes longer than timeout_s.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_MAX_LINE_BYTES,
                start_new_session=True,  # Ctrl-C at the terminal is for the parent alone
            )
        except OSError as error:
            raise EngineError(f"engine of {config.alias}: cannot start {command[0]}: {error.strerror}") from error
        child = cls(process, secrets.token_urlsafe(32), BoundedLog(log_path))
        try:
            await child._introduce(config, timeout_s)
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as asyncio knows."""
        return self._process.returncode is None

    @property
    def last_log_line(self) -> str:
        """The last line of the log without control characters; "" if there is none."""
        return self._last_lines[-1] if self._last_lines else ""

    async def end(self) -> None:
        """Stop the process and wait for its end: close its stdin, then kill it if necessary."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_GRACE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        finally:
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
        await self._pump

    async def _introduce(self, config: ChildConfig, timeout_s: float) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        told = {**asdict(config), "api_key": self.api_key, "parent_pid": os.getpid()}
        try:
            async with asyncio.timeout(timeout_s):
                stdin.write(f"{json.dumps(told)}\n".encode())
                with contextlib.suppress(ConnectionError):
                    await stdin.drain()
                line = await stdout.readline()
        except TimeoutError:
            raise EngineError(
                f"engine of {config.alias}: not ready after {timeout_s:g} s; last log line: {self._said()}; "
                "a larger start timeout may help"
            ) from None
        except ValueError:  # a line longer than the limit
            line = b""
        await self._read_answer(config, line)

    async def _read_answer(self, config: ChildConfig, line: bytes) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        answer = told if isinstance(told, dict) else {}
        port, reason, code = answer.get("port"), answer.get("reason"), None
        if isinstance(port, int) and answer.get("event") == "listening":
            self.base_url = f"http://127.0.0.1:{port}"
            return
        if reason is None:
            with contextlib.suppress(TimeoutError):
                code = await asyncio.wait_for(self._process.wait(), _END_GRACE_S)
        with contextlib.suppress(TimeoutError):  # the log's last words arrive with its end
            await asyncio.wait_for(asyncio.shield(self._pump), _END_GRACE_S)
        how = printable(str(reason)) if reason is not None else f"the process ended (exit code {code}) before it was ready"
        raise EngineError(
            f"engine of {config.alias} did not start: {how}; last log line: {self._said()}; log: {self._log.path}; "
            "free memory, or pull the model again"
        )

    def _said(self) -> str:
        return self.last_log_line or "none"

    async def _pump_log(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with self._log:
            while True:
                try:
                    line = await stderr.readline()
                except ValueError:  # overlong: the reader dropped it
                    continue
                if not line:
                    return
                if text := printable(line.decode("utf-8", "replace")):
                    self._last_lines.append(text)
                    self._log.write_line(text)
