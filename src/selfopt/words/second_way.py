"""Sentences about calls that are compared with those of a second way of asking."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.home import counted, escape_control
from selfopt.records import Calibration, SampleUsed, ServedFigures, ServeWhen


def second_text(calibration: Calibration, figures: Sequence[ServedFigures]) -> list[str]:
    """What the second way of asking is for, and how often it is asked; sentences without a full stop."""
    if calibration.second is None:
        return []
    name = escape_control(calibration.second.variant.name, 200)
    if "agrees" not in calibration.confidence_model.signals:
        return [f"Whether the calls of {name} are the same told nothing more of right and wrong, so live traffic is not asked so"]
    shown = next((one for one in figures if one.sample == "calibrate"), None)
    if calibration.serve_when is None or shown is None:
        return [f"Its confidence also depends on whether the calls of {name} are the same"]
    return [
        f"Its confidence also depends on whether the calls of {name} are the same; {shown.asked_twice} of "
        f"{counted(shown.prompts, 'calibration prompt')} would be asked so, since only that tells whether the answer is served"
    ]


def compared_text(surely: ServeWhen) -> str:
    """What calls are compared with: `, compared with tools=signatures`; nothing where they are not."""
    if surely.second is None or not surely.compares:
        return ""
    return f", compared with {escape_control(surely.second.variant.name, 200)}"


def second_trials_text(calibration: Calibration) -> tuple[str, ...]:
    """What the comparison rests on; nothing where calls were not compared."""
    if calibration.second is None:
        return ()
    name, n = escape_control(calibration.second.variant.name, 200), len(calibration.second_trials)
    return (f"calls compared with those of {name}, the spec {calibration.second.spec_id}: {counted(n, 'trial')}",)


def second_gap_text(used: SampleUsed) -> list[str]:
    """How many prompts were not asked in the second way, and which command does it."""
    if not used.second_unmeasured:
        return []
    what = f"{used.second_unmeasured} of {counted(used.prompts, 'prompt')} were not asked in the second way"
    return [f"{what}; measure them with: {escape_control(used.second_command, 500)}"]
