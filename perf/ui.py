"""What the page costs: how soon 100,000 requests are on it, and what 50 readers cost live traffic.

    python perf/ui.py [--requests N] [--readers N] [--pairs N] [--json]

The first part records so many requests in a home, starts `selfopt ui` and opens its list: cold, right after the start, and warm. The second part
asks a gateway in front of a fixed upstream, one request after the other, in blocks: in every other one so many readers have **Now** open, each
asking through the gateway as often as it is told to: every two seconds at first, and less often once the gateway has counted them. Blocks with and without stand in pairs, so that what else the machine does meets both alike. The
figure is the ratio of the 99th percentiles of all blocks, with the interval of a bootstrap over pairs. Aims: under a second, and at most 1.05.
Missing one is said, not failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import psutil

from gateway_parts.latency import Asker, quantile
from gateway_parts.ours import Ours, fixed_world, our_gateway
from gateway_parts.processes import OTHER_CORE, Child, free_port, start, start_upstream
from selfopt.gateway.journal import encode_record
from selfopt.gateway.ticket import LiveAttempt, RequestRecord
from selfopt.home import KeyFile, KeyScope, chain_line, segment_name
from selfopt.wiring.app import App

AIM_S, AIM_RATIO = 1.0, 1.05
POLL_S = 2
SETTLE_S = 15.0
"""So long it takes until the gateway has counted the readers."""
WRITER = "0123456789"
ADMIN: tuple[KeyScope, ...] = ("admin",)
FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Reader:
    """A browser with a session, over one connection."""

    port: int
    cookie: str = ""

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Send a request; return status and text."""
        link = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin", "Origin": f"http://127.0.0.1:{self.port}"}
        link.request(
            method, path, urlencode(form or {}) if form is not None else None, headers | ({"Content-Type": FORM} if form else {})
        )
        got = link.getresponse()
        text = got.read().decode()
        told = got.getheader("set-cookie")
        self.cookie = told.partition(";")[0] if told else self.cookie
        link.close()
        return got.status, text


