"""Aggregates the trials of runs, or of a race's blocks, and their verdicts into an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from selfopt.errors import CorruptError
from selfopt.records import (
    Determinism,
    Environment,
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
    Verdict,
    content_hash,
    utc_now,
)
from selfopt.scoring import ScoredTrial, compute_metrics, scorer_of, trivial_policies

from .determinism import judge_determinism
from .lookup import find, held
from .refusals import all_refused
from .rescore import ensure_verdicts
from .resume import PassState
from .trial import JudgedTrial


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Which runs make up the evaluation of which spec.

    Attributes:
        determinism_run_ids: the runs of the isolated sample, if one was taken.
        fresh: trials that this process has just committed, by run id. They need not be read again.
    """

    spec: Spec
    suite: Suite
    run_ids: Sequence[str]
    determinism_run_ids: Sequence[str] = ()
    cycle_id: str | None = None
    fresh: Mapping[str, Sequence[JudgedTrial]] = field(default_factory=dict)


_Pass = PassState[JudgedTrial]


async def evaluate(ledger: Ledger, request: EvaluationRequest, *, now: Callable[[], str] = utc_now) -> Evaluation | None:
    """Aggregate the complete passes among the runs.

    Rows read from the oldest pass to the newest, in the ledger's order. Passes that cannot have
    been made in the newest one's environment are left out. Verdicts that are missing (another
    parser chain, a newer scorer) are made.

    Returns:
        The evaluation, not appended. Its id hashes what it is made of, so one that is already in
        the ledger is returned as it is there. None when no pass is complete.
    """
    spec, scorer_hash = request.spec, scorer_of(request.suite.judging).scorer_hash
    passes = [p for p in await group_passes(ledger, request, request.run_ids) if p.complete]
    if not passes:
        return None
    named = {run.environment_id for p in passes for run in p.runs}
    environments = {environment_id: held(ledger, Environment, environment_id) for environment_id in named}
    passes = _comparable(passes, environments)
    trial_ids = [item.trial.trial_id for p in passes for item in p.trials.values()]
    samples = [p for p in await group_passes(ledger, request, request.determinism_run_ids) if p.complete]
    sample = samples[-1] if samples else None
    sampled_ids = [item.trial.trial_id for item in sample.trials.values()] if sample else []
    evaluation_id = content_hash("eval", [spec.spec_id, scorer_hash, trial_ids, sampled_ids, request.cycle_id])
    stored = find(ledger, Evaluation, evaluation_id)
    if stored is not None:
        return stored
    prompts = tuple(prompt for prompt in request.suite.prompts if prompt.id in passes[-1].prompt_ids)
    seen = [environments[run.environment_id] for p in passes for run in p.runs]
    return Evaluation(
        evaluation_id=evaluation_id,
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=max(reversed(seen), key=_fields_told).environment_id,
        parser_hash=spec.variant.parser_hash,
        scorer_hash=scorer_hash,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        suite_hash=spec.suite_hash,
        scope=request.suite.scope,
        synthetic=request.suite.synthetic is not None,
        split=spec.split,
        variant=spec.variant.name,
        run_ids=tuple(run.run_id for p in passes for run in p.runs),
        determinism_run_ids=tuple(run.run_id for run in sample.runs) if sample else (),
        n_runs=len(passes),
        determinism=_determinism(spec, passes, sample),
        warm_up=spec.warm_up.enabled,
        metrics=compute_metrics(_scored(passes, prompts), *trivial_policies(request.suite, prompts)),
        rows=_rows(prompts, {p.id: [one.trials[p.id] for one in passes] for p in prompts}),
        cycle_id=request.cycle_id,
        concurrencies=_concurrencies(passes),
        at=now(),
    )


def _concurrencies(passes: Sequence[_Pass]) -> tuple[int, ...]:
    """How many requests at once the runs made; empty where they do not differ, as far as is recorded."""
    seen = {run.concurrency for one in passes for run in one.runs if run.concurrency is not None}
    return tuple(sorted(seen)) if len(seen) > 1 else ()


