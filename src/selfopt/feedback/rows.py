"""Reads the rows of comparable evaluations: which failures a cold start caused, and the classes of
the rest.

A trial that was refused or timed out while the model was being loaded is itself evidence of a cold
start. Any other fault of infrastructure or harness says nothing about the model and is left out of
the classified rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Evaluation, Outcome, OutcomeRow
from selfopt.stats import MIN_PATTERN_RUNS, Classification, PassRow, RowPattern, classify_rows, cold_length, cold_prefix

from .comparable import passes

_WAITED = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})
_PROMPTS_WITHOUT_LOADS = 2


@dataclass(frozen=True, slots=True)
class WindowRows:
    """What the rows of a window show. Rows are identified by their `id()`.

    Attributes:
        waited: the runs of a row that failed because they waited for a load.
        called: the failures in the first runs of a row that the classifier calls a cold start.
        drifting: the rows that the classifier calls a drift.
        classification: of the rows without faults.
    """

    waited: Mapping[int, frozenset[int]]
    called: Mapping[int, frozenset[int]]
    drifting: frozenset[int]
    classification: Classification

    def cold_runs(self, row: OutcomeRow) -> frozenset[int]:
        """The runs in which this prompt failed because the model was cold, as far as is known."""
        return self.waited.get(id(row), frozenset()) | self.called.get(id(row), frozenset())


def loaded_in(row: OutcomeRow, index: int) -> bool | None:
    """Whether the model was loaded during a trial; None if not known."""
    return row.loaded[index] if index < len(row.loaded) else None


def shows_load(row: OutcomeRow, index: int) -> bool:
    """Whether this trial is itself evidence of a load."""
    return row.outcomes[index] is Outcome.LOADING or loaded_in(row, index) is True


def read_window(window: Sequence[Evaluation]) -> WindowRows:
    """Reads comparable evaluations.

    A row holds the runs of one prompt in one evaluation, since each evaluation may have found the
    model cold. Evaluations whose repeats are copies are not classified.
    """
    waited = {id(row): runs for e in window for row in e.rows if (runs := _waited_runs(e, row))}
    classified = (row for e in window if not e.has_copies for row in e.rows)
    told = ((row, tuple(i for i, o in enumerate(row.outcomes) if o.says_something_about_the_model)) for row in classified)
    kept = [(row, whole) for row, whole in told if whole]
    rows = [
        PassRow(tuple(row.outcomes[i] is Outcome.PASS for i in whole), tuple(loaded_in(row, i) for i in whole))
        for row, whole in kept
    ]
    found = classify_rows(rows)
    return WindowRows(
        waited=waited,
        called=_called_runs(kept, rows, found),
        drifting=frozenset(id(kept[index][0]) for index in found.called(RowPattern.DRIFT)),
        classification=found,
    )


def _waited_runs(evaluation: Evaluation, row: OutcomeRow) -> frozenset[int]:
    """The runs of a row that failed because they waited for a load.

    A trial with the outcome `loading` is its own evidence. A row of 5 runs or more that reads
    F(1-3)P.. counts if its failures are timeouts or errors and any prompt shows a load in those
    runs or in the next one, which waited for it.
    """
    loading = frozenset(index for index, outcome in enumerate(row.outcomes) if outcome is Outcome.LOADING)
    k = cold_prefix(passes(row)) if len(row.outcomes) >= MIN_PATTERN_RUNS else None
    if k is None or not all(row.outcomes[index] in _WAITED for index in range(k)):
        return loading
    near = any(shows_load(other, i) for other in evaluation.rows for i in range(min(k + 1, len(other.outcomes))))
    return frozenset(range(k)) if near else loading


def _called_runs(
    kept: Sequence[tuple[OutcomeRow, tuple[int, ...]]], rows: Sequence[PassRow], found: Classification
) -> dict[int, frozenset[int]]:
    """The failures in the cold runs of the rows that the classifier calls a cold start.

    If only one prompt has such rows, all of its failures must show a load, because its pattern
    arises too easily by chance.
    """
    calls = found.called(RowPattern.COLD_START)
    enough = len({kept[index][0].prompt_id for index in calls}) >= _PROMPTS_WITHOUT_LOADS
    called = {}
    for index in calls:
        (row, whole), read = kept[index], rows[index]
        failed = frozenset(whole[run] for run in range(cold_length(read)) if not read.passes[run])
        if failed and (enough or all(shows_load(row, run) for run in failed)):
            called[id(row)] = failed
    return called


def class_figures(found: Classification, pattern: RowPattern) -> dict[str, Any]:
    """The figures behind a class.

    They are the number of rows in each class and in none, the smallest posterior of this class, the
    estimated share of each class, and the p-value if the class needs one.
    """
    return {
        **{f"rows_{name}": count for name, count in found.counts().items()},
        "rows": len(found.rows),
        **{f"weight_{name.value}": round(weight, 4) for name, weight in found.weights.items()},
        "posterior": found.least_posterior(pattern),
        "order_p": {RowPattern.COLD_START: found.cold_p, RowPattern.DRIFT: found.drift_p}.get(pattern),
    }
