"""Child processes: started on a core of their own, their CPU time and memory read, ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["GATEWAY_CORE", "OTHER_CORE", "Child", "Memory", "free_port", "start", "start_upstream", "wait_until_answers"]

_CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE = _CORES[0]
"""Where the gateway under measurement runs, alone of ours."""
OTHER_CORE = _CORES[-1]
"""Where upstream and load generator run: the other one where there are two."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process and its children, in MB of a million bytes."""

    rss_mb: float
    pss_mb: float


@dataclass(slots=True)
class Child:
    """A running process. first_line: what it printed first, where that was waited for."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    first_line: str = ""

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of it and its children until now."""
        return sum(sum(p.cpu_times()[:2]) for p in self._all())

    def memory(self) -> Memory:
        """What it holds now."""
        found = [p.memory_full_info() for p in self._all()]
        return Memory(sum(m.rss for m in found) / 1e6, sum(m.pss for m in found) / 1e6)

    def _all(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def end(self) -> None:
        """Ask it to end, and end it. May be called twice."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        for left in self._all() if self.process.poll() is None else []:
            left.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def tail(self) -> str:
        """The end of what it said on standard error."""
        return self.log.read_text("utf-8", "replace").strip()[-400:]


def start(
    name: str,
    command: Sequence[str],
    folder: Path,
    *,
    core: int,
    environ: Mapping[str, str] | None = None,
    says: bool = False,
) -> Child:
    """Start on that core. says: wait for its first line. RuntimeError when it ends before it says one."""
    log = folder / f"{name}.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if says else err,
            stderr=err,
            env={**os.environ, **(environ or {})},
            cwd=folder,
            text=True,
        )
    child = Child(name, process, log)
    if process.stdout is not None:
        child.first_line = process.stdout.readline().strip()
        if not child.first_line:
            process.wait()
            raise RuntimeError(f"{name} did not start: {child.tail() or f'exit code {process.returncode}'}")
    return child


def wait_until_answers(child: Child, url: str, timeout_s: float) -> float:
    """Seconds until a GET of the URL is answered, with whatever status. RuntimeError when it does not come to that."""
    began = time.perf_counter()
    while time.perf_counter() - began < timeout_s:
        if child.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return time.perf_counter() - began
        except urllib.error.HTTPError:
            return time.perf_counter() - began
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{child.name} did not answer at {url}: {child.tail()}")


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_upstream(folder: Path, *, core: int = OTHER_CORE) -> tuple[Child, str]:
    """The fixed upstream, and its address."""
    script = Path(__file__).with_name("upstream.py")
    child = start("upstream", [sys.executable, str(script)], folder, core=core, says=True)
    return child, f"http://127.0.0.1:{child.first_line}"
