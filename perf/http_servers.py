"""The gateway's handler behind servers that others keep, beside TensorZero's gateway, in one run: what `docs/decisions/http-server.md` rests on.

    python perf/http_servers.py [--seconds N] [--rounds N] [--turns N] [--json]

Behind each server stands the same whole gateway (keys, rules, records on disk, metrics), one process on one core; upstream and load generator have the
other. `ours_aiohttp_client` is our server with aiohttp's client in place of our own. Rounds are interleaved, so that what else the machine does meets
all alike; the figures are medians of rounds. granian and uvicorn are installed
into a folder of their own. Two minutes as it is; the figures of the page took `--seconds 3 --rounds 5 --turns 1500`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway_parts.latency import Times, added_ms, first_added_ms, in_turn
from gateway_parts.load import Load, measure, wrk_missing
from gateway_parts.ours import fixed_world, prepare
from gateway_parts.peers import running
from gateway_parts.processes import GATEWAY_CORE, OTHER_CORE, Child, free_port, start, start_upstream, wait_until_answers
from gateway_parts.requests import Shape, Target

SERVERS = ("granian==2.8.9", "uvicorn==0.54.0", "httptools==0.9.0", "h11==0.16.0")
KINDS = ("ours", "ours_aiohttp_client", "granian", "uvicorn", "aiohttp")
SHAPES: tuple[Shape, ...] = ("plain", "stream")
AIM_RPS, AIM_ADDED = 1.3, 0.5


def install_servers(folder: Path) -> Path:
    """A folder with granian and uvicorn, for PYTHONPATH."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*pip, "--target", str(folder), *SERVERS], check=True, capture_output=True)
    return folder


@contextmanager
def kept(kind: str, folder: Path, upstream: str, servers: Path) -> Iterator[tuple[Child, Target, Target]]:
    """The gateway behind one server: its process, and a plain and a streamed target."""
    folder.mkdir(parents=True, exist_ok=True)
    environ, _, key = prepare(folder, fixed_world(upstream))
    port = free_port()
    script = Path(__file__).with_name("gateway_parts") / "kept.py"
    environ |= {"PYTHONPATH": os.pathsep.join([str(servers), str(script.parent)])}
    child = start(kind, [sys.executable, str(script), kind, str(port)], folder, core=GATEWAY_CORE, environ=environ)
    try:
        wait_until_answers(child, f"http://127.0.0.1:{port}/ready", 60)
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        plain, stream = (Target(kind, url, shape, "fixed/plain", key) for shape in SHAPES)
        yield child, plain, stream
    finally:
        child.end()


def loads(
    targets: dict[str, tuple[Child, Target, Target]], folder: Path, seconds: float, rounds: int
) -> dict[str, dict[Shape, list[Load]]]:
    """Rounds of every target, interleaved."""
    found: dict[str, dict[Shape, list[Load]]] = {name: {shape: [] for shape in SHAPES} for name in targets}
    for _ in range(rounds):
        for place, shape in enumerate(SHAPES):
            for name, (child, *kinds) in targets.items():
                try:
                    found[name][shape].append(measure(kinds[place], child, folder, seconds=seconds, rounds=1))
                except RuntimeError as error:
                    print(f"{name}, {shape}: {error}", file=sys.stderr)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="the gateway's handler behind servers that others keep")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one load")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--turns", type=int, default=200, help="requests of each on one connection")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if wrk_missing():
        print(f"not run: {wrk_missing()}")
        return 0
    os.sched_setaffinity(0, {OTHER_CORE})
    try:
        rows = measured(options.seconds, options.rounds, options.turns)
    except (RuntimeError, subprocess.CalledProcessError) as error:  # what is compared with could not be installed or started
        print(f"not run: {error}")
        return 0
    print(json.dumps({"rows": rows, "load_average": os.getloadavg()}, indent=2) if options.json else as_text(rows))
    return 0


def measured(seconds: float, rounds: int, turns: int) -> dict[str, dict[str, float]]:
    """All of them in one run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="selfopt-perf-")))
        upstream, url = start_upstream(folder)
        stack.callback(upstream.end)
        servers = install_servers(folder / "servers")
        targets: dict[str, tuple[Child, Target, Target]] = {}
        peer = stack.enter_context(running("tensorzero", folder / "tensorzero", url))
        targets["tensorzero"] = (peer.child, peer.target("plain"), peer.target("stream"))
        for kind in KINDS:
            targets[kind] = stack.enter_context(kept(kind, folder / kind, url, servers))
        direct = [Target("direct", f"{url}/v1/chat/completions", shape, "fixed") for shape in (*SHAPES, "beat")]
        found = loads({**targets, "direct": (upstream, direct[0], direct[1])}, folder, seconds, rounds)
        times = in_turn([direct[0], *(one[1] for one in targets.values())], turns)
        beats = [Target(t.name, t.url, "beat", t.model, t.key, more=t.more) for _, _, t in targets.values()]
        beat = in_turn([direct[2], *beats], turns // 5)
    return figures(found, times, beat)


def figures(
    found: dict[str, dict[Shape, list[Load]]], times: dict[str, Times], beat: dict[str, Times]
) -> dict[str, dict[str, float]]:
    """Medians by server."""
    rows: dict[str, dict[str, float]] = {}
    for name, shapes in found.items():
        row = rows[name] = {}
        for shape, rounds in shapes.items():
            row[f"{shape} rps"] = statistics.median(r.rps for r in rounds) if rounds else float("nan")
            row[f"{shape} CPU ms"] = statistics.median(r.cpu_ms for r in rounds) if rounds else float("nan")
            row[f"{shape} errors"] = sum(r.errors for r in rounds)
        if name != "direct":
            row["added p50"], row["added p99"] = added_ms(times, name, 0.5), added_ms(times, name, 0.99)
            row["first byte later"] = first_added_ms(beat, name)
    peer = rows["tensorzero"]
    for name in KINDS:
        rows[name]["times its rps"] = rows[name]["plain rps"] / peer["plain rps"]
        rows[name]["of its added p50"] = rows[name]["added p50"] / peer["added p50"]
        rows[name]["of its added p99"] = rows[name]["added p99"] / peer["added p99"]
    return rows


def as_text(rows: dict[str, dict[str, float]]) -> str:
    """A table in Markdown."""
    columns = list(rows["ours"])
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [
            f"{row[c]:,.0f}" if c.endswith((" rps", "errors")) and "times" not in c else f"{row[c]:.3f}"
            for c in columns
            if c in row
        ]
        cells += ["-"] * (len(columns) - len(cells))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append(f"asked: at least {AIM_RPS} times TensorZero's requests a second, and at most {AIM_ADDED} of what it adds")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
