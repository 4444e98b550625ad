"""Turns evaluations into findings, recommendations and hot failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from selfopt.records import Detector, Evaluation, Feedback, Finding, HotFailure, Outcome, OutcomeRow, Phase, Recommendation

from .comparable import cause_of, named
from .confirming import speaking_experiment, with_experiment
from .detectors import DETECTORS
from .detectors.cold_start import ColdStart
from .escalation import mixed_capability
from .recommend import recommend
from .standing import FeedbackOptions, Standing, standings

_HOT_SHARE = 0.5
_MOST_HOT = 10


def analyze(evaluations: Sequence[Evaluation], options: FeedbackOptions) -> Feedback:
    """The feedback on the evaluations of all models and phases.

    Each model and phase is judged by its baseline spec on the reference suite of the phase, over
    the last `options.window` comparable evaluations. Other specs and suites only contribute to the
    hot failures. An evaluation belongs to the spec that served, so the score of a fallback never
    counts for the model that it replaced. Equal inputs give equal outputs.

    Args:
        evaluations: oldest first.
    """
    all_standings = standings(evaluations, options)
    findings: list[Finding] = []
    recommendations: list[Recommendation] = []
    for standing in all_standings.values():
        mine = [*_examine(standing, options), *_of_cycle(mixed_capability(standing, options), options)]
        mine += _loads_seen_elsewhere(standing, mine, evaluations, options)
        experiment = speaking_experiment(standing.newest, options)
        mine = with_experiment(mine, experiment)
        findings += mine
        recommendations += recommend(standing, mine, all_standings, options, experiment)
    return Feedback(
        generated_at=options.now,
        accuracy=tuple(standing.summary for standing in all_standings.values()),
        hot_failures=hot_failures(evaluations, options.window),
        findings=tuple(findings),
        recommendations=tuple(recommendations),
    )


def _examine(standing: Standing, options: FeedbackOptions) -> list[Finding]:
    def findings_of(detector: Detector) -> list[Finding]:
        found = list(detector.examine(standing.evaluations, options.thresholds))
        if not all(isinstance(finding, Finding) for finding in found):
            raise TypeError("a detector returns findings")
        return found

    return _of_cycle([finding for _, found in DETECTORS.ask(findings_of, list[Finding]()) for finding in found], options)


def _loads_seen_elsewhere(
    standing: Standing, mine: Sequence[Finding], evaluations: Sequence[Evaluation], options: FeedbackOptions
) -> list[Finding]:
    """The newest cold start of another spec of this model and phase, if the baseline shows none.

    All specs share the loading of a model: the first one that is measured waits for it, and a
    candidate that is promoted afterwards found the model loaded. Without this rule, the promotion
    of that candidate would also remove the remedy. It helps nobody where the server refuses every
    request.
    """
    newest = standing.newest
    if newest.refused == newest.metrics.n or newest.warm_up or any(finding.type == "cold_start" for finding in mine):
        return []
    others: dict[str, list[Evaluation]] = {}
    for evaluation in reversed(evaluations):
        same = (evaluation.model, evaluation.phase) == (newest.model, newest.phase)
        if same and not evaluation.warm_up and evaluation.spec_id != newest.spec_id:
            others.setdefault(evaluation.spec_id, []).insert(0, evaluation)
    found = (ColdStart().examine(group[-max(1, options.window) :], options.thresholds) for group in others.values())
    return _of_cycle(next((list(findings) for findings in found if findings), []), options)


def _of_cycle(found: list[Finding], options: FeedbackOptions) -> list[Finding]:
    """The findings, assigned to the cycle that the options name."""
    if options.cycle_id is None:
        return found
    return [named(f.model_copy(update={"cycle_id": options.cycle_id})) for f in found]


def hot_failures(evaluations: Sequence[Evaluation], window: int) -> tuple[HotFailure, ...]:
    """The prompts that keep failing, under any spec and suite; at most ten of each model and phase.

    A prompt counts if it failed in half or more of its trials in the last `window` evaluations. Trials
    whose cause the server names are left out, since no prompt is to blame. The largest share comes
    first. Prompts of different suite contents are counted separately.
    """
    groups: dict[tuple[str, Phase], list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault((evaluation.model, evaluation.phase), []).append(evaluation)
    return tuple(hot for (model, phase), group in groups.items() for hot in _hottest(model, phase, group[-max(1, window) :]))


def _hottest(model: str, phase: Phase, evaluations: Sequence[Evaluation]) -> list[HotFailure]:
    prompts: dict[tuple[str, str], list[OutcomeRow]] = {}
    for evaluation in evaluations:
        for row in evaluation.rows:
            prompts.setdefault((evaluation.suite_hash, row.prompt_id), []).append(row)
    hot = []
    for (_, prompt_id), rows in prompts.items():
        told = ((row, i, outcome) for row in rows for i, outcome in enumerate(row.outcomes))
        outcomes = Counter(outcome for row, i, outcome in told if cause_of(row, i, outcome) is None)
        failed = {outcome.value: count for outcome, count in sorted(outcomes.items()) if outcome is not Outcome.PASS}
        failures, trials = sum(failed.values()), outcomes.total()
        if failures > 0 and failures / trials >= _HOT_SHARE:
            hot.append(
                HotFailure(
                    model=model,
                    phase=phase,
                    prompt_id=prompt_id,
                    prompt_kind=rows[0].prompt_kind,
                    failures=failures,
                    of=trials,
                    outcomes=failed,
                )
            )
    return sorted(hot, key=lambda h: (-h.failures / h.of, -h.failures))[:_MOST_HOT]
