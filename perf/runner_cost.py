"""What a trial costs the runner itself: user + system CPU of the measuring process, durable sqlite ledger included.

The model is a scripted server with fixed latency in another process. Run with `make perf` or
`python perf/runner_cost.py [--trials 600] [--slots 1] [--variant native_api] [--latency-ms 5] [--profile FILE]`.
Prints one JSON object and two readable lines. Target: at most 1 ms of CPU per trial; missing it is said, not failed.

CPU figures depend on how busy the machine is (shared cores and caches). So the same process measures, in turn with the
trials, what no durable runner can do without: one request of a bare aiohttp client at the same server, and one row
committed to a bare sqlite file. Figures are medians over the rounds; the ratios hardly depend on the load.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp

from selfopt.endpoints.factory import create_endpoint
from selfopt.ledger import open_ledger
from selfopt.measure.context import MeasureContext
from selfopt.measure.options import MeasureOptions
from selfopt.measure.supervisor import supervise
from selfopt.records import (
    Blob,
    ChatRequest,
    Endpoint,
    EndpointConfig,
    ModelStatus,
    Residency,
    Spec,
    WarmUp,
    WarmUpResult,
)
from selfopt.scripted.script import Script, ScriptedModel, ScriptedReply
from selfopt.scripted.server import serve_scripted
from selfopt.suites import load_suite
from selfopt.variants import get_variant

TARGET_MS = 1.0
ROUND_PASSES = 5


def serve(latency_ms: float, answer: Connection) -> None:
    """The other process: one model that always says the same."""

    async def forever() -> None:
        model = ScriptedModel(latency_ms=latency_ms, initially_loaded=True, default=ScriptedReply(text="I need no tool here."))
        server = await serve_scripted(Script(models={"m": model}), "127.0.0.1", 0)
        answer.send(server.base_url)
        await asyncio.Event().wait()

    asyncio.run(forever())


class _Loaded:
    """The residency of a server that tells nothing."""

    async def status(self, model: str) -> ModelStatus:
        return ModelStatus(state="unknown")

    async def load(self, model: str, timeout_s: float) -> float:
        return 0.0

    async def unload(self, model: str) -> bool:
        return False


async def no_warm_up(
    endpoint: Endpoint, residency: Residency, model: str, requests: Sequence[ChatRequest], policy: WarmUp, clock: object, /
) -> tuple[WarmUpResult, list[Blob]]:
    """Never called: the spec does not warm up."""
    return WarmUpResult(status="off"), []


@dataclass(slots=True)
class Series:
    """CPU and wall time of one kind of work, in milliseconds per unit, one figure a round."""

    user: list[float] = field(default_factory=list)
    system: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    async def add(self, work: Callable[[], Awaitable[int]]) -> None:
        """Do the work, which says how many units it was."""
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        units = await work()
        after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
        self.user.append((after.ru_utime - before.ru_utime) * 1000 / units)
        self.system.append((after.ru_stime - before.ru_stime) * 1000 / units)
        self.wall.append(wall_s * 1000 / units)

    @property
    def cpu(self) -> list[float]:
        """User and system, round by round."""
        return [u + s for u, s in zip(self.user, self.system, strict=True)]

    @property
    def cpu_ms(self) -> float:
        """The median round."""
        return statistics.median(self.cpu)


class Bare:
    """What is compared with: a client that only posts, and a file that only keeps one text a commit."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self._url = f"{base_url}/v1/chat/completions"
        self._body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 2000}]}).encode()
        self._session = aiohttp.ClientSession()
        self._file = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.execute("CREATE TABLE kept (seq INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    async def requests(self, count: int) -> int:
        """So many requests, one after the other."""
        for _ in range(count):
            async with self._session.post(self._url, data=self._body, headers={"Content-Type": "application/json"}) as reply:
                await reply.read()
        return count

    async def commits(self, count: int) -> int:
        """So many commits of one row."""
        for _ in range(count):
            self._file.execute("INSERT INTO kept (text) VALUES (?)", ("x" * 2000,))
        return count

    async def close(self) -> None:
        """Give back connection and file."""
        await self._session.close()
        self._file.close()


def context_of(base_url: str, folder: Path, options: argparse.Namespace) -> tuple[Spec, MeasureContext]:
    """The real parts, but for residency and warm-up."""
    endpoint = create_endpoint(EndpointConfig(name="perf", kind="openai_compatible", base_url=f"{base_url}/v1", local=True))
    suite = load_suite("atomic")
    spec = Spec(
        endpoint="perf",
        model="perf/m",
        phase="atomic",
        suite="atomic",
        suite_hash=suite.content_id(),
        variant=get_variant(options.variant),
    )
    return spec, MeasureContext(
        ledger=open_ledger(folder / "ledger.sqlite3"),
        endpoint_for=lambda _: endpoint,
        residency_for=lambda _: _Loaded(),
        model_name_for=lambda _: "m",
        suite_for=lambda _: suite,
        warm_up=no_warm_up,
        slots_for=lambda _: options.slots,
    )


async def measure(base_url: str, folder: Path, options: argparse.Namespace) -> dict[str, Series]:
    """One round so that imports, caches and connections are there, then the rounds that count."""
    spec, context = context_of(base_url, folder, options)
    bare = Bare(base_url, folder)
    prompts = len(context.suite_for(spec).prompts)

    async def trials() -> int:
        result = await supervise(spec, context=context, options=MeasureOptions(n_runs=ROUND_PASSES))
        assert result.evaluation is not None
        assert result.evaluation.metrics.n == result.trials == ROUND_PASSES * prompts
        return result.trials

    found = {"trial": Series(), "request": Series(), "commit": Series()}
    profile = cProfile.Profile(time.process_time) if options.profile else None
    rounds = max(3, round(options.trials / (ROUND_PASSES * prompts)))
    try:
        for number in range(rounds + 1):
            kept = found if number else {name: Series() for name in found}
            if profile is not None and number:
                profile.enable()
            await kept["trial"].add(trials)
            if profile is not None:
                profile.disable()
            await kept["request"].add(lambda: bare.requests(ROUND_PASSES * prompts))
            await kept["commit"].add(lambda: bare.commits(ROUND_PASSES * prompts))
    finally:
        await context.endpoint_for(spec).close()
        context.ledger.close()
        await bare.close()
    if profile is not None:
        profile.dump_stats(options.profile)
    return found


def figures_of(found: dict[str, Series], options: argparse.Namespace) -> dict[str, object]:
    """What is printed."""
    trial, request, commit = found["trial"], found["request"], found["commit"]
    floor = [r + c for r, c in zip(request.cpu, commit.cpu, strict=True)]
    return {
        "rounds": len(trial.cpu),
        "slots": options.slots,
        "variant": options.variant,
        "latency_ms": options.latency_ms,
        "cpu_ms_per_trial": round(trial.cpu_ms, 3),
        "cpu_ms_per_trial_fastest_round": round(min(trial.cpu), 3),
        "user_ms_per_trial": round(statistics.median(trial.user), 3),
        "system_ms_per_trial": round(statistics.median(trial.system), 3),
        "wall_ms_per_trial": round(statistics.median(trial.wall), 3),
        "bare_request_ms": round(request.cpu_ms, 3),
        "bare_commit_ms": round(commit.cpu_ms, 3),
        "ratio_to_bare_request": round(statistics.median(t / r for t, r in zip(trial.cpu, request.cpu, strict=True)), 2),
        "ratio_to_request_and_commit": round(statistics.median(t / f for t, f in zip(trial.cpu, floor, strict=True)), 2),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "target_ms": TARGET_MS,
        "within_target": trial.cpu_ms <= TARGET_MS,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of the runner per trial")
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--variant", default="native_api")
    parser.add_argument("--latency-ms", type=float, default=5.0)
    parser.add_argument("--profile", default=None, help="write cProfile statistics to this file (slows everything down)")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(options.latency_ms, theirs), daemon=True)
    server.start()
    try:
        if not ours.poll(60):
            print("the scripted server did not start within 60 s", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
            figures = figures_of(asyncio.run(measure(ours.recv(), Path(folder), options)), options)
    finally:
        server.terminate()
        server.join()
    print(json.dumps(figures))
    verdict = "within target" if figures["within_target"] else "over target"
    print(f"{figures['cpu_ms_per_trial']} ms of CPU per trial, target {TARGET_MS:g} ms: {verdict}")
    print(
        f"at the same time a bare client cost {figures['bare_request_ms']} ms a request and a bare sqlite file"
        f" {figures['bare_commit_ms']} ms a commit: a trial costs {figures['ratio_to_request_and_commit']} times both"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