def record_requests(home: Path, n: int) -> None:
    """Write requests as a gateway records them."""
    (home / "requests").mkdir(parents=True, exist_ok=True)
    rng, now, head = random.Random(18), time.time(), "0" * 64
    with (home / "requests" / segment_name(WRITER, 1)).open("wb") as file:
        for i in range(n):
            at = datetime.fromtimestamp(now - (n - i) / 10, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
            ms = rng.lognormvariate(5.5, 0.6)
            sure = rng.random()
            record = RequestRecord(
                at=at, id=f"req-{WRITER}{i:014x}", outcome="served" if sure > 0.2 else "diverted", status=200, model=f"local/m{i % 7}",
                served=f"local/m{i % 7}", phase="atomic", rule=f"rule-{i % 7}", version=3, variant="restrained", key=f"key-0000000{i % 9}",
                stream=bool(i % 2), attempts=(LiveAttempt(f"local/m{i % 7}", ms, "", sure, 0.2),), latency_ms=ms, first_byte_ms=ms / 2,
                input_tokens=300, output_tokens=30, reason="", cost=0.001, cost_alone=0.002,
            )  # fmt: skip
            line, head = chain_line(encode_record(record), head)
            file.write(line)


def opened(folder: Path, n: int) -> dict[str, float]:
    """Seconds until the list of a home with so many requests is there: cold and warm; and of one with a filter."""
    home = folder / "many"
    record_requests(home, n)
    port = free_port()
    child = start(
        "ui",
        [sys.executable, "-m", "selfopt", "--home", str(home), "ui", "--port", str(port), "--no-open"],
        folder,
        core=OTHER_CORE,
        says=True,
    )
    try:
        found = re.search(r"/ui/enter\S+", child.first_line)
        assert found is not None, child.first_line
        reader = Reader(port)
        reader.send("GET", found[0])
        cold = timed(reader, "/ui/requests")
        whole = time.perf_counter()
        while "still being read" in reader.send("GET", "/ui/requests")[1]:
            time.sleep(0.05)
        whole = time.perf_counter() - whole + cold
        warm = median(timed(reader, "/ui/requests") for _ in range(15))
        searched = median(timed(reader, f"/ui/requests?q=nothing-{turn}") for turn in range(5))
        now = median(timed(reader, "/ui/") for _ in range(5))
        cpu, memory = child.cpu_s(), child.memory().rss_mb
    finally:
        child.end()
    return {
        "cold_s": cold,
        "all_read_s": whole,
        "warm_s": warm,
        "searched_s": searched,
        "now_s": now,
        "cpu_until_then_s": cpu,
        "memory_mb": memory,
    }


def timed(reader: Reader, path: str) -> float:
    """Seconds of a page. RuntimeError for one that is none."""
    began = time.perf_counter()
    status, text = reader.send("GET", path)
    if status != 200 or "</html>" not in text:
        raise RuntimeError(f"{path} answered {status}: {text[:200]}")
    return time.perf_counter() - began


async def read_on(port: int, cookie: str, readers: int) -> None:
    """Be so many readers, while standard input says `on`. Each waits as long as the last answer told, as the page does."""
    loop, wanted = asyncio.get_running_loop(), asyncio.Event()

    def told() -> None:
        line = sys.stdin.buffer.readline()
        if not line:
            sys.exit(0)
        wanted.set() if line.strip() == b"on" else wanted.clear()

    loop.add_reader(0, told)
    request = f"GET /ui/now HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\nHX-Request: true\r\n"

    async def one(place: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        poll_s = POLL_S
        while True:
            await wanted.wait()
            await asyncio.sleep(poll_s * place / readers)
            while wanted.is_set():
                began = loop.time()
                writer.write(f"{request}X-Poll-S: {poll_s}\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
                await reader.readexactly(length)
                if not head.startswith(b"HTTP/1.1 200"):
                    sys.exit(f"a reader got {head[:60]!r}")
                told = re.search(rb"(?i)x-poll-s: (\d+)", head)
                poll_s = int(told[1]) if told else POLL_S
                await asyncio.sleep(max(0.0, poll_s - (loop.time() - began)))

    await asyncio.gather(*(one(place) for place in range(readers)))


@dataclass(slots=True)
class Readers:
    """Another process that reads."""

    process: subprocess.Popen[bytes]

    def tell(self, word: bytes) -> None:
        """`on` or `off`."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + b"\n")
        self.process.stdin.flush()


def watched(folder: Path, readers: int, pairs: int, block_s: float) -> dict[str, float]:
    """Times of live requests with and without readers."""
    with ExitStack() as stack:
        upstream, url = start_upstream(folder)
        stack.callback(upstream.end)
        ours = stack.enter_context(our_gateway(folder / "ours", fixed_world(url)))
        port = int(ours.url.rpartition(":")[2])
        reader = signed_in(ours, port)
        spread(ours.child)
        command = [sys.executable, __file__, "--be-readers", str(port), reader.cookie, str(readers)]
        process = subprocess.Popen(["taskset", "-c", str(OTHER_CORE), *command], stdin=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        told, asker = Readers(process), Asker(ours.target("plain"))
        stack.callback(asker.close)
        block(asker, 1.0)
        without: list[list[float]] = []
        beside: list[list[float]] = []
        before = False
        for turn in range(pairs):
            for on in (False, True) if turn % 2 else (True, False):
                told.tell(b"on" if on else b"off")
                block(asker, SETTLE_S if on > before else POLL_S)
                before = on
                (beside if on else without).append(block(asker, block_s))
        if process.poll() is not None:
            raise RuntimeError("the readers ended")
    return compared(without, beside)


def signed_in(ours: Ours, port: int) -> Reader:
    """A reader with a key, once the gateway knows it."""
    app = App.open(environ=ours.environ, cwd=ours.home.parent)
    key, _ = KeyFile(app.home.keys, app.enforcer.trail).add("reader", scopes=ADMIN)
    reader = Reader(port)
    for _ in range(60):
        if reader.send("POST", "/ui/signin", {"key": key})[0] == 303:
            return reader
        time.sleep(7)  # ten attempts a minute
    raise RuntimeError("nobody can sign in")


def spread(child: Child) -> None:
    """Let the process that draws run where there is room, as it would without us; the gateway keeps its core."""
    for process in psutil.Process(child.process.pid).children(recursive=True):
        if "selfopt.ui.behind" in process.cmdline():
            process.cpu_affinity([])


def block(asker: Asker, seconds: float) -> list[float]:
    """Milliseconds of requests for so long."""
    found, end = list[float](), time.perf_counter() + seconds
    while time.perf_counter() < end:
        found.append(asker.ask()[1])
    return found


def compared(without: Sequence[Sequence[float]], beside: Sequence[Sequence[float]]) -> dict[str, float]:
    """The ratios of percentiles over all blocks, and an interval over pairs."""

    def ratio(places: Sequence[int], share: float) -> float:
        one, other = ([ms for place in places for ms in blocks[place]] for blocks in (beside, without))
        return quantile(one, share) / quantile(other, share)

    rng, everyone = random.Random(0), range(len(without))
    drawn = sorted(ratio([rng.choice(everyone) for _ in everyone], 0.99) for _ in range(500))
    whole = [ms for each in without for ms in each]
    return {
        "requests": float(len(whole) + sum(map(len, beside))),
        "p50_ms": quantile(whole, 0.5),
        "p99_ms": quantile(whole, 0.99),
        "p50_ratio": ratio(everyone, 0.5),
        "p99_ratio": ratio(everyone, 0.99),
        "p99_ratio_of_pairs": median(ratio([place], 0.99) for place in everyone),
        "p99_ratio_low": drawn[12],
        "p99_ratio_high": drawn[-13],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what the page costs")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--block", type=float, default=5.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--be-readers", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_readers:
        port, cookie, readers = options.be_readers
        asyncio.run(read_on(int(port), cookie, int(readers)))
        return 0
    os.sched_setaffinity(0, {OTHER_CORE})
    with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
        page = opened(Path(folder), options.requests)
        live = watched(Path(folder), options.readers, options.pairs, options.block)
    figures = {name: round(value, 4) for name, value in {**page, **live}.items()}
    if options.json:
        print(json.dumps(figures | {"load_average": round(os.getloadavg()[0], 2)}))
        return 0
    for name, value in figures.items():
        print(f"{name:20} {value:g}")
    met = "met" if page["cold_s"] < AIM_S else "missed"
    print(
        f"{options.requests:,} requests open in {page['cold_s']:.2f} s right after the start (all are read after {page['all_read_s']:.2f} s), {page['warm_s']:.3f} s later; aim {AIM_S:g} s: {met}"
    )
    met = "met" if live["p99_ratio"] <= AIM_RATIO else "missed"
    print(
        f"{options.readers} readers: live p99 {live['p99_ratio']:.3f} of that without ({live['p99_ratio_low']:.3f} to {live['p99_ratio_high']:.3f}); "
        f"aim {AIM_RATIO:g}: {met}; load average {os.getloadavg()[0]:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
