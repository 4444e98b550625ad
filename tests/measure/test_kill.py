"""kill -9 at random points: no committed trial is lost or repeated."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Evaluation, Trial, TrialAbandoned

from .test_supervisor import no_loose_ends, passes_of

ROOT = Path(__file__).parents[2]


def start(folder: Path, mode: str) -> subprocess.Popen[str]:
    """The measuring process."""
    command = [sys.executable, "-m", "tests.measure.killed", str(folder), mode]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill_after_lines(process: subprocess.Popen[str], lines: int) -> bool:
    """SIGKILL after so many events; False when it had ended before."""
    assert process.stdout is not None
    for _ in range(lines):
        if not process.stdout.readline():
            break
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("mode", ["supervise", "blocks"])
def test_no_committed_trial_is_lost_or_repeated_by_kills(tmp_path: Path, mode: str) -> None:
    """Kill again and again, then let it finish: every prompt of every pass has exactly one trial."""
    rng = random.Random(f"kills {mode}")
    committed: set[str] = set()
    kills = 0
    for _ in range(6):
        process = start(tmp_path, mode)
        kills += kill_after_lines(process, rng.randint(1, 9))
        ledger = open_ledger(tmp_path / "ledger.sqlite3")
        now = {t.trial_id for t in ledger.read(Trial)}
        assert committed <= now
        committed = now
        ledger.close()
    assert kills >= 4
    process = start(tmp_path, mode)
    assert process.stdout is not None
    process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    assert committed <= {t.trial_id for t in ledger.read(Trial)}
    passes = passes_of(ledger)
    assert set(passes.values()) == {1}
    assert len(passes) == (30 if mode == "supervise" else 36)
    assert len(list(ledger.read(TrialAbandoned))) <= 2 * kills, "at most one per slot and kill"
    evaluations = list(ledger.read(Evaluation))
    assert [e.n_runs for e in evaluations] == ([5] if mode == "supervise" else [3, 3, 3])
    no_loose_ends(ledger)
    ledger.close()
