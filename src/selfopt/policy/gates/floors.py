"""The minima that every spec must reach, whatever the baseline does."""

from __future__ import annotations

from .base import ROUNDING, GateCase, Look, PlainGate


def _restraint(case: GateCase) -> Look:
    ours, minimum = case.candidate.metrics.restraint, case.thresholds.restraint_min
    if ours is None:
        return Look(None, minimum, None, "no prompt of this suite asks for restraint", binding=False)
    return Look(ours, minimum, ours >= minimum - ROUNDING, f"restraint {ours:.3f}, minimum {minimum:.3f}")


def _extended(case: GateCase) -> Look | None:
    if case.candidate.phase != "extended":
        return None
    metrics, minimum = case.candidate.metrics, case.thresholds.extended_phase_min_accuracy
    weakest = metrics.accuracy if metrics.call_accuracy is None else min(metrics.accuracy, metrics.call_accuracy)
    enabled = case.thresholds.extended_gate_enabled
    detail = f"the smaller of accuracy and call accuracy is {weakest:.3f}, minimum {minimum:.3f}"
    return Look(weakest, minimum, weakest >= minimum - ROUNDING, detail if enabled else f"{detail} (gate switched off)", enabled)


def _silent(case: GateCase) -> Look:
    ours, silent = case.candidate.metrics.accuracy, case.candidate.metrics.silent.accuracy
    return Look(ours, silent, ours > silent + ROUNDING, f"accuracy {ours:.3f}, never calling scores {silent:.3f}")


def _always_calling(case: GateCase) -> Look:
    ours, always = case.candidate.metrics.accuracy, case.candidate.metrics.always_calling.accuracy
    return Look(ours, always, ours > always + ROUNDING, f"accuracy {ours:.3f}, always calling the first tool scores {always:.3f}")


RESTRAINT = PlainGate("restraint", "low_restraint", "reject", _restraint)
EXTENDED_MINIMUM = PlainGate("extended_minimum", "extended_minimum", "reject", _extended)
BEATS_SILENT = PlainGate("beats_silent", "not_above_silent", "reject", _silent)
BEATS_ALWAYS_CALLING = PlainGate("beats_always_calling", "not_above_always_calling", "reject", _always_calling)
