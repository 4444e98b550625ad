"""`check`: asks a configuration, and an earlier one beside it, until a verdict is sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import Check, Spec
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .check_file import DEFAULT_FILE
from .check_subject import CheckSubject, subject_of
from .check_work import CheckUnderWay

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What the user asks for.

    Attributes:
        file: the check file.
        fresh: begin anew instead of going on with an interrupted check.
    """

    file: Path = field(default_factory=lambda: Path(DEFAULT_FILE))
    fresh: bool = False


async def run_check(app: App, request: CheckRequest, progress: Callable[[Progress], None] = ignore_progress) -> Check:
    """Check what a file describes, until the verdict is sure or a cap ends it.

    The same call goes on with a check that was interrupted less than a day ago. Rules do not apply:
    exactly what the file names is measured.

    Returns:
        The check, which is in the ledger. `passes` says what it means for the build.

    Raises:
        UsageError: the file, or what it names, cannot be used.
        ConsentError: the baseline's model is remote, the checked one is not, and nobody allowed that.
        EndpointError: a server cannot be asked. The same call goes on.
        LockedError: another measurement works in this home.
    """
    subject = subject_of(app, request.file)
    specs = [subject.now, *([subject.before] if subject.before is not None else [])]
    require_all_ready(app, subject, specs)
    for spec in specs:
        app.sender.require(subject.now.model, spec.model)
    app.home.ensure()
    with measuring(app, "check", [spec.model for spec in specs]):
        context = app.measure_context(progress)
        checking = CheckUnderWay(app, subject, context, BudgetMeter(budget_of(app, subject), context.clock))
        return await checking.run(fresh=request.fresh)


def require_all_ready(app: App, subject: CheckSubject, specs: Sequence[Spec]) -> None:
    """Check what the models need, as if the settings had the file's cap on cost: one without prices can't hold."""
    settings, own = app.settings, app.own_limits
    cap = {"max_cost": _least(own.max_cost, subject.file.max_cost)}
    app.settings = settings.model_copy(update={"limits": settings.limits.model_copy(update=cap)})
    app.own_limits = own.model_copy(update=cap)
    try:
        app.require_ready(dict.fromkeys(spec.model for spec in specs))
    finally:
        app.settings, app.own_limits = settings, own


def budget_of(app: App, subject: CheckSubject) -> Budget:
    """The caps of the settings and of the file; the smaller one holds."""
    own, file = app.budget, subject.file
    minutes = None if file.max_time is None else file.max_time / 60
    return Budget(
        _least(own.max_trials, file.max_trials),
        _least(own.max_minutes, minutes),
        own.max_tokens,
        _least(own.max_cost, file.max_cost),
    )


def _least(one: N | None, other: N | None) -> N | None:
    return min((value for value in (one, other) if value is not None), default=None)