def _determinism(spec: Spec, passes: Sequence[_Pass], sample: _Pass | None) -> Determinism:
    if all_refused(item.trial for p in passes for item in p.trials.values()):
        return "refused"
    return judge_determinism(spec, [_verdicts(p) for p in passes], _verdicts(sample) if sample else None)


def _comparable(passes: Sequence[_Pass], environments: Mapping[str, Environment]) -> list[_Pass]:
    """The passes over the newest one's prompts, in an environment that can be the same."""
    newest = environments[passes[-1].runs[-1].environment_id]
    alike = [p for p in passes if all(environments[run.environment_id].compatible_with(newest) for run in p.runs)]
    return [p for p in alike if set(p.prompt_ids) == set(alike[-1].prompt_ids)]


def _verdicts(one: _Pass) -> dict[str, Verdict]:
    return {prompt_id: item.verdict for prompt_id, item in one.trials.items()}


def _first(one: _Pass) -> str:
    """The id of the trial that was asked first."""
    return min(one.trials.values(), key=lambda item: (item.trial.started_at, item.trial.position)).trial.trial_id


def _fields_told(environment: Environment) -> int:
    """How many fields an environment tells.

    A server tells less about a model that it has not loaded yet.
    """
    return sum(value not in (None, "unknown") for value in environment.model_dump().values())


async def group_passes(ledger: Ledger, request: EvaluationRequest, run_ids: Sequence[str]) -> list[_Pass]:
    """The passes that the runs make up, in the order in which they began.

    CorruptError when the ledger lacks a run.
    """
    missing = set(run_ids)
    runs: list[Run] = []
    # Newest first: the runs are mostly recent, so older ones need not be read to find them.
    newest_first = iter(ledger.read(Run, {"request_id": request.spec.request_id}, newest_first=True))
    while missing and (run := next(newest_first, None)) is not None:
        if run.run_id in missing:
            missing.remove(run.run_id)
            runs.append(run)
    runs.reverse()
    for run_id in sorted(missing):
        # An isolated sample may come from a spec that differs in warm-up.
        earlier = find(ledger, Run, run_id) if run_id in request.determinism_run_ids else None
        if earlier is None:
            raise CorruptError(
                f"the ledger has no run {run_id} under {request.spec.request_id}; measure {request.spec.label} again"
            )
        runs.append(earlier)
    grouped: dict[tuple[str | None, str, int], list[Run]] = {}
    for run in runs:
        # A run without a group is a pass of its own.
        grouped.setdefault((run.group_id or run.run_id, run.purpose, run.run_index), []).append(run)
    judged = {run.run_id: await _judged(ledger, request, run.run_id) for run in runs}
    return [
        PassState(members, {item.trial.prompt_id: item for run in members for item in judged[run.run_id]})
        for members in grouped.values()
    ]


async def _judged(ledger: Ledger, request: EvaluationRequest, run_id: str) -> Sequence[JudgedTrial]:
    """The trials of a run under the spec's parser chain and the present scorer."""
    known, parser_hash = request.fresh.get(run_id), request.spec.variant.parser_hash
    if known is not None and all(item.verdict.parser_hash == parser_hash for item in known):
        return known
    found = await ensure_verdicts(ledger, request.spec, request.suite, ledger.read(Trial, {"run_id": run_id}))
    return found.trials


def _scored(passes: Sequence[_Pass], prompts: Sequence[Prompt]) -> list[ScoredTrial]:
    return [
        ScoredTrial(
            prompt_id=prompt.id,
            run_index=index,
            needs_call=prompt.needs_call,
            outcome=one.trials[prompt.id].verdict.outcome,
            latency_ms=one.trials[prompt.id].trial.latency_ms,
            asked=one.trials[prompt.id].trial.asked,
            usage=one.trials[prompt.id].trial.usage,
            first_of_run=one.trials[prompt.id].trial.trial_id == first,
        )
        for index, (one, first) in enumerate((one, _first(one)) for one in passes)
        for prompt in prompts
    ]


def _rows(prompts: Sequence[Prompt], cells: Mapping[str, Sequence[JudgedTrial]]) -> tuple[OutcomeRow, ...]:
    """One row for each prompt. cells: the trials of each prompt by its id, in the order of time."""
    return tuple(_row(prompt, cells[prompt.id]) for prompt in prompts)


