"""Is the engine kept busy? Trials a minute of `compare`, against a bare replay of the same requests straight at the engine.

Run with `make perf` or `python perf/engine_busy.py [--model local/smollm2-135m] [--variant restrained] [--suite atomic] [--rounds 3]`.
The model has to be pulled (`selfopt models pull`). Both sides ask the same engine in one process: the comparison, then its stored
requests again, byte for byte and in the same order, by an aiohttp client that does nothing else. An untimed comparison comes first,
so that both find the same prompt cache. Prints one JSON object and a readable line. Target: at least 0.9; missing it is said, not failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from selfopt.records import Blob, Trial
from selfopt.verbs.comparing import CompareRequest, compare_models
from selfopt.wiring.app import App
from selfopt.wiring.sending import Sending

TARGET = 0.9


@dataclass(slots=True)
class Rates:
    """Trials a minute, a value for each round."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


async def requests_of(app: App, run_ids: tuple[str, ...]) -> list[list[bytes]]:
    """The exact requests of each trial, in the order in which they were made."""
    found = []
    for run_id in run_ids:
        for trial in sorted(app.ledger.read(Trial, {"run_id": run_id}), key=lambda t: (t.started_at, t.position)):
            blobs = [next(app.ledger.read(Blob, {"id": e.attempts[-1].request}, limit=1)) for e in trial.exchanges]
            found.append([blob.text.encode() for blob in blobs])
    return found


async def replay(url: str, key: str, trials: list[list[bytes]]) -> float:
    """Seconds that a bare client takes for them, one after the other."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    # As the runner does with llama.cpp, which closes connections unannounced.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        began = time.perf_counter()
        for bodies in trials:
            for body in bodies:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    answer.raise_for_status()
        return time.perf_counter() - began


async def measure(home: Path, options: argparse.Namespace) -> Rates:
    """Comparisons and replays in turn."""
    rates = Rates()
    async with App.open(home) as app:
        request = CompareRequest(models=(options.model,), suites=(options.suite,), variants=(options.variant,), fresh=True)
        await compare_models(app, request)
        endpoint = app.sender.endpoint(options.model, asked=options.model)
        if not isinstance(endpoint, Sending) or not endpoint.is_embedded:
            sys.exit(f"{options.model} is not served by the embedded engine; name a local/ model")
        config = await endpoint.config()
        key = config.api_key.get_secret_value() if config.api_key is not None else ""
        for _ in range(options.rounds):
            began = time.perf_counter()
            found = await compare_models(app, request)
            rates.ours.append(60 * found.prompts / (time.perf_counter() - began))
            trials = await requests_of(app, found.rows[0].run_ids)
            rates.bare.append(60 * len(trials) / await replay(f"{config.base_url}/chat/completions", key, trials))
    return rates


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Trials a minute of compare against a bare replay of the same requests")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--variant", default="restrained")
    parser.add_argument("--suite", default="atomic")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
        rates = asyncio.run(measure(Path(folder) / "home", options))
    ratio = statistics.median(ours / bare for ours, bare in zip(rates.ours, rates.bare, strict=True))
    figures = {
        "model": options.model,
        "variant": options.variant,
        "suite": options.suite,
        "rounds": options.rounds,
        "trials_per_minute": round(statistics.median(rates.ours), 1),
        "bare_replay_per_minute": round(statistics.median(rates.bare), 1),
        "ratio": round(ratio, 3),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "target": TARGET,
        "within_target": ratio >= TARGET,
    }
    print(json.dumps(figures))
    verdict = "within target" if figures["within_target"] else "below target"
    print(f"compare makes {ratio:.1%} of the trials a minute of a bare replay, target {TARGET:.0%}: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
