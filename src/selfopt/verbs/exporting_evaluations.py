"""`export inspect`, `bfcl`, `mlflow`, `wandb`: evaluations and cycles in the forms of other tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from selfopt.errors import SuiteError, UsageError
from selfopt.export import moment_of
from selfopt.export.bfcl_results import is_leaderboard, write_results
from selfopt.export.inspect_logs import write_inspect_log
from selfopt.export.stored_trials import judged_trials
from selfopt.export.trackers import TrackedRun, to_mlflow, to_wandb, tracked_cycle, tracked_evaluation
from selfopt.ledger import open_bodies, resolve
from selfopt.records import Cycle, Evaluation, Spec, Suite
from selfopt.records.config import is_loopback
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger

from .exporting import check_target, model_named

__all__ = ["SentRuns", "WrittenLog", "export_bfcl", "export_inspect", "export_mlflow", "export_wandb"]

_LOCAL = ("", "file", "sqlite")

_BOARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class WrittenLog:
    """A log that was written."""

    evaluation_id: str
    path: Path
    samples: int


@dataclass(frozen=True, slots=True)
class SentRuns:
    """What was written for a tracker of experiments. where: its address or folder."""

    runs: int
    where: str


def export_inspect(
    app: App,
    out: Path,
    evaluations: Sequence[str] = (),
    *,
    model: str | None = None,
    since: str | None = None,
    until: str | None = None,
    replace: bool = False,
    done: Callable[[WrittenLog], object] = lambda written: None,
) -> list[WrittenLog]:
    """Write evaluations as logs of Inspect, with their prompts and replies.

    Args:
        out: a folder for a log of each, or one `.eval` or `.json` file for a single one: the newest that fits.
        evaluations: ids, or the beginning or end of them; none for all.
        replace: whether existing files may be replaced. Without it they are left as they are in a folder, since
            the log of an evaluation never changes, and refused as a file.
        done: gets each log as soon as it is written.

    Raises:
        UsageError: nothing fits, or Inspect is not installed.
        StoreError: something can't be read or written.
    """
    require_ledger(app)
    chosen = _chosen(app, evaluations, model, moment_of(since), moment_of(until, end=True))
    if not chosen:
        raise UsageError("no evaluation fits; `selfopt export evaluations` lists them, and `selfopt run` makes one")
    single = out.suffix in (".eval", ".json")
    if single:
        check_target(out, replace=replace)
        chosen = chosen[-1:]
    elif out.exists() and not out.is_dir():
        raise UsageError(f"{str(out)!r:.300} is no folder; name a folder, or a file that ends in .eval")
    else:
        out.mkdir(parents=True, exist_ok=True)
    written: list[WrittenLog] = []
    with open_bodies(app.ledger) as bodies:
        for evaluation in chosen:
            path = out if single else out / _name(evaluation)
            if path.exists() and not replace:
                continue
            samples = write_inspect_log(evaluation, judged_trials(bodies, evaluation, _suite(app, evaluation)), path)
            written.append(WrittenLog(evaluation.evaluation_id, path, samples))
            done(written[-1])
    return written


def export_bfcl(
    app: App, out: Path, evaluations: Sequence[str] = (), *, model: str | None = None, name: str | None = None
) -> list[WrittenLog]:
    """Write what models answered to suites of the Berkeley leaderboard as its files of results and scores.

    The newest evaluation of each model and category counts, and of that the first run.

    Args:
        out: the folder; `result/` and `score/` are made below it, and files of the same names are replaced.
        evaluations: ids, or the beginning or end of them; none for all.
        name: that of the one model in the leaderboard's own table, by which its checker finds how to read the files.

    Raises:
        UsageError: nothing fits, or a name is given to several models.
        StoreError: something can't be read or written.
    """
    require_ledger(app)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{str(out)!r:.300} is no folder; name one")
    chosen = {(e.model, e.suite): e for e in _chosen(app, evaluations, model, "", "") if is_leaderboard(e) and e.race_id is None}
    if not chosen:
        raise UsageError(
            "no evaluation of a suite of the leaderboard fits; get them with `selfopt suites pull bfcl`, and measure one"
        )
    models = sorted({model for model, _ in chosen})
    if name is not None and len(models) > 1:
        raise UsageError(
            f"--as names one model, and {len(models)} have answers: {', '.join(models)[:300]}; choose one with --model"
        )
    if name is not None and not _BOARD_NAME.fullmatch(name):
        raise UsageError(f"--as {name!r:.100}: write a name of the leaderboard, such as gpt-4o-2024-11-20-FC")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with open_bodies(app.ledger) as bodies:
        for evaluation in chosen.values():
            paths, n = write_results(evaluation, judged_trials(bodies, evaluation, None), out, name)
            written += [WrittenLog(evaluation.evaluation_id, path, n) for path in paths]
    return written


def export_mlflow(app: App, uri: str, *, experiment: str = "selfopt", model: str | None = None, remote: bool = False) -> SentRuns:
    """Write cycles and evaluations to MLflow: figures and names, never a prompt or a reply.

    Args:
        uri: a folder or file of this machine, or a server.
        remote: whether it may be a server elsewhere.

    Raises:
        UsageError: a server elsewhere was named without leave, or MLflow is not installed.
        StoreError: the store can't be used.
    """
    parts = urlsplit(uri)
    if not remote and not (parts.scheme in _LOCAL or (parts.scheme in ("http", "https") and is_loopback(uri))):
        raise UsageError(f"{uri!r:.200} is not on this machine; figures and names are sent there only with --allow-remote")
    place = Path(uri).absolute().as_uri() if parts.scheme == "" else uri
    return SentRuns(to_mlflow(_tracked(app, model), place, experiment), uri)


def export_wandb(app: App, folder: Path, *, project: str = "selfopt", model: str | None = None, online: bool = False) -> SentRuns:
    """Write cycles and evaluations for Weights & Biases: figures and names, never a prompt or a reply.

    online: send them to its server. Else they stay in the folder, for `wandb sync`.

    Raises:
        UsageError: the package is not installed.
        StoreError: it can't be used.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{str(folder)!r:.300} is no folder; name one")
    return SentRuns(to_wandb(_tracked(app, model), project, folder, online=online), str(folder))


