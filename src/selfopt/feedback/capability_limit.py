"""Capability limit: whole, readable replies, and still too few of them right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from selfopt.records import Evaluation, Finding, Outcome, PolicyThresholds
from selfopt.stats import clopper_pearson_upper

from .reading import Note, comparable, counted, is_exact, make_finding, share_text

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

        Where the suite is the whole work and the spec deterministic, the share itself is the bound. The bound takes trials as
        independent, which errs to the safe side for repeats on a fixed suite.
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

    def _upper(self, exact: bool, passed: int, n: int) -> float:
        return passed / n if exact else clopper_pearson_upper(passed, n, self.confidence)

    def _note(self, window: Sequence[Evaluation], n: int) -> Note | None:
        newest = window[-1]
        minimum, exact = self._minimum(newest), is_exact(newest)
        calling = [o for e in window for row in e.rows if row.needs_call for o in row.outcomes]
        counts = counted(window)
        accuracy = counts[Outcome.PASS] / n
        upper = self._upper(exact, counts[Outcome.PASS], n)
        call_passes = calling.count(Outcome.PASS)
        call_accuracy = call_passes / len(calling) if calling else None
        call_upper = self._upper(exact, call_passes, len(calling)) if calling else 1.0
        if min(upper, call_upper) >= minimum:
            return None
        mute = bool(calling) and all(o is Outcome.MISSED for o in calling)
        words = "it never calls a tool: " if mute else ""
        note = Note(
            f"with this variant {words}accuracy {share_text(accuracy)}, call accuracy {share_text(call_accuracy)} over {n} whole, "
            f"readable replies; at most {share_text(min(upper, call_upper))} is plausible where {share_text(minimum)} is asked",
            {
                "accuracy": accuracy,
                "upper_bound": min(upper, call_upper),
                "minimum": minimum,
                "n": n,
                "mute": int(mute),
                **{f"{o.value}_share": counts[o] / n for o in (Outcome.WRONG, Outcome.UNCALLED_FOR, Outcome.MISSED)},
                **({} if call_accuracy is None else {"call_accuracy": call_accuracy}),
            },
        )
        return note.add(window, lambda _row, _index, outcome: outcome is not Outcome.PASS)
