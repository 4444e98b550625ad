"""How throughput grows with gateways on several nodes, and what 10,000 requests a second or 100 million a day would take.

    python perf/scale.py [--seconds 5] [--nodes 1 2 4] [--json]

A node is a network namespace with one gateway and one fixed model server; the client reaches it over a veth pair. Without
root, or without `ip`, nodes are ports of loopback, and the output says so. All nodes share this machine's cores, so the
model predicts from the first run's CPU per request, and from the CPU that other programs left over, what several nodes do.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gateway_parts.processes import Child, free_port, wait_until_answers

_BODY = json.dumps({"model": "s/m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}).encode()
# What the model of the figures rests on beside what is measured. docs/SCALE.md tells them, too.
BUSY = 0.6  # share of a core that is planned for
PEAK = 3.0  # the busiest minute of a day against its mean
SPARE_NODES = 1
CORES_OF_A_NODE = 4
CORE_HOUR = 0.04
GB_MONTH = 0.10
DAYS_KEPT = 30


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway and its model server. prefix: what runs a command on it."""

    host: str
    port: int
    prefix: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. CPU in milliseconds a request; left: cores that other programs left to ours."""

    nodes: int
    rate: float
    gateway_ms: float
    server_ms: float
    client_ms: float
    left: float
    bytes_each: float

    @property
    def all_ms(self) -> float:
        """Of everything on this machine."""
        return self.gateway_ms + self.server_ms + self.client_ms


def predicted(first: Measured, nodes: int, left: float) -> float:
    """Requests a second of so many nodes, by the CPU that one took: bound by the gateways, or by the machine."""
    return min(nodes * 1000 / first.gateway_ms, left * 1000 / first.all_ms)


def needed(first: Measured, peak_rate: float, per_day: float) -> dict[str, float]:
    """What a load takes, in cores, nodes, storage, and money a month of 30 days."""
    cores = peak_rate * first.gateway_ms / 1000 / BUSY
    nodes = math.ceil(cores / CORES_OF_A_NODE) + SPARE_NODES
    kept_gb = per_day * first.bytes_each * DAYS_KEPT / 1e9
    return {
        "peak_per_s": round(peak_rate),
        "per_day": round(per_day),
        "cores": round(cores, 1),
        "nodes": nodes,
        "records_gb": round(kept_gb),
        "cost_month": round(nodes * CORES_OF_A_NODE * 24 * 30 * CORE_HOUR + kept_gb * GB_MONTH),
    }


_NUMBERS = itertools.count()


class Namespaces:
    """Makes network namespaces, and takes them away again."""

    def __init__(self) -> None:
        self.possible = os.geteuid() == 0 and _ran("ip", "netns", "list")
        self._made: list[str] = []

    def node(self) -> Node:
        """A new node."""
        # A namespace goes in its own time, so no later run uses its names.
        own = next(_NUMBERS)
        name, link, net = f"selfopt-{os.getpid()}-{own}", f"so{os.getpid() % 10_000}n{own}", f"10.213.{own}"
        if not self.possible or not _ran("ip", "netns", "add", name):
            self.possible = False
            return Node("127.0.0.1", free_port(), ())
        self._made.append(name)
        inside = ("ip", "netns", "exec", name)
        for command in (
            ("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name),
            ("ip", "addr", "add", f"{net}.1/30", "dev", link),
            ("ip", "link", "set", link, "up"),
            (*inside, "ip", "addr", "add", f"{net}.2/30", "dev", "eth0"),
            (*inside, "ip", "link", "set", "eth0", "up"),
            (*inside, "ip", "link", "set", "lo", "up"),
        ):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return Node(f"{net}.2", 8484, inside)

    def close(self) -> None:
        """Their links go with them."""
        for name in self._made:
            _ran("ip", "netns", "delete", name)


def _ran(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def started(node: Node, folder: Path, stack: ExitStack) -> tuple[Child, Child, str]:
    """The gateway and the server of a node, and a key."""
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SELFOPT_")}
    upstream = Path(__file__).with_name("gateway_parts") / "upstream.py"
    server = _child("server", [*node.prefix, sys.executable, str(upstream)], folder, environ, stack)
    (folder / "selfopt.toml").write_text(
        f'[endpoints.s]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:{server.first_line}/v1"\n'
        "[gateway]\naccess_log = false\n",
        "utf-8",
    )
    environ |= {"SELFOPT_CONFIG": str(folder / "selfopt.toml"), "SELFOPT_HOME": str(folder / "home"), "HOME": str(folder)}
    selfopt = [sys.executable, "-P", "-m", "selfopt"]
    made = subprocess.run([*selfopt, "keys", "add", "load", "--json"], env=environ, cwd=folder, capture_output=True, check=True)
    serve = [*node.prefix, *selfopt, "serve", "--host", node.host, "--port", str(node.port)]
    gateway = _child("gateway", serve, folder, environ, stack)
    wait_until_answers(gateway, f"http://{node.host}:{node.port}/health", 60)
    return gateway, server, str(json.loads(made.stdout)["key"])


def _child(name: str, command: list[str], folder: Path, environ: dict[str, str], stack: ExitStack) -> Child:
    log = folder / f"{name}.log"
    with log.open("wb") as err:
        process = subprocess.Popen(command, env=environ, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=err)
    child = Child(name, process, log)
    stack.callback(child.end)
    assert process.stdout is not None
    child.first_line = process.stdout.readline().strip()
    if not child.first_line:
        raise RuntimeError(f"{name} did not start: {child.tail()}")
    return child


async def ask(node: Node, key: str, until: float) -> int:
    """Ask on one connection, one request after the other. Returns how many were answered."""
    reader, writer = await asyncio.open_connection(node.host, node.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {node.host}:{node.port}\r\nAuthorization: Bearer {key}\r\n"
    sent = f"{head}Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
    count = 0
    while time.perf_counter() < until:
        writer.write(sent)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the gateway answered {answer[:200]!r}")
        length = int(answer.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


async def load(nodes: list[tuple[Node, str]], seconds: float, connections: int) -> int:
    """Ask all nodes at the same time."""
    until = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(ask(node, key, until) for node, key in nodes for _ in range(connections))))


def measure(count: int, folder: Path, seconds: float, connections: int) -> tuple[Measured, bool]:
    """So many nodes. Says whether they were namespaces."""
    with ExitStack() as stack:
        spaces = Namespaces()
        stack.callback(spaces.close)
        nodes = [spaces.node() for _ in range(count)]
        running = [started(node, folder / f"{count}-{number}", stack) for number, node in enumerate(nodes)]
        asked = [(node, key) for node, (_, _, key) in zip(nodes, running, strict=True)]
        asyncio.run(load(asked, 1.0, connections))  # connections, caches and imports are there
        before, spent, began = _cpu(running), psutil.cpu_times(), time.perf_counter()
        answered = asyncio.run(load(asked, seconds, connections))
        took, after, now = time.perf_counter() - began, _cpu(running), psutil.cpu_times()
        used = [b - a for a, b in zip(before, after, strict=True)]
        busy = sum(now) - sum(spent) - (now.idle - spent.idle) - (now.iowait - spent.iowait) - (now.guest - spent.guest)
        cores = os.cpu_count() or 1
        left = cores - max(0.0, busy - sum(used)) / took
        for gateway, _, _ in running:
            gateway.end()
        kept = sum(path.stat().st_size for path in folder.rglob("requests/*.jsonl") if path.parts[-4].startswith(f"{count}-"))
        gateway_ms, server_ms, client_ms = (1000 * value / answered for value in used)
        whole = answered * (1 + 1.0 / seconds)  # the first second is in the records, too
        return Measured(count, answered / took, gateway_ms, server_ms, client_ms, left, kept / whole), spaces.possible


def _cpu(running: list[tuple[Child, Child, str]]) -> tuple[float, float, float]:
    own = os.times()
    return sum(g.cpu_s() for g, _, _ in running), sum(s.cpu_s() for _, s, _ in running), own.user + own.system


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="throughput with several nodes")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
        for count in sorted({1, *options.nodes}):
            found, spaces = measure(count, Path(folder), options.seconds, options.connections)
            runs.append(found)
    first = runs[0]
    rows: list[dict[str, Any]] = [
        {
            "nodes": one.nodes,
            "per_s": round(one.rate),
            "model_per_s": round(predicted(first, one.nodes, one.left)),
            "ratio": round(one.rate / predicted(first, one.nodes, one.left), 2),
            "gateway_ms": round(one.gateway_ms, 3),
            "cores_left": round(one.left, 2),
        }
        for one in runs
    ]
    loads = {"10,000 a second": needed(first, 10_000, 10_000 / PEAK * 86_400)}
    loads["100 M a day"] = needed(first, 100e6 / 86_400 * PEAK, 100e6)
    if options.json:
        print(json.dumps({"namespaces": spaces, "bytes_per_request": round(first.bytes_each), "runs": rows, "loads": loads}))
        return 0
    print(f"nodes are {'network namespaces' if spaces else 'ports of loopback'}; all of them on {os.cpu_count()} cores")
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print(f"a request takes {first.gateway_ms:.3f} ms of CPU of the gateway, and {first.bytes_each:.0f} bytes of records")
    for name, found_load in loads.items():
        print(f"{name}: " + "  ".join(f"{key} {value}" for key, value in found_load.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
