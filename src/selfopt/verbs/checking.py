"""`check`: asks a configuration, and an earlier one beside it, until a verdict is sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from selfopt.errors import BudgetError, SelfoptError
from selfopt.home import counted, escape_control
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import MeasureContext
from selfopt.measure.lookup import held
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import (
    Check,
    Environment,
    Evaluation,
    RecordedRow,
    RecordedState,
    Spec,
)
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .check_file import DEFAULT_FILE
from .check_state import RECORDABLE, require_writable, write_state
from .check_subject import LEAST_RUNS, CheckSubject, subject_of
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
    _require_ready(app, subject, specs)
    for spec in specs:
        app.sender.require(subject.now.model, spec.model)
    app.home.ensure()
    with measuring(app, "check", [spec.model for spec in specs]):
        context = app.measure_context(progress)
        checking = CheckUnderWay(app, subject, context, BudgetMeter(_budget(app, subject), context.clock))
        return await checking.run(fresh=request.fresh)


def _require_ready(app: App, subject: CheckSubject, specs: Sequence[Spec]) -> None:
    """Check what the models need, as if the settings had the file's cap on cost: one without prices can't hold."""
    settings, own = app.settings, app.own_limits
    cap = {"max_cost": _least(own.max_cost, subject.file.max_cost)}
    app.settings = settings.model_copy(update={"limits": settings.limits.model_copy(update=cap)})
    app.own_limits = own.model_copy(update=cap)
    try:
        app.require_ready(dict.fromkeys(spec.model for spec in specs))
    finally:
        app.settings, app.own_limits = settings, own


def _budget(app: App, subject: CheckSubject) -> Budget:
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


async def record_state(app: App, file: Path, to: Path, progress: Callable[[Progress], None] = ignore_progress) -> RecordedState:
    """Measure what a check file describes, seven times unless repeats are copies, and write it as a recorded state.

    Raises:
        UsageError: the file, or what it names, cannot be used.
        BudgetError: a cap ended it before seven runs were complete. Nothing is written; the same call goes on.
        SelfoptError: the server failed at a prompt, which tells nothing about the configuration.
    """
    subject = subject_of(app, file, recording=True)
    require_writable(to)
    _require_ready(app, subject, [subject.now])
    app.home.ensure()
    with measuring(app, "check --record", [subject.now.model]):
        context = app.measure_context(progress)
        meter = BudgetMeter(_budget(app, subject), context.clock)
        n_prompts = len(subject.prompts)
        # The whole suite again in isolation: a state stands for its configuration for a long time.
        options = MeasureOptions(n_runs=LEAST_RUNS, sampling=True, sample_size=n_prompts, meter=meter)
        found = await measure_specs([subject.now], context=context, options=options)
        evaluation = found.get(subject.now.spec_id)
        exact = evaluation is not None and evaluation.has_copies
        if evaluation is None or (not exact and evaluation.n_runs < LEAST_RUNS):
            runs = 0 if evaluation is None else evaluation.n_runs
            raise BudgetError(
                f"only {counted(runs, 'run')} of {LEAST_RUNS} are complete: {meter.stop_reason}; nothing was written, and the same command goes on"
            )
        state = _state(subject, evaluation, context, exact=exact)
    write_state(to, state)
    return state


def _state(subject: CheckSubject, evaluation: Evaluation, context: MeasureContext, *, exact: bool) -> RecordedState:
    faulty = [row.prompt_id for row in evaluation.rows if not RECORDABLE.issuperset(row.outcomes)]
    if faulty:
        raise SelfoptError(
            f"the server failed at {counted(len(faulty), 'prompt')}, such as {escape_control(faulty[0], 80)}: nothing was written; "
            "look at selfopt feedback, and record again"
        )
    spec = subject.now
    environment = held(context.ledger, Environment, evaluation.environment_id)
    return RecordedState(
        model=spec.model,
        endpoint=spec.endpoint,
        phase=spec.phase,
        suite=spec.suite,
        suite_hash=spec.suite_hash,
        scorer_hash=evaluation.scorer_hash,
        split=spec.split,
        variant=spec.variant.name,
        variant_hash=spec.variant.variant_hash,
        render_hash=spec.variant.render_hash,
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment=environment,
        exact=exact,
        evaluation_id=evaluation.evaluation_id,
        run_ids=evaluation.run_ids,
        recorded_at=evaluation.at,
        rows=tuple(
            RecordedRow(prompt_id=row.prompt_id, outcomes=row.outcomes[:1] if exact else row.outcomes) for row in evaluation.rows
        ),
    )
