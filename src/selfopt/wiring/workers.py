"""`serve --workers N`: several processes accept from one socket, and their parent restarts them."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from selfopt.errors import SettingsError, UsageError

from .app import App

if TYPE_CHECKING:
    from selfopt.gateway import Conversations, DriftMarks, KeyCounters, PagePlace, SharedBreaks, SharedFigures

BACKLOG = 1024
QUICK_S = 5.0
LONGEST_PAUSE_S = 30.0
_WATCHED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
_LISTENING, _WARM = b"L", b"W"


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several serving processes.

    Attributes:
        number: from 0; a process that replaces a dead one keeps its number.
        count: how many processes serve.
        listening: the socket that all of them share.
        lifeline: a descriptor that becomes readable when the parent process has ended.
        conversations: those that stronger models answer; all processes share them.
        judged: the requests of which it is known whether the answer was sure; likewise.
        figures: what each process counts; likewise.
        counters: what keys used; likewise.
        breaks: the endpoints that are left alone; likewise.
        page: where the one process draws the page that all of them serve; None where it is off.
    """

    number: int
    count: int
    listening: socket.socket
    lifeline: int
    _told: int
    conversations: Conversations | None = None
    judged: DriftMarks | None = None
    figures: SharedFigures | None = None
    counters: KeyCounters | None = None
    breaks: SharedBreaks | None = None
    page: PagePlace | None = None

    def tell(self, *, warm: bool) -> None:
        """Tell the parent that this process listens, or that its models are warm."""
        with suppress(OSError):  # the parent no longer reads
            os.write(self._told, _WARM if warm else _LISTENING)


def listening_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket. SettingsError when that fails."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None


def refuse_embedded(app: App) -> None:
    """Raise UsageError when the rules in force serve models of the embedded engine.

    Its children belong to one process, so several processes would each load the model.
    """
    wanted = {name for rule in app.enforcer.load().rules for name in (rule.model if rule.allow else None, rule.fallback) if name}
    full = {name: app.known_model(name) for name in wanted}
    found = sorted(name for name, model in full.items() if model and app.settings.endpoint_of(model)[1].traits.engine)
    if found:
        raise UsageError(
            f"--workers: the rules name models of the embedded engine ({', '.join(found[:3])}), which runs in one process: "
            "leave --workers out, or serve these models from a separate server (Ollama, llama-server, vLLM)"
        )


@dataclass(slots=True)
class _Child:
    number: int
    pid: int
    began: float
    hears: int


@dataclass(slots=True)
class _Crew:
    """The serving processes and what they share. say: prints one line for the user."""

    count: int
    listening: socket.socket
    say: Callable[[str], None]
    conversations: Conversations
    judged: DriftMarks
    figures: SharedFigures
    counters: KeyCounters
    breaks: SharedBreaks
    page: PagePlace | None = None
    lifeline: tuple[int, int] = field(default_factory=os.pipe)
    children: dict[int, _Child] = field(default_factory=dict)
    stopping: bool = False
    quick: int = 0

    def start(self, number: int) -> Worker | None:
        """Start a process. Returns its worker in the new process and None in the parent."""
        hears, tells = os.pipe()
        pid = os.fork()
        if pid:
            os.close(tells)
            self.children[pid] = _Child(number, pid, time.monotonic(), hears)
            return None
        os.setpgid(0, 0)  # Ctrl-C then reaches only the parent, which stops the others once
        os.close(hears)
        os.close(self.lifeline[1])
        for child in self.children.values():
            os.close(child.hears)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        shared = (self.conversations, self.judged, self.figures, self.counters, self.breaks, self.page)
        return Worker(number, self.count, self.listening, self.lifeline[0], tells, *shared)

    def wait_for(self, child: _Child, what: bytes) -> bool:
        """Wait until a process reports this. False when it ended before, or all are to stop."""
        while True:
            readable, _, _ = select.select([child.hears], [], [], 0.05)
            if readable:
                said = os.read(child.hears, 1)
                if not said or said == what:
                    return bool(said)
            if signal.sigtimedwait(_WATCHED - {signal.SIGCHLD}, 0) is not None:
                self.stop()
                return False

    def stop(self) -> None:
        """Ask all processes to finish their requests. A second call makes them cut these off."""
        self.stopping = True
        for pid in self.children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def reap(self) -> list[tuple[_Child, int]]:
        """Return the processes that ended, with their exit codes (negative: the signal)."""
        ended = []
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            child = self.children.pop(pid, None)
            if child is not None:
                os.close(child.hears)
                ended.append((child, os.waitstatus_to_exitcode(status)))
        return ended

    def look_after(self) -> Worker | None:
        """Restart processes that die, until all are to stop.

        Returns None at the end, and in each restarted process its worker.
        """
        while self.children:
            number = signal.sigwait(_WATCHED)
            if number != signal.SIGCHLD:
                self.stop()
            for child, code in self.reap():
                if self.stopping:
                    continue
                self.quick = self.quick + 1 if time.monotonic() - child.began < QUICK_S else 0
                pause_s = min(LONGEST_PAUSE_S, 2.0**self.quick / 2) if self.quick else 0.0
                self.say(f"worker {child.number} (process {child.pid}) ended with {code}; restarted")
                if pause_s and signal.sigtimedwait(_WATCHED - {signal.SIGCHLD}, pause_s) is not None:
                    self.stop()
                    continue
                if (worker := self.start(child.number)) is not None:
                    return worker
        return None


def in_workers(
    count: int, listening: socket.socket, say: Callable[[str], None], ready: Callable[[], None], *, page: bool = False
) -> Worker | int:
    """Start the serving processes. Returns each one's worker and, at the end, the exit code.

    The first process starts alone, so that a wrong setting is reported once and models are warm
    before the others take requests. A process that dies is restarted, after a pause if it died
    quickly.

    Args:
        count: how many processes serve.
        say: prints one line for the user.
        ready: called when the first process listens.
        page: the page is served at `/ui`.
    """
    if not hasattr(os, "fork"):
        raise UsageError("--workers needs a system with fork (Linux, macOS)")
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    from selfopt.gateway import Conversations, DriftMarks, KeyCounters, PagePlace, SharedBreaks, SharedFigures

    shared = (Conversations(), DriftMarks(), SharedFigures(count), KeyCounters(count), SharedBreaks())
    crew = _Crew(count, listening, say, *shared, PagePlace.make() if page else None)
    if (worker := crew.start(0)) is not None:
        return worker
    first = next(iter(crew.children.values()))
    if not crew.wait_for(first, _LISTENING):
        codes = [130]
        while crew.children:
            signal.sigwait(_WATCHED)
            codes += [code for _, code in crew.reap()]
        return codes[-1] if codes[-1] >= 0 else 1
    ready()
    crew.wait_for(first, _WARM)
    for number in range(1, 1 if crew.stopping else count):
        if (worker := crew.start(number)) is not None:
            return worker
    return crew.look_after() or 130
