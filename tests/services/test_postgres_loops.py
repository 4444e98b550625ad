"""Several loops under one ledger at once: each on its own model, each with its own cycle, and never two on the same."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.records import Cycle, CycleAbandoned, CycleStart, Trial
from tests.cli.world import Project

from .postgres_server import Server, make_server, select_nothing

pytestmark = pytest.mark.services

MODELS = ("writer", "second", "third")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of these tests, whose sessions they end."""
    made = make_server()
    yield made
    made.stop()
    shutil.rmtree(made.folder, ignore_errors=True)


def node(folder: Path, latency_ms: int = 500) -> Project:
    """A machine with a home of its own. Its models take a while to answer, so that there is a middle."""
    folder.mkdir()
    made = Project(folder)
    script = (folder / "script.yaml").read_text("utf-8")
    start = script.index("  writer:\n")
    writer = script[start : script.index("  cold:\n")].replace(
        "digest: writer-1\n", f"digest: writer-1\n    latency_ms: {latency_ms}\n"
    )
    others = [writer.replace("writer:", f"{name}:", 1).replace("writer-1", f"{name}-1") for name in MODELS[1:]]
    made.write("script.yaml", script.replace(script[start : script.index("  cold:\n")], writer + "".join(others)))
    return made


def start(project: Project, url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a command."""
    environ = project.environ() | {"SELFOPT_LEDGER": url}
    command = [sys.executable, "-m", "selfopt", *arguments]
    return subprocess.Popen(command, env=environ, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def loop(project: Project, url: str, model: str) -> subprocess.Popen[str]:
    """Start a loop on one model."""
    return start(project, url, "loop", "--cycles", "1", "--baseline", f"scripted/{model} atomic native_api")


def finished(process: subprocess.Popen[str]) -> str:
    """What a process said that has ended well."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out


def trials(server: Server, url: str) -> list[str]:
    """The ids of all trials, in order."""
    database = url.rpartition("/")[2]
    return [name for (name,) in server.execute(database, "SELECT id FROM selfopt.record_keys WHERE kind = 'trial' ORDER BY seq")]


def wait_for(server: Server, url: str, model: str, least: int, process: subprocess.Popen[str]) -> None:
    """Wait until so many trials of a model were begun."""
    database = url.rpartition("/")[2]
    text = (
        "SELECT count(*) FROM selfopt.records t JOIN selfopt.record_index r ON r.kind = 'run' AND r.field = 'model'"
        f" AND r.value = 's{'scripted/' + model}' JOIN selfopt.records q ON q.seq = r.seq AND q.at = r.at"
        " WHERE t.kind = 'trial' AND t.body::json->>'run_id' = q.id"
    )
    while server.execute(database, text)[0][0] < least:
        assert process.poll() is None, process.communicate()[1]
        select_nothing()


def verify(project: Project, url: str) -> None:
    """The audit trail and the ledger verify."""
    told = json.loads(finished(start(project, url, "audit", "verify", "--json")))
    assert told["ok"], told


def test_three_loops_work_at_once_and_one_is_continued_elsewhere(server: Server, tmp_path: Path) -> None:
    """Killed, cut off, undisturbed: each finishes its own cycle, with the trials of an undisturbed one, each once."""
    url = server.ledger()
    projects = [node(tmp_path / name) for name in MODELS]
    running = [loop(project, url, name) for project, name in zip(projects, MODELS, strict=True)]
    for process, name in zip(running, MODELS, strict=True):
        wait_for(server, url, name, 2, process)
        process.send_signal(signal.SIGSTOP)  # it keeps its session, and does not come to its end meanwhile
    doctor = json.loads(finished(start(projects[0], url, "doctor", "--json")))
    held = [check["detail"] for check in doctor if check["name"].startswith("held")]
    assert [name for name in MODELS if any(f"scripted/{name} is held by" in told for told in held)] == list(MODELS)
    elsewhere = node(tmp_path / "elsewhere")
    refused = loop(elsewhere, url, "writer")
    _, err = refused.communicate(timeout=100)
    told = f"model scripted/writer is held by process {running[0].pid} on "
    assert (refused.returncode, told in err, '("loop", since' in err) == (1, True, True), err
    running[0].kill()
    running[0].communicate()
    database = url.rpartition("/")[2]
    server.execute(
        "postgres",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        f" AND application_name LIKE '% {running[1].pid}'",
    )
    before = trials(server, url)
    for process in running[1:]:
        process.send_signal(signal.SIGCONT)
    ledger = open_postgres_ledger(url)
    while any(holder.name == "model scripted/writer" for holder in ledger.holders()):
        select_nothing()  # until the server notices
    for process in (loop(elsewhere, url, "writer"), *running[1:]):
        finished(process)
    after = trials(server, url)
    assert after[: len(before)] == before
    assert sorted(cycle.number for cycle in ledger.read(Cycle)) == [1, 2, 3]
    assert len(list(ledger.read(CycleStart))) == 3
    assert list(ledger.read(CycleAbandoned)) == []
    made = Counter((trial.request_id, trial.prompt_id, trial.run_index) for trial in ledger.read(Trial))
    assert ledger.holders() == ()
    ledger.close()
    whole = server.ledger()
    finished(loop(node(tmp_path / "whole", 1), whole, "writer"))
    assert sum(made.values()) == 3 * len(trials(server, whole))
    for project in (*projects[1:], elsewhere):
        verify(project, url)
    rules = server.execute(database, "SELECT body FROM selfopt.rule_versions ORDER BY version DESC LIMIT 1")[0][0]
    assert {rule["model"] for rule in json.loads(rules)["rules"]} == {f"scripted/{name}" for name in MODELS}
