"""What detectors share: which evaluations may be read together, counting, and the making of a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from selfopt.records import Confidence, Evaluation, Finding, FindingKind, Outcome, OutcomeRow, content_hash, whole_evaluations

__all__ = [
    "Figures",
    "Note",
    "best_known",
    "cells",
    "comparable",
    "counted",
    "has_copies",
    "is_exact",
    "make_finding",
    "passes",
    "share_text",
    "with_known_copies",
]

Figures = dict[str, float | int | str]
_MANY_RUNS = 7
_COPIES = ("sampled", "complete")
_SOME_RUNS = 3


def has_copies(evaluation: Evaluation) -> bool:
    """Whether repeats are known to be copies of one another."""
    return evaluation.determinism in _COPIES


def is_exact(evaluation: Evaluation) -> bool:
    """Whether the suite is the whole work and repeats are known to be copies."""
    return evaluation.scope == "whole" and has_copies(evaluation)


def comparable(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Those that can be read together with the newest (the last), oldest first.

    Same spec, environment, scorer and suite content, the same prompts, and no run twice: a later evaluation of the same runs
    replaces an earlier one.
    """
    if not evaluations:
        return []
    newest = evaluations[-1]
    key = _key(newest)
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
    """Comparable evaluations, oldest first, where one that only repeats what a deterministic one before it showed is known to be
    deterministic too: a single pass more must not turn what is known exactly into two runs of unknown worth."""
    found: list[Evaluation] = []
    shown: Evaluation | None = None
    for evaluation in evaluations:
        if has_copies(evaluation):
            shown = evaluation
        elif shown is not None and _repeats(evaluation, shown):
            found.append(evaluation.model_copy(update={"determinism": shown.determinism}))
            continue
        else:
            shown = None  # it differs, so repeats are no copies after all
        found.append(evaluation)
    return found


def best_known(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """Of the evaluations of one spec, oldest first, the one to go by: the newest of the whole suite, or the one that showed
    determinism when nothing but copies came after it. None: there is none."""
    alike = comparable(whole_evaluations(e for e in evaluations if e.metrics.n > 0))
    told = with_known_copies(alike)
    for evaluation, known in zip(reversed(alike), reversed(told), strict=True):
        if evaluation.determinism == known.determinism:
            return evaluation
    return None


def _repeats(evaluation: Evaluation, shown: Evaluation) -> bool:
    """Whether every prompt has the one outcome that it had before."""
    before, now = ({r.prompt_id: frozenset(r.outcomes) for r in e.rows} for e in (shown, evaluation))
    return before == now and all(len(outcomes) == 1 for outcomes in now.values())


def cells(evaluations: Sequence[Evaluation]) -> Iterator[tuple[OutcomeRow, int, Outcome]]:
    """Every judged trial as (row, run index, outcome)."""
    for evaluation in evaluations:
        for row in evaluation.rows:
            for index, outcome in enumerate(row.outcomes):
                yield row, index, outcome


def counted(evaluations: Sequence[Evaluation]) -> Counter[Outcome]:
    """How often each outcome is there."""
    return Counter(outcome for _, _, outcome in cells(evaluations))


def passes(row: OutcomeRow) -> list[bool]:
    """The row as passes and failures."""
    return [outcome is Outcome.PASS for outcome in row.outcomes]


def share_text(value: float | None) -> str:
    """A share for a sentence."""
    return "unknown" if value is None else f"{value:.3f}"


class Note:
    """What a detector saw: a sentence, its figures, and the trials it rests on."""

    __slots__ = ("confidence", "figures", "prompt_ids", "summary", "trial_ids")

    def __init__(self, summary: str, figures: Figures, confidence: Confidence | None = None) -> None:
        self.summary = summary
        self.figures = figures
        self.confidence = confidence
        self.prompt_ids: list[str] = []
        self.trial_ids: list[str] = []

    def add(self, evaluations: Sequence[Evaluation], wanted: Callable[[OutcomeRow, int, Outcome], bool]) -> Note:
        """Take in the prompts and trials that `wanted` says yes to."""
        for row, index, outcome in cells(evaluations):
            if wanted(row, index, outcome):
                if row.prompt_id not in self.prompt_ids:
                    self.prompt_ids.append(row.prompt_id)
                if index < len(row.trial_ids):
                    self.trial_ids.append(row.trial_ids[index])
        return self


def _confidence(evaluations: Sequence[Evaluation]) -> Confidence:
    if is_exact(evaluations[-1]):
        return "exact"
    runs = sum(e.n_runs for e in evaluations)
    return "high" if runs >= _MANY_RUNS else "medium" if runs >= _SOME_RUNS else "low"


def make_finding(kind: FindingKind, evaluations: Sequence[Evaluation], note: Note) -> Finding:
    """The finding about the spec of these evaluations (the newest last). Its id is the hash of its content."""
    newest = evaluations[-1]
    draft = Finding(
        finding_id="",
        type=kind,
        model=newest.model,
        phase=newest.phase,
        spec_id=newest.spec_id,
        summary=note.summary,
        figures=note.figures,
        prompt_ids=tuple(note.prompt_ids),
        evaluation_ids=tuple(e.evaluation_id for e in evaluations),
        run_ids=tuple(dict.fromkeys(run_id for e in evaluations for run_id in e.run_ids)),
        trial_ids=tuple(dict.fromkeys(note.trial_ids)),
        confidence=note.confidence if note.confidence is not None else _confidence(evaluations),
        at=newest.at,
    )
    return draft.model_copy(update={"finding_id": content_hash("finding", draft)})
