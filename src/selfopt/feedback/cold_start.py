"""Cold start: the model was being loaded when the first requests came.

Two cases. Accuracy: prompts fail in the first runs after a load and pass from then on (FFPPPPP). Latency: everything passes,
but a request that had to wait for the load took far longer than the others. Both need evidence of a load: the row alone
arises too easily from chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from selfopt.records import Evaluation, Finding, Outcome, OutcomeRow
from selfopt.stats import MAX_COLD_RUNS, MIN_PATTERN_RUNS, cold_prefix, exchangeability_p

from .reading import Figures, Note, cells, comparable, make_finding, passes

__all__ = ["ColdStart", "cold_runs"]

_WAITED = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})


def _shows_load(row: OutcomeRow, index: int) -> bool:
    """Whether this trial itself carries evidence of a load."""
    if index < len(row.outcomes) and row.outcomes[index] is Outcome.LOADING:
        return True
    return index < len(row.loaded) and row.loaded[index] is True


def cold_runs(evaluation: Evaluation, row: OutcomeRow) -> frozenset[int]:
    """The runs in which this prompt failed because the model was cold; empty where that cannot be said.

    A trial with outcome `loading` is its own evidence. A row of 5 runs or more that reads F(1-3)P.. counts when its failures
    are timeouts or errors and a load shows anywhere in those runs (or in the one after, which waited for it), or when
    every one of its failures carries its own evidence of a load.
    """
    loading = {i for i, outcome in enumerate(row.outcomes) if outcome is Outcome.LOADING}
    k = cold_prefix(passes(row)) if len(row.outcomes) >= MIN_PATTERN_RUNS else None
    if k is None:
        return frozenset(loading)
    if all(row.outcomes[i] in _WAITED for i in range(k)):
        near = any(_shows_load(other, i) for other in evaluation.rows for i in range(k + 1))
    else:
        near = all(_shows_load(row, i) for i in range(k))
    return frozenset(range(k)) if near else frozenset(loading)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """min_ratio and min_excess_ms: how much slower than the median a first call must be for the latency case."""

    min_ratio: float = 2.0
    min_excess_ms: float = 200.0
    significance: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation]) -> Sequence[Finding]:
        """At most one finding of each case; figure `case` tells which."""
        window = comparable(evaluations)
        if not window:
            return ()
        notes = [note for note in (self._accuracy(window), self._latency(window)) if note is not None]
        return [make_finding("cold_start", window, note) for note in notes]

    def _accuracy(self, window: Sequence[Evaluation]) -> Note | None:
        affected: dict[int, frozenset[int]] = {}
        rows: list[OutcomeRow] = []
        for evaluation in window:
            for row in evaluation.rows:
                runs = cold_runs(evaluation, row)
                if runs:
                    affected[id(row)] = runs
                    rows.append(row)
        if not rows:
            return None
        failures = sum(len(affected[id(row)]) for row in rows)
        tables = [passes(row) for e in window for row in e.rows]
        p_value = exchangeability_p(tables, range(1, MAX_COLD_RUNS + 1))
        prompts = len({row.prompt_id for row in rows})
        of = len({row.prompt_id for e in window for row in e.rows})
        example = max((row.letters for row in rows), key=len)
        figures: Figures = {"case": "accuracy", "prompts": prompts, "of": of, "failures": failures, "p_value": p_value}
        figures |= {"example": example, **self._load_figures(window)}
        note = Note(
            f"{prompts} of {of} prompts fail while the model is being loaded and not afterwards (such as {example}): "
            f"{failures} failures are a cold start",
            figures,
            "high" if p_value < self.significance else "medium",
        )
        return note.add(window, lambda row, index, _: index in affected.get(id(row), frozenset()))

    def _latency(self, window: Sequence[Evaluation]) -> Note | None:
        slow: list[tuple[float, float, float]] = []
        for evaluation in window:
            first, p50 = evaluation.metrics.first_call_ms, evaluation.metrics.p50_ms
            if first is None or p50 is None or not any(_shows_load(r, i) for r, i, _ in cells([evaluation])):
                continue
            reported = _reported_loads([evaluation])
            load = median(reported) if reported else first - p50
            waited = max(first, p50 + load)
            if waited >= self.min_ratio * p50 and waited - p50 >= self.min_excess_ms:
                slow.append((waited, p50, load))
        if not slow:
            return None
        first, p50, load = (median(column) for column in zip(*slow, strict=True))
        note = Note(
            f"the first call after a load takes {first:.0f} ms against a median of {p50:.0f} ms: "
            f"about {load:.0f} ms of it is the load",
            {"case": "latency", "first_call_ms": first, "p50_ms": p50, "load_ms": load, "evaluations": len(slow)},
            "high",
        )
        return note.add(window, lambda row, index, _: _shows_load(row, index))

    def _load_figures(self, window: Sequence[Evaluation]) -> Figures:
        figures: Figures = {"loads": sum(_shows_load(row, index) for row, index, _ in cells(window))}
        reported = _reported_loads(window)
        if reported:
            figures["load_ms"] = median(reported)
        return figures


def _reported_loads(window: Sequence[Evaluation]) -> list[float]:
    """Milliseconds of the loads that trials report. Servers name a load time for warm calls too, so only trials count that
    are known to have waited for one."""
    found = []
    for row, index, _ in cells(window):
        load_ms = row.load_ms[index] if index < len(row.load_ms) else None
        if load_ms is not None and _shows_load(row, index):
            found.append(load_ms)
    return found
