"""What it costs to export a ledger to parquet, against what pyarrow takes to write the same columns.

    python perf/export.py [--trials 1000000] [--small 100000] [--keep DIR] [--json]

It builds a synthetic ledger of so many trials (with their starts and verdicts, as a real one has), then exports them in a process of
its own, which tells its time and its peak memory. Another process reads that file into Arrow's memory and writes it again with the same
settings: first from Python's values, as every program has to that reads them from a database, then from Arrow's memory, where
nothing is left to do but to pack. Each is done in turn, `--rounds` times; figures are medians. Both clocks are told: the time that
passes, which is what the target is about, and seconds of CPU, which other work of the machine changes less. The export's part
includes the loading of pyarrow, pyarrow's own part does not. Targets: reading the ledger and writing the file takes at most 3 times what
pyarrow takes to write the same values; the peak of the large export is at most 1.25 times that of the small one. Missing one is
said, not failed. Needs the extra `parquet`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfopt.records import (
    Attempt,
    Exchange,
    LoadEvidence,
    Outcome,
    Run,
    Spec,
    Trial,
    TrialStart,
    Usage,
    Variant,
    Verdict,
    new_id,
    utc_now,
)

PROMPTS = 300
TARGET, FLAT = 3.0, 1.25
HASH, REPLY, CONTENT = "0123456789abcdef" * 4, "reply-hash", "content-hash"


def build(home: Path, trials: int) -> None:
    """Write the ledger. The first run is appended as always; the others are copies of its rows under other ids."""
    from selfopt.ledger import open_ledger

    home.mkdir(parents=True, mode=0o700)
    spec = Spec(
        endpoint="local", model="local/m", phase="atomic", suite="atomic-300", suite_hash="s", variant=Variant(name="native_api")
    )
    ledger = open_ledger(home / "ledger.sqlite3")
    asyncio.run(ledger.append([spec, _run("run-x", spec)]))
    ledger.close()
    connection = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for first in range(0, trials, PROMPTS):
        run_id = new_id("run")
        rows = [("run", run_id, utc_now(), _run(run_id, spec).model_dump_json())]
        rows += [row for n in range(min(PROMPTS, trials - first)) for row in _trial(run_id, spec, n, first)]
        connection.executemany("INSERT INTO records (kind, id, at, body) VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    connection.close()


def _run(run_id: str, spec: Spec) -> Run:
    return Run(
        run_id=run_id,
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id="env-" + HASH[:24],
        requested_model=spec.model,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        split=spec.split,
        run_index=0,
        prompt_ids=tuple(f"P{n}" for n in range(PROMPTS)),
        concurrency=4,
        at=utc_now(),
    )


_MADE: dict[int, tuple[str, str, str]] = {}


def _trial(run_id: str, spec: Spec, n: int, first: int) -> Iterator[tuple[str, str, str, str]]:
    """The rows of a trial: those of a prompt are made once, and get other ids and figures."""
    if n not in _MADE:
        _MADE[n] = _templates(spec, n)
    trial_id, at, latency = new_id("trial"), utc_now(), f"{100 + (first + n) % 997}.{n % 10}"
    verdict_id, reply = Verdict.make_id(trial_id, "parser-1", "scorer-1"), os.urandom(32).hex()
    for kind, record_id, text in zip(
        ("trial_start", "trial", "verdict"), (trial_id, trial_id, verdict_id), _MADE[n], strict=True
    ):
        body = (
            text.replace(REPLY, reply)
            .replace(CONTENT, reply[::-1])
            .replace("VERDICT-ID", verdict_id)
            .replace("TRIAL-ID", trial_id)
            .replace("RUN-ID", run_id)
        )
        yield kind, record_id, at, body.replace("1970-01-01T00:00:00.000Z", at).replace("98765.5", latency)


def _templates(spec: Spec, n: int) -> tuple[str, str, str]:
    at, env = "1970-01-01T00:00:00.000Z", "env-" + HASH[:24]
    usage = Usage(input_tokens=200 + n, output_tokens=20 + n % 50)
    attempt = Attempt(
        number=1, started_at=at, request=HASH, reply=REPLY, status=200, finish_reason="stop", latency_ms=98765.5, usage=usage
    )
    trial = Trial(
        trial_id="TRIAL-ID",
        run_id="RUN-ID",
        request_id=spec.request_id,
        environment_id=env,
        prompt_id=f"P{n}",
        run_index=0,
        position=n,
        slot=n % 4,
        started_at=at,
        exchanges=(Exchange(attempts=(attempt,), content=CONTENT),),
        latency_ms=98765.5,
        usage=usage,
        load=LoadEvidence(before="loaded", loaded=False),
    )
    start = TrialStart(trial_id="TRIAL-ID", run_id="RUN-ID", prompt_id=f"P{n}", run_index=0, slot=n % 4, at=at)
    verdict = Verdict(
        verdict_id="VERDICT-ID",
        trial_id="TRIAL-ID",
        run_id="RUN-ID",
        prompt_id=f"P{n}",
        parser_hash="parser-1",
        scorer_hash="scorer-1",
        outcome=Outcome.PASS,
        needs_call=True,
        why="as expected",
    )
    return start.model_dump_json(), trial.model_dump_json(), verdict.model_dump_json()


def export(home: Path, out: Path) -> dict[str, float]:
    """Export in this process, as the command does."""
    from selfopt.verbs.exporting import TableRequest, export_table
    from selfopt.wiring.app import App

    app = App.open(home)
    clocks = _Clocks()
    with clocks:
        done = export_table(app, TableRequest("trials", out=out, replace=True), sys.stdout.write)
    app.release()
    return {
        "wall_s": clocks.wall_s,
        "cpu_s": clocks.cpu_s,
        "rows": done.rows,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def bare(source: Path, out: Path) -> dict[str, float]:
    """Write the same columns with pyarrow alone: from Arrow's memory, and from Python's values."""
    import pyarrow as arrow
    from pyarrow import parquet

    from selfopt.export.arrow import ROWS_TOGETHER, pack_options

    table, options = parquet.read_table(source), pack_options()
    arrow.array([""], arrow.string())  # what it loads for the first one is no part of writing
    packing, writing = _Clocks(), _Clocks()
    with packing:
        parquet.write_table(table, out, row_group_size=ROWS_TOGETHER, **options)
    with writing:
        writer = parquet.ParquetWriter(out, table.schema, **options)
    with writer:
        for batch in table.to_batches(max_chunksize=ROWS_TOGETHER):
            values = {field.name: batch[field.name].to_pylist() for field in table.schema}
            times = {name: [t.isoformat(timespec="milliseconds") for t in values[name]] for name in ("started_at",)}
            with writing:
                arrays = [
                    arrow.array(times[field.name], arrow.string()).cast(field.type)
                    if field.name in times
                    else arrow.array(values[field.name], field.type)
                    for field in table.schema
                ]
                writer.write_table(arrow.Table.from_arrays(arrays, schema=table.schema), row_group_size=ROWS_TOGETHER)
        with writing:
            writer.close()
    return {"packing_wall_s": packing.wall_s, "packing_cpu_s": packing.cpu_s} | {"wall_s": writing.wall_s, "cpu_s": writing.cpu_s}


class _Clocks:
    """Adds up what the blocks take that it is used for."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self._wall
        self.cpu_s += time.process_time() - self._cpu


