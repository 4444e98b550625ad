"""Cold start: the model was being loaded when the first requests came.

Three sorts of evidence. Waiting: trials were refused or timed out while a load showed. Order: prompts fail in their first runs and
pass from then on (FFPPPPP), more of them than chance explains, as the classifier says of rows and load evidence together. Latency:
everything passes, but a request that had to wait for the load took far longer than the others. What proves it is an experiment:
`selfopt supervise MODEL PHASE --validate-warm-up`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from selfopt.feedback.reading import Figures, Note, cells, comparable, make_finding, passes
from selfopt.feedback.rows import WindowRows, class_figures, loaded_in, read_window, shows_load
from selfopt.records import Confidence, Evaluation, Finding, OutcomeRow
from selfopt.stats import MAX_COLD_RUNS, RowPattern, exchangeability_p

__all__ = ["ColdStart"]


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
        read = read_window(window)
        affected = {id(row): runs for e in window for row in e.rows if (runs := read.cold_runs(row))}
        rows = [row for e in window for row in e.rows if id(row) in affected]
        if not rows:
            return None
        failures = sum(len(affected[id(row)]) for row in rows)
        prompts = len({row.prompt_id for row in rows})
        of = len({row.prompt_id for e in window for row in e.rows})
        example = max((row.letters for row in rows), key=len)
        p_value = self._order_p(window, read)
        figures: Figures = {"case": "accuracy", "prompts": prompts, "of": of, "failures": failures, "p_value": p_value}
        figures |= {"example": example, **self._load_figures(window)}
        figures |= _evidence_figures(rows, affected, read)
        seen = figures["waited"] or figures["loads_in_cold_runs"]
        sure: Confidence = "high" if p_value < self.significance and seen else "medium"
        note = Note(_accuracy_text(figures), figures, sure)
        return note.add(window, lambda row, index, _: index in affected.get(id(row), frozenset()))

    def _order_p(self, window: Sequence[Evaluation], read: WindowRows) -> float:
        """That failures gather in the first runs by chance: of the rows as the classifier saw them where it called any, else of all
        of them with what waited for a load among the failures."""
        if read.called:
            return read.classification.cold_p
        return exchangeability_p([passes(row) for e in window for row in e.rows], range(1, MAX_COLD_RUNS + 1))

    def _latency(self, window: Sequence[Evaluation]) -> Note | None:
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
        note = Note(
            f"the first call after a load takes {first:.0f} ms against a median of {p50:.0f} ms: "
            f"about {load:.0f} ms of it is the load",
            {"case": "latency", "first_call_ms": first, "p50_ms": p50, "load_ms": load, "evaluations": len(slow)},
            "high",
        )
        return note.add(window, lambda row, index, _: shows_load(row, index))

    def _load_figures(self, window: Sequence[Evaluation]) -> Figures:
        figures: Figures = {"loads": sum(shows_load(row, index) for row, index, _ in cells(window))}
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
        if load_ms is not None and shows_load(row, index):
            found.append(load_ms)
    return found


def _evidence_figures(rows: Sequence[OutcomeRow], affected: Mapping[int, frozenset[int]], read: WindowRows) -> Figures:
    """Which evidence stands behind the failures, and what the classifier said."""
    seen = [shows_load(row, index) or loaded_in(row, index) for row in rows for index in affected[id(row)]]
    figures: Figures = {
        "waited": sum(map(len, read.waited.values())),
        "called": sum(map(len, read.called.values())),
        "loads_in_cold_runs": seen.count(True),
        "no_load_in_cold_runs": seen.count(False),
    }
    return {**figures, **class_figures(read.classification, RowPattern.COLD_START)} if read.classification.rows else figures


def _accuracy_text(figures: Figures) -> str:
    """The finding in words, no stronger than the evidence."""
    who, such = f"{figures['prompts']} of {figures['of']} prompts", f"(such as {figures['example']})"
    if figures["waited"] or figures["loads_in_cold_runs"]:
        what = f"fail while the model is being loaded and not afterwards {such}"
        return f"{who} {what}: {figures['failures']} failures are a cold start"
    told = "although no load was seen" if figures["no_load_in_cold_runs"] else "nothing is known of loads"
    what = f"fail in their first runs and not afterwards {such}, more than chance explains (p = {float(figures['p_value']):.2g})"
    return f"{who} {what}; {told}: {figures['failures']} failures look like a cold start"
