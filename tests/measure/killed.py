"""A process that supervises until it is killed; run by test_kill.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from selfopt.ledger import open_ledger
from selfopt.measure.blocks import measure_specs
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.supervisor import supervise
from selfopt.records import Variant

from .kit import Bench, FakeEndpoint, make_spec, make_suite


async def main(folder: Path, mode: str) -> None:
    """Measure; each committed trial is one line on standard output, so that the killer knows how far it is."""
    ledger = open_ledger(folder / "ledger.sqlite3")

    async def think() -> None:
        await asyncio.sleep(0.001)

    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=FakeEndpoint(before=think), slots=2)
    context = bench.context(progress=lambda event: print(event.kind, event.done, flush=True))
    if mode == "supervise":
        await supervise(make_spec(bench.suite), context=context, options=MeasureOptions(n_runs=5))
    else:
        parsed = Variant(name="native_parsed", parsers=("native", "json"))
        specs = [make_spec(bench.suite), make_spec(bench.suite, model="scripted/n"), make_spec(bench.suite, variant=parsed)]
        labels = Labels(cycle_id="cycle-1")
        await measure_specs(specs, context=context, options=MeasureOptions(n_runs=3, sampling=False, labels=labels))
    ledger.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
