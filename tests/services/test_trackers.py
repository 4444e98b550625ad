"""Cycles and evaluations in MLflow and Weights & Biases, kept on this machine."""

from __future__ import annotations

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


def test_mlflow_keeps_each_candidate_and_evaluation_once(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a store of files; a second export adds nothing; no prompt is in it."""
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = cycled.root / "mlruns"
    done = cycled.ok("export", "mlflow", "--uri", str(folder), "--json").json()
    assert done["runs"] >= 3
    assert cycled.ok("export", "mlflow", "--uri", str(folder), "--json").json()["runs"] == 0
    client = tracking.MlflowClient(tracking_uri=folder.as_uri())
    place = client.get_experiment_by_name("selfopt").experiment_id
    runs = client.search_runs([place])
    assert len(runs) == done["runs"]
    won = [run for run in runs if run.data.tags["selfopt.kind"] == "candidate" and run.data.metrics["won"] == 1.0]
    assert [run.data.params["variant"] for run in won] == ["native_parsed"]
    assert "Oslo" not in texts_below(folder)


def test_wandb_keeps_runs_in_its_folder(cycled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, for `wandb sync`; no prompt is in them."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_DIR", str(cycled.root))
    folder = cycled.root / "kept"
    done = cycled.ok("export", "wandb", "--out", str(folder), "--model", "good", "--json").json()
    assert done["runs"] == 1
    assert len(list(folder.rglob("*.wandb"))) == 1
    assert "Oslo" not in texts_below(folder)


def test_nothing_is_sent_elsewhere_unasked(cycled: Project) -> None:
    """A server elsewhere needs its flag, before anything is loaded."""
    for uri in ("https://mlflow.example.com", "databricks", "postgresql://u@db.example.com/x", "s3://bucket/x"):
        if "://" in uri:
            cycled.run("export", "mlflow", "--uri", uri).assert_refused(2, "--allow-remote")
