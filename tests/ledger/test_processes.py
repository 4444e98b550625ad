"""Several processes at one ledger file, and processes that are killed while they append."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfopt.errors import StoreError
from selfopt.ledger import open_ledger
from selfopt.records import Blob, Trial, TrialStart, Verdict
from tests.ledger import samples

WRITER = """
import asyncio
import sys
from pathlib import Path
from selfopt.ledger import open_ledger
from selfopt.records import Blob
from tests.ledger import samples

path, name, count, askers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ledger = open_ledger(path)
print("open", flush=True)

async def ask(asker):
    for n in range(asker, count, askers):
        trial_id = f"{name}-{n}"
        await ledger.append([Blob.of(f"{trial_id} reply " * 40), samples.start(trial_id), samples.trial(trial_id), samples.verdict(trial_id)])
        print(trial_id, flush=True)

async def main():
    await asyncio.gather(*map(ask, range(askers)))

asyncio.run(main())
"""
ROOT = Path(__file__).parents[2]


def _writer(path: Path, name: str, count: int, askers: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count), str(askers)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def _check_whole(path: Path) -> list[str]:
    """The committed trials, each with its start, verdict and reply."""
    ledger = open_ledger(path)
    trials = [t.trial_id for t in ledger.read(Trial)]
    assert [s.trial_id for s in ledger.read(TrialStart)] == trials
    assert [v.trial_id for v in ledger.read(Verdict)] == trials
    assert {b.blob_hash for b in ledger.read(Blob)} == {Blob.of(f"{t} reply " * 40).blob_hash for t in trials}
    assert ledger.check() == []
    ledger.close()
    return trials


@pytest.mark.parametrize("askers", [1, 8])
def test_killed_writers_lose_no_committed_append_and_leave_none_in_half(tmp_path: Path, askers: int) -> None:
    """SIGKILL at random moments, again and again on the same file: everything that was acknowledged is there, at most the
    append in flight of each asker beside it, whole."""
    path = tmp_path / "ledger.sqlite3"
    chance = random.Random(7)
    acknowledged: list[str] = []
    for turn in range(6):
        process = _writer(path, f"w{turn}", 100_000, askers)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        until = time.monotonic() + chance.uniform(0.0, 0.25)
        lines = []
        while time.monotonic() < until:
            lines.append(process.stdout.readline())
        process.kill()
        # A line may be cut: only whole ones are an acknowledgement.
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]
        kept = _check_whole(path)
        assert set(acknowledged) <= set(kept)
        assert len(kept) - len(acknowledged) <= (turn + 1) * askers
    assert len(acknowledged) > 20


def test_a_writer_killed_while_it_makes_the_file_leaves_one_that_opens(tmp_path: Path) -> None:
    """SIGKILL during the very first opening, at several moments."""
    for turn, delay_s in enumerate((0.2, 0.3, 0.4)):
        path = tmp_path / f"ledger-{turn}.sqlite3"
        process = _writer(path, "w", 3)
        assert process.stdout is not None
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        process.stdout.close()
        assert len(_check_whole(path)) <= 3


def test_writers_and_a_reader_share_the_file(tmp_path: Path) -> None:
    """Three processes make the file and append at once; a reader sees only whole appends, and all of them in the end."""
    path = tmp_path / "ledger.sqlite3"
    writers = [_writer(path, name, 40) for name in ("a", "b", "c")]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    ledger = open_ledger(path)
    while any(process.poll() is None for process in writers):
        verdicts = [v.trial_id for v in ledger.read(Verdict)]
        trials = [t.trial_id for t in ledger.read(Trial)]
        assert trials[: len(verdicts)] == verdicts
    ledger.close()
    for process in writers:
        assert process.wait() == 0
        assert process.stdout is not None
        process.stdout.close()
    kept = _check_whole(path)
    assert sorted(kept) == sorted(f"{name}-{n}" for name in "abc" for n in range(40))
    for name in "abc":
        assert [t for t in kept if t.startswith(name)] == [f"{name}-{n}" for n in range(40)]


def test_another_process_that_writes_for_too_long_is_told(tmp_path: Path) -> None:
    """The wait is bounded, and the message says what is the matter."""
    path = tmp_path / "ledger.sqlite3"
    holder = open_ledger(path)
    waiting = open_ledger(path, busy_timeout_s=0.05)

    def meanwhile(_: sqlite3.Connection) -> None:
        with pytest.raises(StoreError, match="another process is writing for too long"):
            samples.put(waiting, [samples.trial()])

    holder._write(meanwhile)
    samples.put(waiting, [samples.trial()])
    assert list(holder.read(Trial)) == [samples.trial()]
    waiting.close()
    holder.close()
