"""How long the pages of a home with 100,000 requests take to open in a browser.

    python perf/ui_browser.py [--records 100000] [--json]

The records are written by the gateway's own journal, and `selfopt ui` shows them in Debian's Chromium (SELFOPT_CHROMIUM
names another one), with what `make test-browser` installs. A page is open once its rows are there. Told are the first look after the
start, while the files are still being read, and the median of the next ones. Target: the page Requests opens in less than a second.
Missing it is said, not failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from playwright.sync_api import sync_playwright

from selfopt.gateway import TrailSink
from selfopt.gateway.journal import JournalOptions, SegmentJournal
from selfopt.gateway.ticket import LiveAttempt, RequestRecord
from selfopt.verbs.opening import App

TARGET_MS = 1000.0
LOOKS = 9
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAGES = {
    "Requests": ("/ui/requests", ".requests tbody tr"),
    "Requests, filtered": ("/ui/requests?model=lab%2Fm3&outcome=failed", ".requests tbody tr"),
    "Now": ("/ui/", ".tiles"),
}
RECORD = RequestRecord(
    at="", id="", outcome="served", status=200, model="lab/m0", served="lab/m0", phase="atomic", rule="rule-0123456789abcdef", version=3,
    variant="native_api", key="key-00000000", stream=False, attempts=(LiveAttempt("lab/m0", 12.5, confidence=0.93, least=0.9),),
    latency_ms=13.1, first_byte_ms=None, input_tokens=120, output_tokens=30, reason="", cost=0.00018,
)  # fmt: skip


async def write(home: Path, count: int) -> None:
    """Write so many records of the last hours, as a gateway does."""
    async with App.open(home, environ={}, cwd=home) as app:
        app.home.ensure()
        sink = TrailSink(app.enforcer.trail)
        journal = SegmentJournal(app.home.requests, sink, "0123456789", options=JournalOptions())
        chance, begin = random.Random(1), time.time() - count / 10
        for number in range(count):
            model = f"lab/m{number % 7}"
            at = datetime.fromtimestamp(begin + number / 10, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
            outcome = "failed" if chance.random() < 0.01 else "served"
            told = {"at": at, "id": f"req-{number:024x}", "model": model, "served": model, "outcome": outcome}
            journal.add(msgspec.structs.replace(RECORD, **told, status=200 if outcome == "served" else 502))
            if number % 500 == 0:
                await asyncio.sleep(0)
        await journal.close()
        await sink.close()


def looked_ms(home: Path) -> dict[str, list[float]]:
    """Milliseconds of each look at each page, in the order of the looks."""
    program = os.environ.get("SELFOPT_CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("no browser: install Debian's package chromium, or name one with SELFOPT_CHROMIUM")
    command = [sys.executable, "-m", "selfopt", "ui", "--no-open", "--port", "0", "--json"]
    environ = {**os.environ, "SELFOPT_HOME": str(home)}
    process = subprocess.Popen(command, cwd=home, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        while not said.endswith("}\n"):
            said += process.stdout.readline()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = browser.new_page()
            page.goto(json.loads(said)["url"])
            root = page.url.partition("/ui")[0]
            times: dict[str, list[float]] = {name: [] for name in PAGES}
            for _ in range(LOOKS + 1):
                for name, (path, shown) in PAGES.items():
                    began = time.perf_counter()
                    page.goto(root + path, wait_until="load")
                    page.locator(shown).first.wait_for()
                    times[name].append((time.perf_counter() - began) * 1000)
            browser.close()
            return times
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        began = time.perf_counter()
        asyncio.run(write(home, options.records))
        written_s = time.perf_counter() - began
        times = looked_ms(home)
    found = {name: {"first_ms": looks[0], "median_ms": statistics.median(looks[1:])} for name, looks in times.items()}
    if options.json:
        print(json.dumps({"records": options.records, "written_s": written_s, "pages": found, "target_ms": TARGET_MS}))
        return
    print(f"{options.records} records, written in {written_s:.1f} s by the gateway's journal")
    for name, one in found.items():
        print(f"{name:20} {one['median_ms']:7.0f} ms, the first time {one['first_ms']:7.0f} ms")
    within = found["Requests"]["median_ms"] < TARGET_MS
    print(f"the page Requests opens {'' if within else 'NOT '}within {TARGET_MS:.0f} ms")


if __name__ == "__main__":
    main()
