"""`check --record`: measures a configuration often enough to stand for it later, and writes that as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from selfopt.errors import BudgetError, SelfoptError, UsageError
from selfopt.home import counted, escape_control
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.context import MeasureContext
from selfopt.measure.lookup import held
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.policy import LEAST_RUNS, MOST_RUNS, least_runs, varying_runs
from selfopt.records import Environment, Evaluation, RecordedRow, RecordedState
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .check_state import RECORDABLE, require_writable, write_state
from .check_subject import CheckSubject, subject_of
from .checking import budget_of, require_all_ready


async def record_state(
    app: App, file: Path, to: Path, progress: Callable[[Progress], None] = ignore_progress, *, runs: int | None = None
) -> RecordedState:
    """Measure what a check file describes and write it as a recorded state.

    A few runs do where they all agree, so that luck is ruled out. Otherwise it takes as many as a check needs to be
    decided against them, or `runs`.

    Raises:
        UsageError: the file, or what it names, cannot be used.
        BudgetError: a cap ended it before all runs were complete. Nothing is written; the same call goes on.
        SelfoptError: the server failed at a prompt, which tells nothing about the configuration.
    """
    if runs is not None and not LEAST_RUNS <= runs <= MOST_RUNS:
        raise UsageError(f"runs is {runs}; allowed are {LEAST_RUNS} to {MOST_RUNS}")
    subject = subject_of(app, file, recording=True)
    require_writable(to)
    require_all_ready(app, subject, [subject.now])
    app.home.ensure()
    with measuring(app, "check --record", [subject.now.model]):
        context = app.measure_context(progress)
        meter = BudgetMeter(budget_of(app, subject), context.clock)
        state = await _Recording(subject, context, meter).state(runs)
    write_state(to, state)
    return state


class _Recording:
    """A recording under way."""

    def __init__(self, subject: CheckSubject, context: MeasureContext, meter: BudgetMeter) -> None:
        self._subject, self._context, self._meter = subject, context, meter
        self._n_prompts = len(subject.prompts)

    async def state(self, runs: int | None) -> RecordedState:
        """Measure, and say what a state of that says."""
        settings, spec = self._subject.file.settings(), self._subject.now
        wanted, few = runs or varying_runs(self._n_prompts, settings), least_runs(self._n_prompts, settings)
        if spec.variant.sampling.draws_anew or runs is not None:
            return self._of([await self._measured(wanted)], exact=False)
        if few <= 2:  # one run, and the whole suite again in isolation
            found = await self._measured(wanted, sampling=True)
            return self._of([found], exact=found.has_copies)
        first = await self._measured(few)
        if all(len(set(row.outcomes)) == 1 for row in first.rows):
            return self._of([first], exact=True)
        return self._of([first, *([await self._measured(wanted - few)] if wanted > few else [])], exact=False)

    async def _measured(self, n_runs: int, *, sampling: bool = False) -> Evaluation:
        options = MeasureOptions(n_runs=n_runs, sampling=sampling, sample_size=self._n_prompts, meter=self._meter)
        found = await measure_specs([self._subject.now], context=self._context, options=options)
        evaluation = found.get(self._subject.now.spec_id)
        if evaluation is None or (evaluation.n_runs < n_runs and not (sampling and evaluation.has_copies)):
            complete = 0 if evaluation is None else evaluation.n_runs
            raise BudgetError(
                f"only {counted(complete, 'run')} of {n_runs} are complete: {self._meter.stop_reason}; nothing was written, and the same command goes on"
            )
        return evaluation

    def _of(self, evaluations: Sequence[Evaluation], *, exact: bool) -> RecordedState:
        last, spec = evaluations[-1], self._subject.now
        outcomes = {row.prompt_id: row.outcomes for row in evaluations[0].rows}
        for evaluation in evaluations[1:]:
            outcomes = {row.prompt_id: outcomes[row.prompt_id] + row.outcomes for row in evaluation.rows}
        faulty = [name for name, seen in outcomes.items() if not RECORDABLE.issuperset(seen)]
        if faulty:
            raise SelfoptError(
                f"the server failed at {counted(len(faulty), 'prompt')}, such as {escape_control(faulty[0], 80)}: nothing was written; "
                "look at selfopt feedback, and record again"
            )
        return RecordedState(
            model=spec.model,
            endpoint=spec.endpoint,
            phase=spec.phase,
            suite=spec.suite,
            suite_hash=spec.suite_hash,
            scorer_hash=last.scorer_hash,
            split=spec.split,
            variant=spec.variant.name,
            variant_hash=spec.variant.variant_hash,
            render_hash=spec.variant.render_hash,
            spec_id=spec.spec_id,
            request_id=spec.request_id,
            environment=held(self._context.ledger, Environment, last.environment_id),
            exact=exact,
            evaluation_id=last.evaluation_id,
            run_ids=tuple(run_id for evaluation in evaluations for run_id in evaluation.run_ids),
            recorded_at=last.at,
            rows=tuple(RecordedRow(prompt_id=name, outcomes=seen[:1] if exact else seen) for name, seen in outcomes.items()),
        )
