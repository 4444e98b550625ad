"""The one engine: whatever interrupts a batch of asks, what is committed counts once, and nothing is left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from selfopt.ledger import open_ledger
from selfopt.measure.evaluate import EvaluationRequest, evaluate
from selfopt.measure.executor import AsyncExecutor, Executor, Work
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress
from selfopt.measure.supervisor import supervise
from selfopt.records import Ledger, RunEnd, Trial, TrialAbandoned, TrialStart

from .kit import Bench, FakeEndpoint, make_spec, make_suite


async def _later() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("slots", [1, 4])
async def test_what_is_evaluated_from_memory_is_what_the_ledger_says(tmp_path: Path, slots: int) -> None:
    """Trials count in the order in which they are stored, also where several of them share a transaction."""
    bench = Bench(
        ledger=open_ledger(tmp_path / "ledger.sqlite3"),
        suite=make_suite(20, 10),
        endpoint=FakeEndpoint(before=_later),
        slots=slots,
    )
    spec = make_spec(bench.suite)
    result = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    assert result.evaluation is not None
    assert await evaluate(bench.ledger, EvaluationRequest(spec, bench.suite, result.run_ids)) == result.evaluation
    bench.ledger.close()


@pytest.mark.parametrize("after", range(0, 12, 2))
async def test_a_batch_that_is_cancelled_while_trials_are_stored_is_closed_as_the_ledger_has_it(
    tmp_path: Path, after: int
) -> None:
    """Each started trial is committed or abandoned, never both; the run's end counts the committed ones; a resume asks the rest."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    bench = Bench(ledger=ledger, suite=make_suite(10, 4), endpoint=FakeEndpoint(before=_later), slots=4)

    def watch(event: Progress) -> None:
        if event.kind == "trial" and event.done > after:
            task.cancel()

    task = asyncio.create_task(
        supervise(make_spec(bench.suite), context=bench.context(progress=watch), options=MeasureOptions(n_runs=1))
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    committed = [trial.trial_id for trial in ledger.read(Trial)]
    abandoned = [gone.trial_id for gone in ledger.read(TrialAbandoned)]
    assert sorted(committed + abandoned) == sorted(start.trial_id for start in ledger.read(TrialStart))
    assert [end.trials for end in ledger.read(RunEnd)] == [len(committed)]
    await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=1))
    assert sorted(trial.prompt_id for trial in ledger.read(Trial)) == sorted(prompt.id for prompt in bench.suite.prompts)
    ledger.close()


async def test_trials_are_done_by_the_executor_that_the_context_hands_over(bench: Bench) -> None:
    """One call a batch; whoever does the trials is told how many slots there are."""
    handed: list[tuple[int, int]] = []

    class Elsewhere:
        def __init__(self, ledger: Ledger, slots: int) -> None:
            self._slots, self._inner = slots, AsyncExecutor(ledger, slots)

        async def run(self, work: Work) -> None:
            before = len(list(bench.ledger.read(Trial)))
            await self._inner.run(work)
            handed.append((self._slots, len(list(bench.ledger.read(Trial))) - before))

    def executor_for(ledger: Ledger, slots: int) -> Executor:
        return Elsewhere(ledger, slots)

    bench.slots = 2
    context = bench.context(executor_for=executor_for)
    await supervise(make_spec(bench.suite), context=context, options=MeasureOptions(n_runs=2))
    assert handed == [(2, 6), (2, 6)]
