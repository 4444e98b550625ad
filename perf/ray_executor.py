"""Trials over Ray, with workers killed in mid-run: whether each is committed exactly once, and what Ray adds to a trial.

    python perf/ray_executor.py [--trials 10000] [--slots 16] [--workers 3] [--kills 2]

The model is a scripted server in another process. In the same run, in turn: trials without Ray, bare Ray tasks that do
nothing, and trials over Ray. A trial over Ray may take at most what a bare task and a trial without Ray take together.
Prints one JSON object and two readable lines. Ends with 1 where a trial is missing or counted twice, and with 0 where Ray
is not installed, because `make perf` does not install it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner_cost import serve
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress
from selfopt.measure.supervisor import supervise
from selfopt.records import Trial, TrialAbandoned, TrialStart
from selfopt.wiring.app import App

PROMPTS = 250


def settings_of(base_url: str, options: argparse.Namespace, executor: str) -> dict[str, Any]:
    """One endpoint with so many slots."""
    return {
        "executor": executor,
        "ray": {"workers": options.workers},
        "endpoints": {"perf": {"kind": "openai_compatible", "base_url": f"{base_url}/v1", "slots": options.slots}},
    }


class Killer:
    """Kills a worker whenever another share of the trials is done."""

    def __init__(self, app: App, trials: int, kills: int) -> None:
        self._app = app
        self._at = [trials * (n + 1) // (kills + 1) for n in range(kills)]
        self.killed: list[int] = []

    def __call__(self, event: Progress) -> None:
        """Look at the progress of the measurement."""
        if self._at and event.done >= self._at[0] and (pids := set(self._app.executors.worker_pids) - set(self.killed)):
            self._at.pop(0)
            self.killed.append(min(pids))
            os.kill(self.killed[-1], signal.SIGKILL)


async def measured(app: App, trials: int, kills: int = 0) -> tuple[float, list[int]]:
    """Make so many trials. Returns milliseconds a trial, and which workers were killed."""
    spec = app.spec("perf/m", "atomic", "native_api", {"suite": "atomic-300", "split": "all"})
    killer = Killer(app, trials, kills)
    began = time.perf_counter()
    runs = -(-trials // PROMPTS)
    options = MeasureOptions(n_runs=runs, limit=min(PROMPTS, trials))
    result = await supervise(spec, context=app.measure_context(killer), options=options)
    assert result.status == "complete"
    assert result.trials == runs * min(PROMPTS, trials)
    return (time.perf_counter() - began) * 1000 / result.trials, killer.killed


async def bare_tasks(count: int, slots: int) -> float:
    """Milliseconds for a Ray task that does nothing, at so many at a time."""
    import ray

    bare = ray.remote(num_cpus=0)(_nothing)  # the workers may have all
    await bare.remote()
    left = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in left:
            await bare.remote()

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(slots)))
    return (time.perf_counter() - began) * 1000 / count


def _nothing() -> None:
    """Do nothing."""


def counted_once(app: App) -> dict[str, int]:
    """What the ledger says of the trials."""
    trials = [(t.run_id, t.prompt_id) for t in app.ledger.read(Trial)]
    return {
        "started": len(list(app.ledger.read(TrialStart))),
        "committed": len(trials),
        "twice": sum(1 for n in Counter(trials).values() if n > 1),
        "abandoned": len(list(app.ledger.read(TrialAbandoned))),
    }


async def measure(base_url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything in turn, in one process."""
    local: list[float] = []
    bare: list[float] = []
    share = max(PROMPTS, options.trials // 10)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SELFOPT_")}
    async with (
        App.open(folder / "local", settings_of(base_url, options, "local"), environ) as here,
        App.open(folder / "ray", settings_of(base_url, options, "ray"), environ) as far,
        App.open(folder / "first", settings_of(base_url, options, "ray"), environ) as first,
    ):
        first.executors = far.executors
        await measured(first, PROMPTS)  # the cluster, its workers and all imports are there
        await measured(here, PROMPTS)
        for _ in range(3):
            local.append((await measured(here, share))[0])
            bare.append(await bare_tasks(share, options.slots))
        over_ray, killed = await measured(far, options.trials, options.kills)
        for _ in range(3):
            local.append((await measured(here, share))[0])
            bare.append(await bare_tasks(share, options.slots))
        found = counted_once(far)
    allowed = statistics.median(local) + statistics.median(bare)
    return {
        **found,
        "trials": options.trials,
        "slots": options.slots,
        "workers": options.workers,
        "killed": len(killed),
        "ms_per_trial_over_ray": round(over_ray, 3),
        "ms_per_trial_without": round(statistics.median(local), 3),
        "ms_per_bare_task": round(statistics.median(bare), 3),
        "allowed_ms": round(allowed, 3),
        "within_allowed": over_ray <= allowed,
        "each_once": found == {"started": found["committed"], "committed": options.trials, "twice": 0, "abandoned": 0},
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="trials over Ray")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--latency-ms", type=float, default=5.0)
    options = parser.parse_args()
    options.trials = -(-options.trials // PROMPTS) * PROMPTS
    if find_spec("ray") is None:
        print("Ray is not installed: pip install '.[ray]'; nothing was measured")
        return 0
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(options.latency_ms, theirs), daemon=True)
    server.start()
    try:
        if not ours.poll(60):
            print("the scripted server did not start within 60 s", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
            figures = asyncio.run(measure(ours.recv(), Path(folder), options))
    finally:
        server.terminate()
        server.join()
    print(json.dumps(figures))
    once = "each exactly once" if figures["each_once"] else "NOT each exactly once"
    print(f"{figures['killed']} of {options.workers} workers killed; {figures['committed']} trials committed, {once}")
    print(
        f"a trial over Ray took {figures['ms_per_trial_over_ray']} ms; a bare task and a trial without Ray take {figures['allowed_ms']} ms"
        f" ({figures['ms_per_bare_task']} + {figures['ms_per_trial_without']}): {'within' if figures['within_allowed'] else 'over'}"
    )
    return 0 if figures["each_once"] else 1


if __name__ == "__main__":
    sys.exit(main())
