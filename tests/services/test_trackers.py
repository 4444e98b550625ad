"""Cycles and evaluations in MLflow and Weights & Biases, kept on this machine."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]
pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def cycled(project: Project) -> Project:
    """One cycle of the loop, and a model of its own beside it."""
    project.write("c.yaml", "- variant: native_parsed\n")
    project.ok("loop", "--baseline", "scripted/writer atomic native_api", "--candidates", "c.yaml", "--cycles", "1")
    project.ok("run", "good", "atomic")
    return project


def texts_below(folder: Path) -> str:
    """Everything that was written, as text."""
    return "\n".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def records_of(path: Path) -> Iterator[bytes]:
    """The records of a file of Weights & Biases: a head of 7 bytes, then pieces as LevelDB logs them, in blocks of 32 KiB."""
    data, at, begun = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
            continue
        length, sort = struct.unpack_from("<HB", data, at + 4)
        begun += data[at + 7 : at + 7 + length]
        at += 7 + length
        if sort in (1, 4):
            yield begun
            begun = b""


def read_back(path: Path) -> set[str]:
    """The names of the figures of a run, and the texts of its configuration."""
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    found: set[str] = set()
    for data in records_of(path):
        record = proto.Record()
        record.ParseFromString(data)
        found |= {item.key or "/".join(item.nested_key) for item in record.summary.update}
        for update in (record.run.config.update, record.config.update):
            found |= {json.loads(item.value_json) for item in update if item.value_json.startswith('"')}
    return found


def test_mlflow_keeps_each_candidate_and_evaluation_once(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a database; a second export adds nothing; no prompt is in it; nobody else is told."""
    tracking = pytest.importorskip("mlflow.tracking")
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    uri = f"sqlite:///{cycled.root / 'ml.db'}"
    done = cycled.ok("export", "mlflow", "--uri", uri, "--json").json()
    assert done["runs"] >= 3
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert cycled.ok("export", "mlflow", "--uri", uri, "--json").json()["runs"] == 0
    client = tracking.MlflowClient(tracking_uri=uri)
    place = client.get_experiment_by_name("selfopt").experiment_id
    runs = client.search_runs([place])
    assert len(runs) == done["runs"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    won = [run for run in runs if run.data.tags["selfopt.kind"] == "candidate" and run.data.metrics["won"] == 1.0]
    assert [run.data.params["variant"] for run in won] == ["native_parsed"]
    assert all(run.info.run_name for run in runs)
    assert b"Oslo" not in (cycled.root / "ml.db").read_bytes()


def test_mlflow_in_a_folder_is_one_line_unless_it_is_allowed(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow gave folders up; a user who has one says so."""
    pytest.importorskip("mlflow.tracking")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    folder = cycled.root / "mlruns"
    cycled.run("export", "mlflow", "--uri", str(folder)).assert_refused(1, "sqlite:///", "MLFLOW_ALLOW_FILE_STORE=true")
    assert not folder.exists()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert cycled.ok("export", "mlflow", "--uri", str(folder), "--json").json()["runs"] >= 3
    assert "Oslo" not in texts_below(folder)


def test_mlflow_says_what_is_away(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package for databases, and a server; each in one line."""
    pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    cycled.run("export", "mlflow", "--uri", "http://127.0.0.1:9").assert_refused(1, "127.0.0.1:9", "check --uri")
    monkeypatch.setattr("selfopt.export.trackers.find_spec", lambda name: None)
    cycled.run("export", "mlflow", "--uri", "sqlite:///x.db").assert_refused(2, "pip install mlflow")


def test_wandb_keeps_runs_in_its_folder(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, for `wandb sync`; no prompt is in them."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_DIR", str(cycled.root))
    folder = cycled.root / "kept"
    words = ("export", "wandb", "--out", str(folder), "--model", "good", "--json")
    # In a process of its own: its files are whole once that has ended.
    done = subprocess.run([sys.executable, "-m", "selfopt", *words], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["runs"] == 1
    (kept,) = folder.rglob("*.wandb")
    assert {"accuracy", "p95_ms", "scripted/good"} <= read_back(kept)
    assert not list(folder.rglob("requirements.txt"))
    assert "Oslo" not in texts_below(folder)


def test_nothing_is_sent_elsewhere_unasked(cycled: Project) -> None:
    """A server elsewhere needs its flag, before anything is loaded."""
    for uri in ("https://mlflow.example.com", "databricks", "postgresql://u@db.example.com/x", "s3://bucket/x"):
        if "://" in uri:
            cycled.run("export", "mlflow", "--uri", uri).assert_refused(2, "--allow-remote")