def _row(prompt: Prompt, cells: Sequence[JudgedTrial]) -> OutcomeRow:
    read_by = tuple(cell.verdict.parsed.read_by for cell in cells)
    thought = tuple(cell.verdict.parsed.call_in_thinking for cell in cells)
    causes = tuple(cell.trial.cause for cell in cells)
    return OutcomeRow(
        prompt_id=prompt.id,
        prompt_kind=prompt.kind,
        needs_call=prompt.needs_call,
        outcomes=tuple(cell.verdict.outcome for cell in cells),
        trial_ids=tuple(cell.trial.trial_id for cell in cells),
        loaded=tuple(cell.trial.load.loaded for cell in cells),
        load_ms=tuple(cell.trial.load.load_ms for cell in cells),
        unread=tuple(cell.verdict.parsed.unread for cell in cells),
        read_by=read_by if any(read_by) else (),
        excerpt=next((text for cell in cells if (text := cell.verdict.parsed.excerpt)), ""),
        call_in_thinking=thought if any(thought) else (),
        causes=causes if any(causes) else (),
        said=next((cell.trial.said for cell in cells if cell.trial.cause is not None), ""),
    )


async def evaluate_race(
    ledger: Ledger,
    race_id: str,
    spec: Spec,
    suite: Suite,
    blocks: Sequence[RaceBlock],
    *,
    cycle_id: str | None = None,
    now: Callable[[], str] = utc_now,
) -> Evaluation | None:
    """Aggregate what the blocks of a race, in the order of time, asked one spec.

    None when they never asked it.

    The evaluation is not appended; one that is already in the ledger is returned as it is there.
    """
    blocks = [block for block in blocks if spec.spec_id in block.trial_ids]
    weights = {trial_id: weight for block in blocks for trial_id, weight in _weights(block, spec.spec_id)}
    if not weights:
        return None
    scorer_hash = scorer_of(suite.judging).scorer_hash
    evaluation_id = content_hash("eval", [spec.spec_id, scorer_hash, list(weights), "race", cycle_id])
    stored = find(ledger, Evaluation, evaluation_id)
    if stored is not None:
        return stored
    judged = (await ensure_verdicts(ledger, spec, suite, [held(ledger, Trial, trial_id) for trial_id in weights])).trials
    environments = {item.trial.run_id: item.trial.environment_id for item in judged}
    run_ids = tuple(environments)
    asked = {item.trial.prompt_id for item in judged}
    prompts = tuple(prompt for prompt in suite.select(spec.split) if prompt.id in asked)
    cells: dict[str, list[JudgedTrial]] = {prompt.id: [] for prompt in prompts}
    for item in sorted(judged, key=lambda item: item.trial.started_at):
        cells[item.trial.prompt_id].append(item)
    return Evaluation(
        evaluation_id=evaluation_id,
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=environments[run_ids[-1]],
        parser_hash=spec.variant.parser_hash,
        scorer_hash=scorer_hash,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        suite_hash=spec.suite_hash,
        scope=suite.scope,
        synthetic=suite.synthetic is not None,
        split=spec.split,
        variant=spec.variant.name,
        run_ids=run_ids,
        n_runs=len(blocks),
        determinism="stochastic",
        warm_up=spec.warm_up.enabled,
        metrics=_weighted_metrics(suite, prompts, judged, weights),
        rows=_rows(prompts, cells),
        cycle_id=cycle_id,
        race_id=race_id,
        at=now(),
    )


def _weights(block: RaceBlock, spec_id: str) -> list[tuple[str, float]]:
    """The trials of a spec in a block, each with its share of the weight of its draw."""
    ids, times = block.trial_ids[spec_id], block.asked[spec_id]
    return [(trial_id, block.weights[place // times] / times) for place, trial_id in enumerate(ids)]


def _weighted_metrics(
    suite: Suite, prompts: Sequence[Prompt], judged: Sequence[JudgedTrial], weights: dict[str, float]
) -> Metrics:
    """Metrics of weighted trials. Counts, times and tokens are over all trials alike.

    The runs of a race are parts of one measurement, so they have no accuracies of their own.
    """
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
