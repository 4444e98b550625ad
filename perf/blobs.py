"""What it costs to keep large texts as objects of a store that takes 20 ms for each, and from which size that pays.

    python perf/blobs.py [--latency-ms 20] [--askers 64] [--trials 640] [--json]

The store is scripted: each call waits that long and keeps the object in memory. The ledger is a file on the disk of TMPDIR. Each trial
has a request and a reply of the same packed size, which differ in every trial. For each size, texts inside the ledger and outside take
turns: trials a second of one asker and of many, texts a second that are read back in one go, and bytes of the ledger for each trial.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from base64 import b85encode
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.ledger import samples  # noqa: E402

from selfopt.ledger import InsideBlobs, ObjectBlobs, SqliteLedger, objects, open_ledger  # noqa: E402
from selfopt.records import Blob  # noqa: E402

SIZES = (1, 2, 4, 8, 16, 64, 256)  # KiB, packed


class _Slow:
    """A store that takes the same time for each call."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._objects: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        time.sleep(self._latency_s)
        self._objects[name] = data

    def get(self, name: str, most: int) -> bytes:
        time.sleep(self._latency_s)
        return self._objects[name][:most]

    def is_passing(self, error: Exception) -> bool:
        return False


def _made(seed: int, kib: int, trials: int) -> list[list[Any]]:
    random = Random(seed)
    found = []
    for n in range(trials):
        texts = [Blob.of(b85encode(random.randbytes(kib * 1024)).decode()) for _ in range(2)]
        name = f"trial-{seed}-{n}"
        found.append([*texts, samples.start(name), samples.trial(name), samples.verdict(name)])
    return found


async def _rate(ledger: SqliteLedger, made: list[list[Any]], askers: int) -> float:
    left = iter(made)

    async def ask() -> None:
        for trial in left:
            await ledger.append(trial)

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(askers)))
    return len(made) / (time.perf_counter() - began)


def measure(kib: int, outside: bool, trials: int, askers: int) -> dict[str, Any]:
    """The figures of one size."""
    with tempfile.TemporaryDirectory() as folder:
        blobs = ObjectBlobs("s3://bucket/texts", inside_below=0) if outside else InsideBlobs()
        ledger = open_ledger(Path(folder) / "ledger.sqlite3", blobs=blobs)
        one = asyncio.run(_rate(ledger, _made(kib, kib, trials // 8), 1))
        many = asyncio.run(_rate(ledger, _made(kib + 1000, kib, trials), askers))
        began = time.perf_counter()
        n = sum(1 for _ in ledger.read(Blob))
        read = n / (time.perf_counter() - began)
        ledger.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / (trials + trials // 8)
    return {"kib": kib, "outside": outside, "one_per_s": one, "many_per_s": many, "read_per_s": read, "ledger_bytes": size}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--askers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=640)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    store = _Slow(asked.latency_ms / 1000)
    objects.open_objects = lambda place: store  # type: ignore[assignment]
    found = [measure(kib, outside, asked.trials, asked.askers) for kib in SIZES for outside in (False, True)]
    if asked.json:
        print(json.dumps(found))
        return 0
    print(f"{'KiB':>4} {'texts':8} {'one asker':>10} {f'{asked.askers} askers':>10} {'read':>8} {'ledger KiB a trial':>19}")
    for row in found:
        where = "outside" if row["outside"] else "inside"
        figures = (
            f"{row['one_per_s']:10,.0f} {row['many_per_s']:10,.0f} {row['read_per_s']:8,.0f} {row['ledger_bytes'] / 1024:19,.1f}"
        )
        print(f"{row['kib']:>4} {where:8} {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
