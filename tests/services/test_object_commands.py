"""Commands on a ledger whose large texts are objects of an S3 server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Blob, Cycle, Run, Trial
from tests.cli.world import ATOMIC, EXTENDED, Project
from tests.ledger.test_blobs import large

from .conftest import point_to
from .object_server import Network, ObjectServer
from .postgres_server import Server, select_nothing

pytestmark = pytest.mark.services

LOOP = ("loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api")
NOISE = large(7).text.translate({ord(mark): "x" for mark in "\"\\'{}[]&<>#:%"})


def _project(folder: Path, place: str) -> Project:
    """One whose prompts are long, and whose model takes a while to answer."""
    folder.mkdir()
    made = Project(folder)
    for name, text in (("atomic.yaml", ATOMIC), ("extended.yaml", EXTENDED)):
        made.write(name, text.replace("Play a song.", f"'Play a song. {NOISE}'"))
    script = (folder / "script.yaml").read_text("utf-8")
    made.write("script.yaml", script.replace("    digest: writer-1\n", "    digest: writer-1\n    latency_ms: 200\n"))
    (folder / "own.toml").write_text(f'blobs = "{place}"\nledger_patience_s = 120\n', "utf-8")
    return made


def _environ(project: Project) -> dict[str, str]:
    return project.environ() | {"SELFOPT_CONFIG": str(project.root / "own.toml")}


def _run(project: Project, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "selfopt", *arguments],
        env=_environ(project) | environ,
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _ok(project: Project, *arguments: str, **environ: str) -> str:
    done = _run(project, *arguments, **environ)
    assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def _measured(project: Project) -> Counter[tuple[str, str, int]]:
    ledger = open_ledger(project.home / "ledger.sqlite3")
    assert [cycle.number for cycle in ledger.read(Cycle)] == [1]
    found = Counter((trial.request_id, trial.prompt_id, trial.run_index) for trial in ledger.read(Trial))
    ledger.close()
    return found


@pytest.fixture
def network(objects: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A network of this test's own before the server."""
    made = Network(objects.port)
    made.start()
    point_to(made.url, monkeypatch)
    yield made
    made.cut()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """How often each request of a whole loop is asked. Its texts are in a folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "texts").mkdir()
    project = _project(folder / "project", f"file://{folder}/texts")
    _ok(project, *LOOP)
    return sorted(_measured(project).values())


def _start_and_cut(project: Project, objects: ObjectServer, network: Network, prefix: str) -> subprocess.Popen[str]:
    """Start a loop, and cut the network once it has stored a few texts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "selfopt", *LOOP],
        env=_environ(project),
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and sum(key.startswith(prefix) for key in objects.keys("texts")) < 4:
        select_nothing()
    network.cut()
    return process


def _mend_when_missed(process: subprocess.Popen[str], network: Network) -> str:
    """Start the network again when the loop waits for it. Returns what the loop said."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if " is away (" in line:
            network.start()
    process.communicate(timeout=300)
    return said


def test_a_loop_goes_on_over_a_cut_network(
    objects: ObjectServer, network: Network, undisturbed: list[int], tmp_path: Path
) -> None:
    """The same trials as without a cut, each once, and every text verifies."""
    project = _project(tmp_path / "cut", "s3://texts/mid-run")
    process = _start_and_cut(project, objects, network, "mid-run/")
    said = _mend_when_missed(process, network)
    assert process.returncode == 0, said
    assert " is away (" in said
    assert " is back" in said
    assert sorted(_measured(project).values()) == undisturbed
    _ok(project, "audit", "verify")


def test_a_loop_whose_store_does_not_return_ends_and_goes_on_later(
    objects: ObjectServer, network: Network, undisturbed: list[int], tmp_path: Path
) -> None:
    """Exit code 1 with one line; the same command measures only what is missing."""
    project = _project(tmp_path / "gone", "s3://texts/gone")
    config = project.root / "own.toml"
    config.write_text(config.read_text("utf-8").replace("120", "1"), "utf-8")
    process = _start_and_cut(project, objects, network, "gone/")
    _, err = process.communicate(timeout=300)
    lines = [line for line in err.splitlines() if line.startswith("selfopt: ")]
    assert process.returncode == 1, err
    assert len(lines) == 1, err
    assert "s3://texts/gone did not return within 1 s" in lines[0]
    again = _run(project, *LOOP)
    assert again.returncode == 1
    assert "s3://texts/gone cannot be reached" in again.stderr
    network.start()
    _ok(project, *LOOP)
    assert sorted(_measured(project).values()) == undisturbed
    _ok(project, "audit", "verify")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_command_that_shows_texts_reads_them_there(
    objects: ObjectServer, postgres: Server, tmp_path: Path, kind: str
) -> None:
    """Show, export with content, rescore, report and audit verify; and doctor names the place."""
    place = f"s3://texts/commands-{kind}"
    project = _project(tmp_path / kind, place)
    if kind == "postgres":
        config = project.root / "own.toml"
        config.write_text(config.read_text("utf-8") + f'ledger = "{postgres.ledger()}"\n', "utf-8")
    _ok(project, *LOOP)
    assert any(key.startswith(f"commands-{kind}/") and key.endswith(".z") for key in objects.keys("texts"))
    trials = json.loads("[" + ",".join(_ok(project, "export", "trials", "--format", "jsonl", "--content").splitlines()) + "]")
    assert all(NOISE in json.dumps(trial) for trial in trials)
    trial = trials[0]
    assert NOISE in _ok(project, "show", trial["trial_id"], "--json")
    _ok(project, "rescore", trial["run_id"])
    _ok(project, "report")
    _ok(project, "audit", "verify")
    [check] = [check for check in json.loads(_run(project, "doctor", "--json").stdout) if check["name"] == "blobs"]
    assert (check["status"], check["detail"]) == ("ok", f"long prompts and replies go to {place}")
    [key] = [key for key in objects.keys("texts") if key.startswith(f"commands-{kind}/") and key.endswith(".z")][:1]
    objects.delete(f"texts/{key}")
    verified = _run(project, "audit", "verify")
    assert verified.returncode == 100
    assert key.removesuffix(".z").rpartition("/")[2] in verified.stdout + verified.stderr


def test_doctor_says_what_is_wrong(objects: ObjectServer, tmp_path: Path) -> None:
    """A bucket that is not there, one line; the exit code says that something is broken."""
    project = _project(tmp_path / "doctor", "s3://nowhere/x")
    done = _run(project, "doctor", "--json")
    [check] = [check for check in json.loads(done.stdout) if check["name"] == "blobs"]
    assert check["status"] == "FAIL"
    assert "s3://nowhere/x does not exist" in check["detail"]
    assert done.returncode == 1


def test_a_loop_begins_only_where_the_store_can_be_used(objects: ObjectServer, tmp_path: Path) -> None:
    """Before anything is asked; exit code 1."""
    project = _project(tmp_path / "begin", "s3://nowhere/x")
    done = _run(project, *LOOP)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "s3://nowhere/x does not exist" in line]
    ledger = open_ledger(project.home / "ledger.sqlite3")
    assert (list(ledger.read(Run)), list(ledger.read(Blob))) == ([], [])
    ledger.close()
