"""Cycles and evaluations for trackers of experiments: figures and names, never a prompt or a reply."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfopt.errors import StoreError, UsageError
from selfopt.records import Cycle, Evaluation

from .missing import required

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_MLFLOW_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would tell its makers of each run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is away is told of in seconds, not in minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_METRICS = ("accuracy", "call_accuracy", "restraint", "capability", "variance", "p50_ms", "p95_ms", "first_call_ms")


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker keeps of one evaluation or of one candidate of a cycle.

    Attributes:
        key: the same for the same facts, so that nothing is sent twice.
        at: RFC 3339.
    """

    key: str
    name: str
    kind: str
    at: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def at_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(datetime.fromisoformat(self.at).timestamp() * 1000)


def tracked_evaluation(evaluation: Evaluation) -> TrackedRun:
    """Returns what is kept of an evaluation: what a comparison shows of it."""
    figures = {name: evaluation.metrics.figure(name) for name in _METRICS}  # type: ignore[arg-type]
    names = ("model", "phase", "suite", "split", "variant", "determinism", "spec_id", "environment_id")
    tokens = {"input_tokens": evaluation.metrics.input_tokens, "output_tokens": evaluation.metrics.output_tokens}
    return TrackedRun(
        key=evaluation.evaluation_id,
        name=f"{evaluation.model} {evaluation.phase} {evaluation.variant}",
        kind="evaluation",
        at=evaluation.at,
        params={name: str(getattr(evaluation, name)) for name in names} | {"n_runs": str(evaluation.n_runs)},
        metrics={
            name: float(value) for name, value in {**figures, **tokens, "n": evaluation.metrics.n}.items() if value is not None
        },
        tags={"cycle_id": evaluation.cycle_id} if evaluation.cycle_id is not None else {},
    )


def tracked_cycle(cycle: Cycle) -> Iterable[TrackedRun]:
    """Yields what is kept of a cycle: a run for each candidate of each model and phase."""
    for target in cycle.targets:
        for candidate in target.candidates:
            figures = {
                "baseline_accuracy": target.baseline_accuracy,
                "accuracy": candidate.accuracy,
                "call_accuracy": candidate.call_accuracy,
                "restraint": candidate.restraint,
                "improvement": candidate.improvement,
                "won": float(candidate.spec_id == target.winner_spec_id),
            }
            yield TrackedRun(
                key=f"{cycle.cycle_id}:{candidate.decision_id or candidate.spec_id}",
                name=f"cycle {cycle.number}: {target.model} {target.phase} {candidate.variant}",
                kind="candidate",
                at=cycle.ended_at,
                params={
                    "model": target.model,
                    "phase": target.phase,
                    "baseline_variant": target.baseline_variant,
                    "variant": candidate.variant,
                    "changed": str(candidate.changed),
                    "verdict": str(candidate.verdict),
                },
                metrics={name: float(value) for name, value in figures.items() if value is not None},
                tags={"cycle_id": cycle.cycle_id, "reason_codes": ",".join(candidate.reason_codes)},
            )


def to_mlflow(runs: Iterable[TrackedRun], uri: str, experiment: str) -> int:
    """Writes runs to MLflow; those that are there already are left out. Returns how many were written.

    Raises:
        UsageError: MLflow, or what it needs for such a store, is not installed.
        StoreError: the store can't be used.
    """
    for name, value in _MLFLOW_VARIABLES.items():
        os.environ.setdefault(name, value)
    mlflow = required("mlflow.tracking", "mlflow", "the export to MLflow")
    entities = required("mlflow.entities", "mlflow", "the export to MLflow")
    faults = required("mlflow.exceptions", "mlflow", "the export to MLflow")
    scheme = uri.partition(":")[0]
    if scheme.partition("+")[0] in _DATABASES and not all(map(find_spec, ("sqlalchemy", "alembic"))):
        raise UsageError(
            f"--uri {scheme}:... needs all of MLflow: pip install mlflow (the extra 'mlflow' brings what speaks to a server, such as http://127.0.0.1:5000)"
        )
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found is not None else client.create_experiment(experiment)
        known = _known_to_mlflow(client, place)
        written = 0
        for run in runs:
            if run.key in known:
                continue
            tags = {"selfopt.key": run.key, "selfopt.kind": run.kind, "mlflow.source.name": "selfopt", **run.tags}
            made = client.create_run(place, start_time=run.at_ms, run_name=run.name, tags=tags)
            client.log_batch(
                made.info.run_id,
                metrics=[entities.Metric(name, value, run.at_ms, 0) for name, value in run.metrics.items()],
                params=[entities.Param(name, value[:500]) for name, value in run.params.items()],
            )
            client.set_terminated(made.info.run_id, end_time=run.at_ms)
            written += 1
        return written
    except (faults.MlflowException, OSError) as error:
        if scheme == "file" and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
            raise StoreError(
                "MLflow keeps nothing in folders any more; write --uri sqlite:///FILE.db or name a server (for a folder that it has kept: MLFLOW_ALLOW_FILE_STORE=true)"
            ) from None
        raise StoreError(f"MLflow at {uri:.200} can't be used: {error!s:.300}; check --uri") from None


def _known_to_mlflow(client: Any, place: str) -> set[str]:
    known: set[str] = set()
    token = None
    while True:
        page = client.search_runs([place], filter_string="tags.`selfopt.key` LIKE '%'", max_results=1000, page_token=token)
        known |= {run.data.tags["selfopt.key"] for run in page}
        token = page.token
        if not token:
            return known


def to_wandb(runs: Iterable[TrackedRun], project: str, folder: Path, *, online: bool) -> int:
    """Writes runs for Weights & Biases. Returns how many.

    Args:
        folder: where its files go.
        online: whether they are sent to its server; else they stay in the folder, for `wandb sync`.

    Raises:
        UsageError: the package is not installed.
        StoreError: it can't be used.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its own faults stay here, too
    wandb = required("wandb", "wandb", "the export to Weights & Biases")
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    written = 0
    try:
        for run in runs:
            made = wandb.init(
                project=project,
                id=_plain_id(run.key),
                name=run.name,
                job_type=run.kind,
                config=dict(run.params),
                tags=[tag[:64] for tag in (run.kind, *run.tags.values()) if tag],
                dir=os.fspath(folder),
                mode="online" if online else "offline",
                resume="allow",
                settings=settings,
            )
            made.summary.update({**run.metrics, "at": run.at})
            made.finish()
            written += 1
    except (wandb.Error, OSError) as error:
        raise StoreError(f"Weights & Biases can't be used: {error!s:.300}") from None
    return written


def _plain_id(key: str) -> str:
    return "".join(c if c.isalnum() or c == "-" else "-" for c in key)[:64]
