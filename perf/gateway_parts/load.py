"""Load by wrk, the load generator of Debian: requests a second of a gateway, and the CPU time that one costs it."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .processes import OTHER_CORE, Child
from .requests import NUMBER, Target

__all__ = ["Load", "measure", "wrk_missing"]

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to. errors: answers that were not 200, and sockets that failed."""

    rps: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    requests: int
    errors: int

    def as_json(self) -> dict[str, Any]:
        """For other programs."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


def wrk_missing() -> str:
    """Why wrk cannot be used; "" when it can."""
    return "" if shutil.which("wrk") else "wrk is not installed; on Debian and Ubuntu: apt-get install wrk"


def measure(target: Target, child: Child, folder: Path, *, seconds: float, connections: int = 16, rounds: int = 3) -> Load:
    """The median of some rounds, after one that is not counted. RuntimeError when wrk fails or an answer is wrong."""
    target.check()
    script = folder / "load.lua"
    script.write_text(_lua(target), "utf-8")
    _round(target, child, script, max(seconds / 3, 1), connections)
    found = [_round(target, child, script, seconds, connections) for _ in range(rounds)]
    return Load(
        rps=statistics.median(f.rps for f in found),
        cpu_ms=statistics.median(f.cpu_ms for f in found),
        p50_ms=statistics.median(f.p50_ms for f in found),
        p99_ms=statistics.median(f.p99_ms for f in found),
        requests=sum(f.requests for f in found),
        errors=sum(f.errors for f in found),
    )


def _lua(target: Target) -> str:
    body = target.body.decode()
    assert "]==]" not in body
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in target.headers.items())
    before, after = body.split(NUMBER)
    return f"""wrk.method = "POST"
{headers}local number = {NUMBER}
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, [==[{before}]==] .. number .. [==[{after}]==])
end
"""


def _round(target: Target, child: Child, script: Path, seconds: float, connections: int) -> Load:
    command = ["taskset", "-c", str(OTHER_CORE), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    before = child.cpu_s()
    done = subprocess.run(
        [*command, "--timeout", "20s", "--latency", "-s", str(script), target.url], capture_output=True, text=True, check=False
    )
    cpu_s = child.cpu_s() - before
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    out = done.stdout
    requests = int(_figure(r"(\d+) requests in", out))
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    errors += sum(int(n) for line in re.findall(r"Socket errors: (.*)", out) for n in re.findall(r"\d+", line))
    return Load(
        rps=float(_figure(r"Requests/sec:\s+([\d.]+)", out)),
        cpu_ms=cpu_s * 1000 / max(requests, 1),
        p50_ms=_ms(_figure(r"(?m)^\s+50%\s+(\S+)", out)),
        p99_ms=_ms(_figure(r"(?m)^\s+99%\s+(\S+)", out)),
        requests=requests,
        errors=errors,
    )


def _figure(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk said something unexpected: {text[:400]}")
    return found[1]


def _ms(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise RuntimeError(f"wrk gave a time as {text!r}")
    return float(found[1]) * _UNITS[found[2]]
