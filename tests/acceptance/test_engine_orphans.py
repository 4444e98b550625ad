"""SIGKILL of a command that runs a real model: no engine is left behind, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from selfopt.engine.store import ModelStore
from selfopt.ledger import open_ledger
from selfopt.records import Cycle, Trial
from tests.loop.kit import trials_per_slot

MODEL = "local/smollm2-135m"
COMMAND = ("loop", "--baseline", MODEL, "atomic", "native_api", "--max-candidates", "0")
GONE_WITHIN_S = 5.0

pytestmark = pytest.mark.model


def start(home: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The command in a home of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "selfopt", "--home", str(home), *COMMAND],
        cwd=home.parent,
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def committed(home: Path) -> set[str]:
    """Trials that are durable now."""
    path = home / "ledger.sqlite3"
    if not path.exists():
        return set()
    ledger = open_ledger(path)
    try:
        return {trial.trial_id for trial in ledger.read(Trial)}
    finally:
        ledger.close()


def wait_for_trials(process: subprocess.Popen[bytes], home: Path, count: int, seconds: float = 180.0) -> set[str]:
    """Until so many trials are committed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended with {process.returncode} before it was killed"
        found = committed(home)
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {count} trials within {seconds:.0f} s")


def test_no_engine_survives_its_command_and_the_command_goes_on(tmp_path: Path) -> None:
    """Killed twice in mid-measurement; every descendant is gone within five seconds, and no trial is lost or repeated."""
    if ModelStore.default(os.environ).path_of(MODEL) is None:
        pytest.skip(f"{MODEL} is not pulled; run: selfopt models pull {MODEL}")
    home = tmp_path / "home"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SELFOPT_") or k == "SELFOPT_CACHE"}
    seen: set[str] = set()
    for count in (2, 6):
        process = start(home, environ)
        seen |= wait_for_trials(process, home, count)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family, "the engine runs in a process of its own"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        _, alive = psutil.wait_procs(family, timeout=GONE_WITHIN_S)
        assert not alive, f"left behind: {alive}"
    process = start(home, environ)
    assert process.wait(300) == 0
    assert seen <= committed(home)
    ledger = open_ledger(home / "ledger.sqlite3")
    assert set(trials_per_slot(ledger).values()) == {1}
    assert [c.number for c in ledger.read(Cycle)] == [1]
    ledger.close()
