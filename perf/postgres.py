"""What a ledger in PostgreSQL carries, and how fast a change of rules reaches many gateways.

    python perf/postgres.py [--askers 64] [--trials 1000000] [--gateways 20] [--changes 10] [--only append,report,rules] [--json]

It starts a PostgreSQL server of its own, which syncs to the disk of TMPDIR as a real one does.

append: one asker that waits for its own commit each time, beside so many askers at once, in turns; each appends a trial with its
request, its reply, its start and its verdict. Target: at least 10 times the rate.
report: so many trials with their verdicts are appended in runs of 2,000, a cycle of the loop follows on the scripted endpoint, and its
reports are written once more, as the loop does after a cycle.
Target: within 3 seconds.
rules: so many gateways, real processes with homes of their own; one of them changes the rules. The time runs from the answer of the
database to the last gateway that has the version in its rules, as its metrics say. Target: within a second, and every trail verifies.
Missing a target is said, not failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.cli.world import Project  # noqa: E402
from tests.ledger import samples  # noqa: E402
from tests.services.gateways import Node, gateways  # noqa: E402
from tests.services.postgres_server import Server, make_server  # noqa: E402

from selfopt.ledger.postgres import PostgresLedger, open_postgres_ledger  # noqa: E402
from selfopt.records import Blob  # noqa: E402
from selfopt.routing import Enforcer  # noqa: E402
from selfopt.verbs.opening import App  # noqa: E402
from selfopt.verbs.reporting import write_artefacts  # noqa: E402

ROUNDS = 5
TOGETHER = 2000
TIMES, REPORT_S, CHANGE_S = 10.0, 3.0, 1.0


def _of(name: str) -> list[Any]:
    texts = [Blob.of(f"{name} {what} {'words ' * 60}") for what in ("request", "reply")]
    return [*texts, samples.start(name), samples.trial(name), samples.verdict(name)]


async def _rate(ledger: PostgresLedger, askers: int, each: int, mark: str) -> float:
    made = [[_of(f"trial-{mark}-{number}-{n}") for n in range(each)] for number in range(askers)]

    async def ask(number: int) -> None:
        for trial in made[number]:
            await ledger.append(trial)

    began = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(askers)))
    return askers * each / (time.perf_counter() - began)


def measure_appends(server: Server, askers: int) -> dict[str, Any]:
    """Trials a second of one asker and of many, the median of rounds that take turns."""
    ledger = open_postgres_ledger(server.ledger())
    one, many = [], []
    for round_ in range(ROUNDS):
        one.append(asyncio.run(_rate(ledger, 1, 150, f"one-{round_}")))
        many.append(asyncio.run(_rate(ledger, askers, 40, f"many-{round_}")))
    ledger.close()
    found = {"one_per_s": statistics.median(one), "many_per_s": statistics.median(many), "askers": askers}
    found["times"] = found["many_per_s"] / found["one_per_s"]
    return found | {"met": found["times"] >= TIMES}


def measure_report(server: Server, trials: int) -> dict[str, Any]:
    """Seconds to fill the ledger, and to write the last cycle's reports."""
    folder = Path(tempfile.mkdtemp())
    url = server.ledger()
    ledger = open_postgres_ledger(url)
    began = time.perf_counter()

    async def fill() -> None:
        for start in range(0, trials, TOGETHER):
            names = [f"trial-{n}" for n in range(start, min(start + TOGETHER, trials))]
            await ledger.append(
                [r for name in names for r in (samples.trial(name, f"run-{start}"), samples.verdict(name, f"run-{start}"))]
            )

    asyncio.run(fill())
    filled_s = time.perf_counter() - began
    ledger.close()
    project = Project(folder)
    environ = project.environ() | {"SELFOPT_LEDGER": url}
    loop = [sys.executable, "-m", "selfopt", "loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api"]
    subprocess.run(loop, env=environ, cwd=folder, check=True, capture_output=True)
    app = App.open(environ=environ, cwd=folder)
    began = time.perf_counter()
    written = write_artefacts(app)
    report_s = time.perf_counter() - began
    app.release()
    shutil.rmtree(folder)
    return {"trials": trials, "fill_s": filled_s, "report_s": report_s, "files": len(written), "met": report_s <= REPORT_S}


def _version(node: Node) -> int:
    with urllib.request.urlopen(node.base_url.removesuffix("/v1") + "/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return int(float(next(line.split()[-1] for line in lines if line.startswith("selfopt_rules_version"))))


def _seen(node: Node, version: int) -> float:
    until = time.perf_counter() + 30
    while time.perf_counter() < until:
        if _version(node) >= version:
            return time.perf_counter()
        time.sleep(0.02)
    return float("inf")


def measure_rules(server: Server, count: int, changes: int) -> dict[str, Any]:
    """Seconds from a change until every gateway has it, for several changes, and whether the trails verify."""
    root = Path(tempfile.mkdtemp())
    url, took = server.ledger(), list[float]()
    try:
        with gateways(root, url, count) as nodes, ThreadPoolExecutor(count) as pool:
            home = nodes[0].home
            app = App.open(home, environ={"SELFOPT_CONFIG": str(root / "node0" / "user.toml")}, cwd=root)
            for change in range(1, changes + 1):
                fallback = f"scripted/{('other', 'one')[change % 2]}-{change}"
                app.enforcer.set_rule("scripted/asked", "atomic", allow=False, fallback=fallback)
                began = time.perf_counter()
                took.append(max(pool.map(lambda node: _seen(node, change), nodes)) - began)  # noqa: B023  used within the loop
            app.release()
        verified = all(Enforcer(App.open(node.home, environ={}, cwd=root).home).verify().ok for node in nodes)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    told = {
        "gateways": count,
        "changes": changes,
        "median_s": statistics.median(took),
        "longest_s": max(took),
        "verified": verified,
    }
    return told | {"met": max(took) <= CHANGE_S and verified}


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--askers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--gateways", type=int, default=20)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--only", default="append,report,rules")
    parser.add_argument("--json", action="store_true", dest="as_json")
    asked = parser.parse_args()
    parts: dict[str, Callable[[Server], dict[str, Any]]] = {
        "append": lambda server: measure_appends(server, asked.askers),
        "report": lambda server: measure_report(server, asked.trials),
        "rules": lambda server: measure_rules(server, asked.gateways, asked.changes),
    }
    server = make_server(durable=True)
    try:
        found = {name: parts[name](server) for name in asked.only.split(",")}
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    if asked.as_json:
        print(json.dumps(found))
        return
    for name, figures in found.items():
        told = ", ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items())
        print(f"{name}: {told}")


if __name__ == "__main__":
    main()
