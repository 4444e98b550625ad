"""Works out what the two arms of an interleaved warm-up validation prove."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from selfopt.records import Evaluation, Outcome, OutcomeRow, PromptReload, WarmUpExperiment, content_hash
from selfopt.stats import (
    CONFIRMING_BAYES_FACTOR,
    CONFIRMING_RUNS,
    rank_p,
    reload_log_bayes_factor,
    suite_log_bayes_factor,
)

FASTER = 0.7
"""Warm-up removes a latency when the warm first call takes at most this share of the cold one."""
_SLOWER_P = 0.05


@dataclass(frozen=True, slots=True)
class ReloadRuns:
    """One arm of the experiment.

    Attributes:
        first_calls_ms: latency of the first scored call of each run.
        unloads: how many runs are known to have begun unloaded.
    """

    evaluation: Evaluation
    first_calls_ms: Sequence[float]
    unloads: int = 0


def reload_experiment(
    cold: ReloadRuns, warm: ReloadRuns, asked: Sequence[str], suspected: Collection[str] = ()
) -> WarmUpExperiment:
    """What the arms prove.

    The experiment is conclusive with at least 4 runs of each arm, when every cold run began
    unloaded. Outcomes are confirmed at a Bayes factor of at least 10. Latency is confirmed when the
    warm first calls take at most 0.7 of the cold ones (medians) and differ by ranks with p < .05.
    When the arms swapped would have a Bayes factor of 10, warm-up does harm and nothing is
    confirmed.

    A failure of any kind right after an unload counts, because a load that outlasts the timeout
    looks like a timeout.

    Args:
        asked: ids of the prompts in the order of asking.
        suspected: the prompts that a finding named before the experiment. The Bayes factor is then
            over these alone, since the question was about them.
    """
    before, after = _rows(cold.evaluation), _rows(warm.evaluation)
    prompts = tuple(
        _compared(before[prompt_id], after[prompt_id]) for prompt_id in asked if prompt_id in before and prompt_id in after
    )
    tested = [p for p in prompts if p.prompt_id in suspected] or list(prompts)
    log_factor, confirming = suite_log_bayes_factor([p.log_bayes_factor for p in tested]), math.log(CONFIRMING_BAYES_FACTOR)
    swapped = [reload_log_bayes_factor(p.warm_passes, p.warm_n, p.cold_passes, p.cold_n) for p in prompts]
    harmed = suite_log_bayes_factor(swapped) >= confirming
    first_p = rank_p(cold.first_calls_ms, warm.first_calls_ms)
    runs = cold.evaluation.n_runs, warm.evaluation.n_runs
    conclusive = min(runs) >= CONFIRMING_RUNS and cold.unloads == runs[0]
    faster = median(warm.first_calls_ms) <= FASTER * median(cold.first_calls_ms)
    newest = warm.evaluation
    draft = WarmUpExperiment(
        experiment_id="",
        model=newest.model,
        phase=newest.phase,
        variant=newest.variant,
        suite=newest.suite,
        suite_hash=newest.suite_hash,
        environment_id=newest.environment_id,
        evaluation_ids=(cold.evaluation.evaluation_id, newest.evaluation_id),
        run_ids=(*cold.evaluation.run_ids, *newest.run_ids),
        cold_runs=runs[0],
        warm_runs=runs[1],
        unloads=cold.unloads,
        prompts=prompts,
        tested=tuple(p.prompt_id for p in tested),
        log_bayes_factor=log_factor,
        first_call_cold_ms=tuple(cold.first_calls_ms),
        first_call_warm_ms=tuple(warm.first_calls_ms),
        first_call_p=first_p,
        conclusive=conclusive,
        outcomes_confirmed=conclusive and not harmed and log_factor >= confirming,
        latency_confirmed=conclusive and not harmed and faster and first_p < _SLOWER_P,
        harmed=conclusive and harmed,
        at=max(cold.evaluation.at, newest.at),
    )
    return draft.model_copy(update={"experiment_id": content_hash("reload", draft)})


def _rows(evaluation: Evaluation) -> Mapping[str, OutcomeRow]:
    return {row.prompt_id: row for row in evaluation.rows}


def _compared(cold: OutcomeRow, warm: OutcomeRow) -> PromptReload:
    passes = [row.outcomes.count(Outcome.PASS) for row in (cold, warm)]
    counts = passes[0], len(cold.outcomes), passes[1], len(warm.outcomes)
    return PromptReload(
        prompt_id=cold.prompt_id,
        cold_passes=counts[0],
        cold_n=counts[1],
        warm_passes=counts[2],
        warm_n=counts[3],
        log_bayes_factor=reload_log_bayes_factor(*counts),
    )
