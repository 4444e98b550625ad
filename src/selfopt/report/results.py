"""The machine-readable results, with the keys of the specification."""

from __future__ import annotations

from collections import Counter
from typing import Any

from selfopt.records import Cycle, CycleTargetResult, Evaluation, Ledger, Metrics, WarmUpExperiment
from selfopt.words.findings import experiment_text

HISTORY_SCHEMA_VERSION = 1


def cycle_results(cycle: Cycle) -> dict[str, Any]:
    """The content of CYCLE_<n>_RESULTS.json.

    `winner` and `improvement` are those of the model and phase that gained most, or null if no
    candidate was promoted. `improvement` is a difference of accuracies in [-1, 1].
    """
    best = _best(cycle)
    return {
        "cycle": cycle.number,
        "cycle_id": cycle.cycle_id,
        "candidates_tested": [candidate for target in cycle.targets for candidate in _candidates(target)],
        "winner": _winner(best) if best else None,
        "improvement": best.improvement if best else None,
        "targets": [_target(target) for target in cycle.targets],
        "remedies": [remedy.model_dump(mode="json") for remedy in cycle.remedies],
        "findings": list(cycle.findings),
        "recommendations": list(cycle.recommendations),
        "config_version": cycle.config_version,
        "trials": cycle.trials,
        "started_at": cycle.started_at,
        "ended_at": cycle.ended_at,
    }


def history(ledger: Ledger) -> dict[str, Any]:
    """The content of meta_loop_history.json: every finished cycle, with candidates and winner."""
    cycles = sorted(ledger.read(Cycle), key=lambda c: c.number)
    return {"schema_version": HISTORY_SCHEMA_VERSION, "cycles": [_history_entry(cycle) for cycle in cycles]}


def warm_up_results(
    cold: Evaluation, warm: Evaluation, *, validation: bool = False, experiment: WarmUpExperiment | None = None
) -> dict[str, Any]:
    """The content of WARM_UP_VALIDATION_RESULTS.json.

    `before` and `after` are accuracies, as means over the runs. `pattern` is the most frequent pair
    of outcome rows among the prompts whose rows differ between the arms, or among all prompts if no
    rows differ. `details.experiment` says what cold and warm runs taken in turn prove, with the
    Bayes factor of every prompt; it is null if there was no such experiment.
    """
    before, after = _pattern(cold, warm)
    return {
        "before": cold.metrics.accuracy,
        "after": warm.metrics.accuracy,
        "improvement": warm.metrics.accuracy - cold.metrics.accuracy,
        "variance": {"before": cold.metrics.variance, "after": warm.metrics.variance},
        "pattern": {"before": before, "after": after},
        "details": {
            "model": warm.model,
            "phase": warm.phase,
            "suite": warm.suite,
            "variant": warm.variant,
            "validation": validation,
            "at": max(cold.at, warm.at),
            "first_call_ms": {"before": cold.metrics.first_call_ms, "after": warm.metrics.first_call_ms},
            "p50_ms": {"before": cold.metrics.p50_ms, "after": warm.metrics.p50_ms},
            "run_accuracies": {"before": list(cold.metrics.run_accuracies), "after": list(warm.metrics.run_accuracies)},
            "evaluation_ids": {"before": cold.evaluation_id, "after": warm.evaluation_id},
            "run_ids": {"before": list(cold.run_ids), "after": list(warm.run_ids)},
            "outcomes": {"before": _counts(cold.metrics), "after": _counts(warm.metrics)},
            "rows": [
                {"prompt_id": row.prompt_id, "before": row.letters, "after": after_row}
                for row in cold.rows
                if (after_row := _rows(warm).get(row.prompt_id)) is not None
            ],
            "experiment": None if experiment is None else _experiment(experiment),
        },
    }


def _experiment(experiment: WarmUpExperiment) -> dict[str, Any]:
    return {
        "told": experiment_text(experiment),
        "confirmed": experiment.confirmed,
        "bayes_factor": experiment.bayes_factor,
        **experiment.model_dump(mode="json"),
    }


def _best(cycle: Cycle) -> CycleTargetResult | None:
    winners = [t for t in cycle.targets if t.winner_spec_id is not None]
    return max(winners, key=lambda t: -1.0 if t.improvement is None else t.improvement, default=None)


def _winner(target: CycleTargetResult) -> dict[str, Any]:
    return {
        "model": target.model,
        "phase": target.phase,
        "variant": target.winner_variant,
        "spec_id": target.winner_spec_id,
        "improvement": target.improvement,
    }


def _baseline(target: CycleTargetResult) -> dict[str, Any]:
    return {
        "model": target.model,
        "phase": target.phase,
        "variant": target.baseline_variant,
        "spec_id": target.baseline_spec_id,
        "accuracy": target.baseline_accuracy,
        "evaluation_id": target.baseline_evaluation_id,
    }


def _candidates(target: CycleTargetResult) -> list[dict[str, Any]]:
    return [{"model": target.model, "phase": target.phase, **c.model_dump(mode="json")} for c in target.candidates]


def _target(target: CycleTargetResult) -> dict[str, Any]:
    return {
        "baseline": _baseline(target),
        "candidates": _candidates(target),
        "winner": _winner(target) if target.winner_spec_id is not None else None,
        "improvement": target.improvement,
        "new_baseline_spec_id": target.new_baseline_spec_id,
    }


def _history_entry(cycle: Cycle) -> dict[str, Any]:
    best = _best(cycle)
    return {
        "cycle": cycle.number,
        "cycle_id": cycle.cycle_id,
        "ended_at": cycle.ended_at,
        "baseline": [_baseline(target) for target in cycle.targets],
        "candidates": [candidate for target in cycle.targets for candidate in _candidates(target)],
        "winner": _winner(best) if best else None,
        "improvement": best.improvement if best else None,
        "targets": [_target(target) for target in cycle.targets],
        "trials": cycle.trials,
    }


def _counts(metrics: Metrics) -> dict[str, int]:
    return {outcome.value: count for outcome, count in sorted(metrics.counts.items()) if count}


def _rows(evaluation: Evaluation) -> dict[str, str]:
    return {row.prompt_id: row.letters for row in evaluation.rows}


def _pattern(cold: Evaluation, warm: Evaluation) -> tuple[str, str]:
    after = _rows(warm)
    pairs = [(row.letters, after[row.prompt_id]) for row in cold.rows if row.prompt_id in after]
    counted = Counter([pair for pair in pairs if pair[0] != pair[1]] or pairs)
    return max(counted, key=lambda pair: (counted[pair], pair), default=("", ""))
