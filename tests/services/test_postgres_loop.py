"""A loop whose database, or whose own process, dies in the middle: it goes on where it was, and measures nothing twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.records import Cycle, Trial
from tests.cli.world import Project

from .postgres_server import Server, make_server, select_nothing

pytestmark = pytest.mark.services

LOOP = (sys.executable, "-m", "selfopt", "loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api")


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of one test, which may kill it."""
    server = make_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _project(folder: Path) -> Project:
    """One whose model takes a while to answer, so that there is a middle to die in."""
    folder.mkdir()
    made = Project(folder)
    script = (folder / "script.yaml").read_text("utf-8")
    made.write("script.yaml", script.replace("    digest: writer-1\n", "    digest: writer-1\n    latency_ms: 400\n"))
    return made


def _start(project: Project, url: str) -> subprocess.Popen[str]:
    environ = project.environ() | {"SELFOPT_LEDGER": url}
    return subprocess.Popen(LOOP, env=environ, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for(server: Server, url: str, trials: int, process: subprocess.Popen[str]) -> None:
    database = url.rpartition("/")[2]
    while process.poll() is None:
        if server.execute(database, "SELECT count(*) FROM selfopt.record_keys WHERE kind = 'trial'")[0][0] >= trials:
            return
        select_nothing()


def _measured(url: str) -> Counter[tuple[str, str, int]]:
    ledger = open_postgres_ledger(url)
    assert [cycle.number for cycle in ledger.read(Cycle)] == [1]
    found = Counter((trial.request_id, trial.prompt_id, trial.run_index) for trial in ledger.read(Trial))
    ledger.close()
    return found


def test_a_loop_goes_on_over_a_crash_of_the_database(mortal: Server, tmp_path: Path) -> None:
    """The same trials as without a crash, each once; the audit trail verifies."""
    undisturbed = mortal.ledger()
    process = _start(_project(tmp_path / "whole"), undisturbed)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    project, url = _project(tmp_path / "crash"), mortal.ledger()
    process = _start(project, url)
    _wait_for(mortal, url, 4, process)
    mortal.kill()
    mortal.start()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert sorted(_measured(url).values()) == sorted(_measured(undisturbed).values())
    verified = subprocess.run(
        [sys.executable, "-m", "selfopt", "audit", "verify"],
        env=project.environ() | {"SELFOPT_LEDGER": url},
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout


def test_a_killed_loop_is_continued_from_another_home(mortal: Server, tmp_path: Path) -> None:
    """Its lock dies with its session; the second machine repeats no finished trial."""
    one, other = _project(tmp_path / "one"), _project(tmp_path / "other")
    url = mortal.ledger()
    process = _start(one, url)
    _wait_for(mortal, url, 4, process)
    process.send_signal(signal.SIGSTOP)  # it keeps its session, and does not come to its end meanwhile
    assert process.poll() is None, "the loop was over before it could be stopped"
    second = _start(other, url)
    _, err = second.communicate(timeout=300)
    assert (second.returncode, "is held by" in err) == (1, True), err
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    database = url.rpartition("/")[2]
    done = mortal.execute(database, "SELECT id FROM selfopt.record_keys WHERE kind = 'trial' ORDER BY seq")
    while mortal.execute(database, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
        select_nothing()
    second = _start(other, url)
    _, err = second.communicate(timeout=300)
    assert second.returncode == 0, err
    kept = mortal.execute(database, "SELECT id FROM selfopt.record_keys WHERE kind = 'trial' ORDER BY seq")
    assert kept[: len(done)] == done
    assert len(kept) == len(set(kept))
    whole = mortal.ledger()
    process = _start(_project(tmp_path / "whole"), whole)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert sorted(_measured(url).values()) == sorted(_measured(whole).values())
