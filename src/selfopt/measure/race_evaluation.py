"""A spec's answers in a race -> an evaluation, its shares weighted as the prompts were drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfopt.errors import CorruptError
from selfopt.records import (
    Evaluation,
    Ledger,
    Metrics,
    Outcome,
    OutcomeRow,
    Prompt,
    RaceBlock,
    Run,
    Spec,
    Suite,
    Trial,
    content_hash,
    utc_now,
)
from selfopt.scoring import ScoredTrial, compute_metrics, scorer_of, trivial_policies

from .lookup import find
from .rescore import ensure_verdicts
from .trial import JudgedTrial

__all__ = ["RaceTrials", "evaluate_race"]


@dataclass(frozen=True, slots=True)
class RaceTrials:
    """Which blocks make up the evaluation of which spec (those in which it was asked count), in the order of time."""

    race_id: str
    spec: Spec
    suite: Suite
    blocks: Sequence[RaceBlock]
    cycle_id: str | None = None


async def evaluate_race(ledger: Ledger, request: RaceTrials, *, now: Callable[[], str] = utc_now) -> Evaluation | None:
    """The evaluation, not appended; one that is in the ledger already is returned as it stands there. None where the spec was never
    asked. CorruptError when the ledger lacks a trial."""
    spec, suite = request.spec, request.suite
    blocks = [block for block in request.blocks if spec.spec_id in block.trial_ids]
    weights = {trial_id: weight for block in blocks for trial_id, weight in _weights(block, spec.spec_id)}
    if not weights:
        return None
    scorer_hash = scorer_of(suite.judging).scorer_hash
    evaluation_id = content_hash("eval", [spec.spec_id, scorer_hash, list(weights), "race", request.cycle_id])
    stored = find(ledger, Evaluation, evaluation_id)
    if stored is not None:
        return stored
    judged = (await ensure_verdicts(ledger, spec, suite, [_trial(ledger, trial_id) for trial_id in weights])).trials
    run_ids = tuple(dict.fromkeys(item.trial.run_id for item in judged))
    last = find(ledger, Run, run_ids[-1])
    asked = {item.trial.prompt_id for item in judged}
    prompts = tuple(prompt for prompt in suite.select(spec.split) if prompt.id in asked)
    return Evaluation(
        evaluation_id=evaluation_id,
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=last.environment_id if last is not None else judged[-1].trial.environment_id,
        parser_hash=spec.variant.parser_hash,
        scorer_hash=scorer_hash,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        suite_hash=spec.suite_hash,
        scope=suite.scope,
        split=spec.split,
        variant=spec.variant.name,
        run_ids=run_ids,
        n_runs=len(blocks),
        determinism="stochastic",
        warm_up=spec.warm_up.enabled,
        metrics=_metrics(suite, prompts, judged, weights),
        rows=_rows(prompts, judged),
        cycle_id=request.cycle_id,
        race_id=request.race_id,
        at=now(),
    )


def _weights(block: RaceBlock, spec_id: str) -> list[tuple[str, float]]:
    """Each trial of a spec in a block with its share of the draw's weight."""
    ids, times = block.trial_ids[spec_id], block.asked[spec_id]
    return [(trial_id, block.weights[place // times] / times) for place, trial_id in enumerate(ids)]


def _trial(ledger: Ledger, trial_id: str) -> Trial:
    trial = find(ledger, Trial, trial_id)
    if trial is None:
        raise CorruptError(f"the ledger names trial {trial_id} but does not hold it; restore the ledger from a copy")
    return trial


def _metrics(suite: Suite, prompts: Sequence[Prompt], judged: Sequence[JudgedTrial], weights: dict[str, float]) -> Metrics:
    """Shares over weighted trials; counts, times and tokens over all alike. The runs of a race are parts of one, so they have no
    accuracies of their own."""
    needs = {prompt.id: prompt.needs_call for prompt in prompts}
    plain = compute_metrics(
        [
            ScoredTrial(
                prompt_id=item.trial.prompt_id,
                run_index=0,
                needs_call=needs[item.trial.prompt_id],
                outcome=item.verdict.outcome,
                latency_ms=item.trial.latency_ms,
                usage=item.trial.usage,
            )
            for item in judged
        ],
        *trivial_policies(suite, prompts),
    )

    def share(wanted: Callable[[JudgedTrial], bool]) -> float | None:
        chosen = [(weights[item.trial.trial_id], item.verdict.outcome is Outcome.PASS) for item in judged if wanted(item)]
        total = sum(weight for weight, _ in chosen)
        return sum(weight for weight, passed in chosen if passed) / total if total > 0 else None

    return plain.model_copy(
        update={
            "accuracy": share(lambda item: True) or 0.0,
            "call_accuracy": share(lambda item: needs[item.trial.prompt_id]),
            "restraint": share(lambda item: not needs[item.trial.prompt_id]),
            "capability": share(lambda item: item.verdict.outcome.says_something_about_the_model),
            "run_accuracies": (),
            "variance": 0.0,
        }
    )


def _rows(prompts: Sequence[Prompt], judged: Sequence[JudgedTrial]) -> tuple[OutcomeRow, ...]:
    """One for each prompt that was asked, its trials in the order of time."""
    cells: dict[str, list[JudgedTrial]] = {prompt.id: [] for prompt in prompts}
    for item in sorted(judged, key=lambda item: item.trial.started_at):
        cells[item.trial.prompt_id].append(item)
    return tuple(
        OutcomeRow(
            prompt_id=prompt.id,
            prompt_kind=prompt.kind,
            needs_call=prompt.needs_call,
            outcomes=tuple(item.verdict.outcome for item in cells[prompt.id]),
            trial_ids=tuple(item.trial.trial_id for item in cells[prompt.id]),
            loaded=tuple(item.trial.load.loaded for item in cells[prompt.id]),
            load_ms=tuple(item.trial.load.load_ms for item in cells[prompt.id]),
            unread=tuple(item.verdict.parsed.unread for item in cells[prompt.id]),
        )
        for prompt in prompts
    )
