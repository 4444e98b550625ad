"""Cold start: the model was still being loaded when the first requests came.

There are three kinds of evidence:

- Waiting: trials were refused or timed out while the model was being loaded.
- Order: prompts fail in their first runs and pass from then on (FFPPPPP), and the classifier says
  that chance does not explain so many of them, given the evidence of loads.
- Latency: everything passes, but a request that waited for the load took much longer than others.

Only an experiment proves a cold start: `selfopt supervise MODEL PHASE --validate-warm-up`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from selfopt.feedback.comparable import cells, comparable, make_finding, passes
from selfopt.feedback.rows import WindowRows, class_figures, loaded_in, read_window, shows_load
from selfopt.records import ColdFailuresFigures, Confidence, Evaluation, Finding, PolicyThresholds, SlowFirstCallFigures
from selfopt.stats import MAX_COLD_RUNS, RowPattern, exchangeability_p


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Finds failures and waits that the loading of the model explains.

    Attributes:
        min_ratio, min_excess_ms: how much slower than the median a first call must be to count.
        significance: of the order of failures.
    """

    min_ratio: float = 2.0
    min_excess_ms: float = 200.0
    significance: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """At most one finding about failures and one about latency."""
        window = comparable(evaluations)
        found = (self._failures(window), self._latency(window)) if window else ()
        return [finding for finding in found if finding is not None]

    def _failures(self, window: Sequence[Evaluation]) -> Finding | None:
        read = read_window(window)
        affected = {id(row): runs for e in window for row in e.rows if (runs := read.cold_runs(row))}
        rows = [row for e in window for row in e.rows if id(row) in affected]
        if not rows:
            return None
        seen = [shows_load(row, index) or loaded_in(row, index) for row in rows for index in affected[id(row)]]
        reported = _reported_loads(window)
        figures = ColdFailuresFigures(
            prompts=len({row.prompt_id for row in rows}),
            of=len({row.prompt_id for e in window for row in e.rows}),
            failures=sum(len(affected[id(row)]) for row in rows),
            p_value=self._order_p(window, read),
            example=max((row.letters for row in rows), key=len),
            loads=sum(shows_load(row, index) for row, index, _ in cells(window)),
            load_ms=median(reported) if reported else None,
            waited=sum(map(len, read.waited.values())),
            called=sum(map(len, read.called.values())),
            loads_in_cold_runs=seen.count(True),
            no_load_in_cold_runs=seen.count(False),
            **(class_figures(read.classification, RowPattern.COLD_START) if read.classification.rows else {}),
        )
        sure: Confidence = "high" if figures.p_value < self.significance and figures.load_seen else "medium"
        return make_finding(window, figures, lambda row, index, _: index in affected.get(id(row), ()), sure)

    def _order_p(self, window: Sequence[Evaluation], read: WindowRows) -> float:
        """The p-value of failures gathering in the first runs.

        It covers the rows that the classifier saw, if it called any a cold start. Otherwise it
        covers all rows, including failures that waited for a load.
        """
        if read.called:
            return read.classification.cold_p
        return exchangeability_p([passes(row) for e in window for row in e.rows], range(1, MAX_COLD_RUNS + 1))

    def _latency(self, window: Sequence[Evaluation]) -> Finding | None:
        slow: list[tuple[float, float, float]] = []
        for evaluation in window:
            first, p50 = evaluation.metrics.first_call_ms, evaluation.metrics.p50_ms
            if first is None or p50 is None or not any(shows_load(r, i) for r, i, _ in cells([evaluation])):
                continue
            reported = _reported_loads([evaluation])
            load = median(reported) if reported else first - p50
            waited = max(first, p50 + load)
            if waited >= self.min_ratio * p50 and waited - p50 >= self.min_excess_ms:
                slow.append((waited, p50, load))
        if not slow:
            return None
        first, p50, load = (median(column) for column in zip(*slow, strict=True))
        figures = SlowFirstCallFigures(first_call_ms=first, p50_ms=p50, load_ms=load, evaluations=len(slow))
        return make_finding(window, figures, lambda row, index, _: shows_load(row, index), "high")


def _reported_loads(window: Sequence[Evaluation]) -> list[float]:
    """The load times that trials report, in milliseconds.

    Servers report a load time for warm calls too, so only trials that waited for a load count.
    """
    told = ((row, index) for row, index, _ in cells(window) if index < len(row.load_ms) and shows_load(row, index))
    return [load_ms for row, index in told if (load_ms := row.load_ms[index]) is not None]


DETECTOR = ColdStart()
