"""What detectors share: choosing comparable evaluations, counting outcomes, making findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from selfopt.errors import Cause
from selfopt.records import Confidence, Evaluation, Figures, Finding, Outcome, OutcomeRow, content_hash, whole_evaluations
from selfopt.words.evidence import on_prompts
from selfopt.words.findings import summary

_MANY_RUNS = 7
_SOME_RUNS = 3


def is_exact(evaluation: Evaluation) -> bool:
    """Whether the metrics are exact: the suite is the whole work, and repeats are known copies."""
    return evaluation.scope == "whole" and evaluation.has_copies


def comparable(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations that can be read together with the newest one.

    They have its spec, environment, scorer, suite content and prompts. No run counts twice: a later
    evaluation of the same runs replaces an earlier one.

    Args:
        evaluations: oldest first.
    """
    if not evaluations:
        return []
    key = _key(evaluations[-1])
    taken: list[Evaluation] = []
    seen: set[str] = set()
    for evaluation in reversed(evaluations):
        if _key(evaluation) == key and seen.isdisjoint(evaluation.run_ids):
            taken.append(evaluation)
            seen.update(evaluation.run_ids)
    return taken[::-1]


def _key(evaluation: Evaluation) -> tuple[object, ...]:
    return (
        evaluation.spec_id,
        evaluation.environment_id,
        evaluation.scorer_hash,
        evaluation.suite_hash,
        evaluation.split,
        frozenset(row.prompt_id for row in evaluation.rows),
    )


def with_known_copies(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations, with those marked deterministic that only repeat a deterministic one.

    Otherwise one more pass would turn an exactly known result into two runs of unknown worth.

    Args:
        evaluations: comparable ones, oldest first.
    """
    found: list[Evaluation] = []
    shown: Evaluation | None = None
    for evaluation in evaluations:
        if evaluation.has_copies:
            shown = evaluation
        elif shown is not None and _repeats(evaluation, shown):
            found.append(evaluation.model_copy(update={"determinism": shown.determinism}))
            continue
        else:
            shown = None  # it differs, so repeats are not copies after all
        found.append(evaluation)
    return found


def best_known(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """The evaluation that tells most about a spec; None if there is none.

    It is the newest one of the whole suite, or the one that showed determinism if only copies came
    after it.

    Args:
        evaluations: of one spec, oldest first.
    """
    alike = comparable(whole_evaluations(e for e in evaluations if e.metrics.n > 0))
    pairs = zip(reversed(alike), reversed(with_known_copies(alike)), strict=True)
    return next((evaluation for evaluation, known in pairs if evaluation.determinism == known.determinism), None)


def _repeats(evaluation: Evaluation, shown: Evaluation) -> bool:
    """Whether every prompt has a single outcome, and the same one as before."""
    before, now = ({r.prompt_id: frozenset(r.outcomes) for r in e.rows} for e in (shown, evaluation))
    return before == now and all(len(outcomes) == 1 for outcomes in now.values())


def cells(evaluations: Sequence[Evaluation]) -> Iterator[tuple[OutcomeRow, int, Outcome]]:
    """Every judged trial as (row, run index, outcome)."""
    for evaluation in evaluations:
        for row in evaluation.rows:
            for index, outcome in enumerate(row.outcomes):
                yield row, index, outcome


def counted(evaluations: Sequence[Evaluation]) -> Counter[Outcome]:
    """The number of trials with each outcome."""
    return Counter(outcome for _, _, outcome in cells(evaluations))


def unread(row: OutcomeRow, _index: int, outcome: Outcome) -> bool:
    """Whether a trial has a call that was not read, as the row shows.

    A row of an earlier version shows none, so what was recommended because of it stays.
    """
    return outcome is Outcome.UNPARSED and bool(row.excerpt)


def only_thought(row: OutcomeRow, index: int, outcome: Outcome) -> bool:
    """Whether a trial missed a call that stands in its thinking."""
    return outcome is Outcome.MISSED and index < len(row.call_in_thinking) and row.call_in_thinking[index]


def cause_of(row: OutcomeRow, index: int, outcome: Outcome) -> Cause | None:
    """Why the server refused a trial, as far as it said so.

    A trial that waited for a load is a cold start, whatever the server called it.
    """
    told = row.causes[index] if index < len(row.causes) else None
    return told if outcome in (Outcome.ERROR, Outcome.TIMEOUT) else None


def passes(row: OutcomeRow) -> list[bool]:
    """For each run of a prompt, whether it passed."""
    return [outcome is Outcome.PASS for outcome in row.outcomes]


def _confidence(evaluations: Sequence[Evaluation]) -> Confidence:
    if is_exact(evaluations[-1]):
        return "exact"
    runs = sum(e.n_runs for e in evaluations)
    return "high" if runs >= _MANY_RUNS else "medium" if runs >= _SOME_RUNS else "low"


Wanted = Callable[[OutcomeRow, int, Outcome], bool]


def make_finding(
    evaluations: Sequence[Evaluation], figures: Figures, wanted: Wanted | None = None, confidence: Confidence | None = None
) -> Finding:
    """Makes a finding about the spec of these evaluations. Its id is the hash of its content.

    Args:
        evaluations: the newest last.
        wanted: whether the finding rests on a trial, given its row, the index of its run and its
            outcome. None: it rests on no single trial.
        confidence: how sure the finding is. Default: what the number of runs implies.
    """
    newest = evaluations[-1]
    seen = [(row, index) for row, index, outcome in cells(evaluations) if wanted is not None and wanted(row, index, outcome)]
    draft = Finding(
        finding_id="",
        type=figures.kind,
        model=newest.model,
        phase=newest.phase,
        spec_id=newest.spec_id,
        summary=on_prompts(summary(figures), synthetic=newest.synthetic),
        figures=figures,
        prompt_ids=tuple(dict.fromkeys(row.prompt_id for row, _ in seen)),
        evaluation_ids=tuple(e.evaluation_id for e in evaluations),
        run_ids=tuple(dict.fromkeys(run_id for e in evaluations for run_id in e.run_ids)),
        trial_ids=tuple(dict.fromkeys(row.trial_ids[index] for row, index in seen if index < len(row.trial_ids))),
        confidence=confidence or _confidence(evaluations),
        synthetic=newest.synthetic,
        at=newest.at,
    )
    return named(draft)


def named(draft: Finding) -> Finding:
    """The finding with its id, which is the hash of the rest of its content."""
    draft = draft.model_copy(update={"finding_id": ""})
    return draft.model_copy(update={"finding_id": content_hash("finding", draft)})
