"""What a trial costs the runner itself: user + system CPU of the measuring process, durable sqlite ledger included.

The model is a scripted server with fixed latency in another process. Run with `make perf` or
`python perf/runner_cost.py [--trials 600] [--slots 1] [--variant native_api] [--latency-ms 5] [--profile FILE]`.
Prints one JSON object and two lines. Target: at most 1 ms of CPU per trial. Exit code 100 when it is missed.

CPU figures depend on how busy the machine is (shared caches and cores). So the same process also measures a bare aiohttp
client at the same server: 0.2 ms per request on two quiet cores. Several times that means: measure again when it is quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp

from selfopt.endpoints import OpenAICompatibleEndpoint, Script, ScriptedModel, ScriptedReply, serve_scripted
from selfopt.ledger import open_ledger
from selfopt.measure import MeasureContext, SuperviseOptions, supervise
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
from selfopt.suites import load_suite
from selfopt.variants import get_variant

TARGET_MS = 1.0


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
    endpoint: Endpoint, residency: Residency, model: str, request: ChatRequest, policy: WarmUp, clock: object, /
) -> tuple[WarmUpResult, list[Blob]]:
    """Never called: the spec does not warm up."""
    return WarmUpResult(status="off"), []


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in milliseconds per trial, over `trials` trials after a warming pass."""

    trials: int
    user_ms: float
    system_ms: float
    wall_ms: float

    @property
    def cpu_ms(self) -> float:
        """User and system."""
        return self.user_ms + self.system_ms


def cpu_ms() -> float:
    """User and system CPU of this process so far, in milliseconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


async def bare_client(base_url: str, requests: int = 300) -> float:
    """CPU in milliseconds of one request of a bare aiohttp client, body encoded beforehand."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 2000}]}).encode()
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        before = cpu_ms()
        for _ in range(requests):
            async with session.post(f"{base_url}/v1/chat/completions", data=body, headers=headers) as reply:
                await reply.read()
        return (cpu_ms() - before) / requests


async def run(base_url: str, folder: Path, options: argparse.Namespace) -> tuple[Cost, float]:
    """The cost of trials, and that of a bare client."""
    return await measure(base_url, folder, options), await bare_client(base_url)


async def measure(base_url: str, folder: Path, options: argparse.Namespace) -> Cost:
    """One pass so that imports, caches and connections are there, then the passes that count."""
    endpoint = OpenAICompatibleEndpoint(
        EndpointConfig(name="perf", kind="openai_compatible", base_url=f"{base_url}/v1", local=True)
    )
    ledger = open_ledger(folder / "ledger.sqlite3")
    suite = load_suite("atomic")
    spec = Spec(
        endpoint="perf",
        model="perf/m",
        phase="atomic",
        suite="atomic",
        suite_hash=suite.content_id(),
        variant=get_variant(options.variant),
    )
    context = MeasureContext(
        ledger=ledger,
        endpoint_for=lambda _: endpoint,
        residency_for=lambda _: _Loaded(),
        model_name_for=lambda _: "m",
        suite_for=lambda _: suite,
        warm_up=no_warm_up,
        slots_for=lambda _: options.slots,
    )
    try:
        await supervise(spec, context=context, options=SuperviseOptions(n_runs=1))
        n_runs = math.ceil(options.trials / len(suite.prompts))
        profile = cProfile.Profile(time.process_time) if options.profile else None
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        if profile is not None:
            profile.enable()
        result = await supervise(spec, context=context, options=SuperviseOptions(n_runs=n_runs))
        if profile is not None:
            profile.disable()
            profile.dump_stats(options.profile)
        after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
        assert result.evaluation is not None
        assert result.evaluation.metrics.n == result.trials == n_runs * len(suite.prompts)
        return Cost(
            trials=result.trials,
            user_ms=(after.ru_utime - before.ru_utime) * 1000 / result.trials,
            system_ms=(after.ru_stime - before.ru_stime) * 1000 / result.trials,
            wall_ms=wall_s * 1000 / result.trials,
        )
    finally:
        await endpoint.close()
        ledger.close()


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
        if not ours.poll(30):
            print("the scripted server did not start within 30 s", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
            cost, bare_ms = asyncio.run(run(ours.recv(), Path(folder), options))
    finally:
        server.terminate()
        server.join()
    within = cost.cpu_ms <= TARGET_MS
    figures = {
        "trials": cost.trials,
        "slots": options.slots,
        "variant": options.variant,
        "latency_ms": options.latency_ms,
        "cpu_ms_per_trial": round(cost.cpu_ms, 3),
        "user_ms_per_trial": round(cost.user_ms, 3),
        "system_ms_per_trial": round(cost.system_ms, 3),
        "wall_ms_per_trial": round(cost.wall_ms, 3),
        "bare_client_ms_per_request": round(bare_ms, 3),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "target_ms": TARGET_MS,
        "within_target": within,
    }
    verdict = "PASS" if within else "FAIL"
    print(json.dumps(figures))
    print(f"{cost.cpu_ms:.2f} ms of CPU per trial over {cost.trials} trials (target {TARGET_MS:g} ms): {verdict}")
    print(f"a bare aiohttp client costs {bare_ms:.2f} ms per request at this moment (0.2 on two quiet cores)")
    return 0 if within else 100


if __name__ == "__main__":
    sys.exit(main())
