"""Capability limit: whole, readable replies, and still too few of them right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from selfopt.feedback.reading import Note, cells, comparable, counted, is_exact, make_finding, share_text
from selfopt.feedback.rows import WindowRows, read_window
from selfopt.records import Evaluation, Finding, Outcome, OutcomeRow, PolicyThresholds
from selfopt.stats import clopper_pearson_upper

__all__ = ["CapabilityLimit"]


@dataclass(frozen=True, slots=True)
class CapabilityLimit:
    """max_fault_share: above this share of unparsed, truncated, timed out, loading and failed trials nothing is said about
    the model, because the harness is the likelier cause."""

    thresholds: PolicyThresholds = field(default_factory=PolicyThresholds)
    max_fault_share: float = 0.05
    confidence: float = 0.95

    def examine(self, evaluations: Sequence[Evaluation]) -> Sequence[Finding]:
        """One finding when the upper confidence bound of accuracy or of call accuracy lies below the phase's minimum.

        Where the suite is the whole work and the spec deterministic, the share itself is the bound. The bound counts every fault
        and every failure of a cold start as a pass: none of them is the model's. It takes trials as independent, which errs to the
        safe side for repeats on a fixed suite.
        """
        window = comparable(evaluations)
        if not window:
            return ()
        if is_exact(window[-1]):
            window = window[-1:]
        counts = counted(window)
        n = sum(counts.values())
        faults = sum(k for outcome, k in counts.items() if not outcome.says_something_about_the_model)
        if n == 0 or faults / n > self.max_fault_share:
            return ()
        note = self._note(window, n)
        return [make_finding("capability_limit", window, note)] if note is not None else ()

    def _minimum(self, evaluation: Evaluation) -> float:
        if evaluation.phase == "extended":
            return self.thresholds.extended_phase_min_accuracy
        return self.thresholds.atomic_phase_min_accuracy

    def _note(self, window: Sequence[Evaluation], n: int) -> Note | None:
        newest = window[-1]
        minimum, read = self._minimum(newest), read_window(window)
        every = list(cells(window))
        calling = [cell for cell in every if cell[0].needs_call]
        accuracy, upper = self._share(every, read, exact=is_exact(newest))
        call_accuracy, call_upper = self._share(calling, read, exact=is_exact(newest))
        if min(upper, call_upper) >= minimum:
            return None
        mute = bool(calling) and all(outcome is Outcome.MISSED for _, _, outcome in calling)
        words = "it never calls a tool: " if mute else ""
        counts = counted(window)
        faults = sum(k for outcome, k in counts.items() if not outcome.says_something_about_the_model)
        note = Note(
            f"with this variant {words}accuracy {share_text(accuracy)}, call accuracy {share_text(call_accuracy)} over {n} whole, "
            f"readable replies; at most {share_text(min(upper, call_upper))} is plausible where {share_text(minimum)} is asked",
            {
                "accuracy": accuracy if accuracy is not None else 0.0,
                "upper_bound": min(upper, call_upper),
                "confidence": 1.0 if is_exact(newest) else self.confidence,
                "minimum": minimum,
                "n": n,
                "faults": faults,
                "cold_start_failures": sum(len(runs) for runs in read.called.values()),
                "mute": int(mute),
                **{f"{o.value}_share": counts[o] / n for o in (Outcome.WRONG, Outcome.UNCALLED_FOR, Outcome.MISSED)},
                **({} if call_accuracy is None else {"call_accuracy": call_accuracy}),
            },
        )
        return note.add(window, lambda _row, _index, outcome: outcome is not Outcome.PASS)

    def _share(
        self, trials: Sequence[tuple[OutcomeRow, int, Outcome]], read: WindowRows, *, exact: bool
    ) -> tuple[float | None, float]:
        """The share that passed (None: no trial), and the largest that is plausible."""
        n = len(trials)
        if n == 0:
            return None, 1.0
        passed = sum(outcome is Outcome.PASS for _, _, outcome in trials)
        excused = sum(
            not outcome.says_something_about_the_model or index in read.called.get(id(row), frozenset())
            for row, index, outcome in trials
        )
        possible = passed + excused
        return passed / n, possible / n if exact else clopper_pearson_upper(possible, n, self.confidence)
