"""`export inspect`: evaluations in the form of other tools for evaluations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import SuiteError, UsageError
from selfopt.export import moment_of
from selfopt.export.inspect_logs import write_inspect_log
from selfopt.export.stored_trials import judged_trials
from selfopt.ledger import open_bodies, resolve
from selfopt.records import Evaluation, Spec, Suite
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger

from .exporting import check_target, model_named

__all__ = ["WrittenLog", "export_inspect"]

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class WrittenLog:
    """A log that was written."""

    evaluation_id: str
    path: Path
    samples: int


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