def _tracked(app: App, model: str | None) -> Iterator[TrackedRun]:
    require_ledger(app)
    name = model_named(app, model) if model is not None else None
    for evaluation in _chosen(app, (), model, "", ""):
        yield tracked_evaluation(evaluation)
    for cycle in app.ledger.read(Cycle):
        for run in tracked_cycle(cycle):
            if name is None or app.settings.one_name(run.params["model"]) == app.settings.one_name(name):
                yield run


def _chosen(app: App, ids: Sequence[str], model: str | None, since: str, until: str) -> list[Evaluation]:
    where = {"model": app.settings.one_name(model_named(app, model))} if model is not None else None
    found: Iterator[Evaluation] | list[Evaluation] = app.ledger.read(Evaluation, where)
    if ids:
        found = [resolve(app.ledger, Evaluation, typed) for typed in ids]
    return [one for one in found if since <= one.at and (not until or one.at < until)]


def _suite(app: App, evaluation: Evaluation) -> Suite | None:
    """The suite as it was measured; None where it is not at hand, or has other content now."""
    spec = next(iter(app.ledger.read(Spec, {"id": evaluation.spec_id}, limit=1)), None)
    with suppress(SuiteError):
        suite = app.suite_for(spec) if spec is not None else None
        return suite if suite is not None and suite.content_id() == evaluation.suite_hash else None
    return None


def _name(evaluation: Evaluation) -> str:
    """A name as Inspect gives it: the time, the task, the id."""
    at = evaluation.at[:19].replace(":", "-")
    task = _ODD.sub("-", f"{evaluation.suite}-{evaluation.variant}-{evaluation.model}")[:100]
    return f"{at}_{task}_{evaluation.evaluation_id.removeprefix('eval-')}.eval"