def _apart(*arguments: str) -> dict[str, Any]:
    """Do one part in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(folder: Path, trials: int, rounds: int) -> dict[str, Any]:
    """Build, export and write bare, in turn."""
    home, out, again = folder / f"home-{trials}", folder / f"{trials}.parquet", folder / "bare.parquet"
    if not home.exists():
        build(home, trials)
    exports, bares = [], []
    for _ in range(rounds):
        exports.append(_apart("--export", str(home), str(out)))
        bares.append(_apart("--bare", str(out), str(again)))

    def median(rows: list[dict[str, Any]], name: str) -> float:
        return float(statistics.median(row[name] for row in rows))

    wall_s, cpu_s = median(exports, "wall_s"), median(exports, "cpu_s")
    bare_wall_s, bare_cpu_s = median(bares, "wall_s"), median(bares, "cpu_s")
    return {
        "trials": exports[0]["rows"],
        "ledger_mb": round((home / "ledger.sqlite3").stat().st_size / 1e6),
        "parquet_mb": round(out.stat().st_size / 1e6, 1),
        "export_wall_s": round(wall_s, 2),
        "export_cpu_s": round(cpu_s, 2),
        "pyarrow_wall_s": round(bare_wall_s, 2),
        "pyarrow_cpu_s": round(bare_cpu_s, 2),
        "packing_wall_s": round(median(bares, "packing_wall_s"), 2),
        "packing_cpu_s": round(median(bares, "packing_cpu_s"), 2),
        "times_wall": round(wall_s / bare_wall_s, 2),
        "times_cpu": round(cpu_s / bare_cpu_s, 2),
        "peak_mb": round(max(row["peak_mb"] for row in exports)),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Exporting trials to parquet against a bare write")
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="build here and keep it for the next time")
    parser.add_argument("--json", action="store_true", help="only the figures, as JSON")
    parser.add_argument("--export", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.export or options.bare:
        print(json.dumps(export(*options.export) if options.export else bare(*options.bare)))
        return 0
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        print("not run: it needs pyarrow, the extra 'parquet'")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        figures = {n: measure(folder, n, options.rounds) for n in (options.small, options.trials)}
    print(json.dumps(figures, indent=2 if options.json else None))
    small, large = figures[options.small], figures[options.trials]
    flat = large["peak_mb"] / small["peak_mb"]
    if not options.json:
        for row in figures.values():
            print(
                f"{row['trials']:,} trials: the export takes {row['export_wall_s']} s ({row['export_cpu_s']} s of CPU), pyarrow writes the"
                f" same values in {row['pyarrow_wall_s']} s ({row['pyarrow_cpu_s']}), of which packing {row['packing_wall_s']} s"
                f" ({row['packing_cpu_s']}): {row['times_wall']} times ({row['times_cpu']} times by CPU); peak {row['peak_mb']} MB"
            )
        reached = large["times_wall"] <= TARGET and flat <= FLAT
        print(f"target {TARGET} and memory within {FLAT} times: {'reached' if reached else 'NOT reached'} ({flat:.2f} times)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
