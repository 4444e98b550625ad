"""What a search knows of a reply, and what it makes of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Marks = Mapping[str, "Mark"]
"""What is known of one point, by prompt id."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The verdict on one reply, as far as a search needs it.

    Attributes:
        passed: whether it was right.
        needs_call: whether the prompt needs a call.
        called: whether the reply called something.
    """

    passed: bool
    needs_call: bool
    called: bool


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search looks for: accuracy above a floor of restraint.

    Attributes:
        restraint: the floor, from 0 to 1.
        call_weight: how much call accuracy counts beside accuracy, from 0 to 1.
        below: what each point of restraint below the floor costs, in points of accuracy.
        request_cost: what each further request of a trial costs, in points of accuracy: it takes
            time.
    """

    restraint: float = 0.8
    call_weight: float = 0.0
    below: float = 1.0
    request_cost: float = 0.0

    def value(self, marks: Iterable[Mark]) -> float:
        """How good a point is, by its marks. At most 1; 0 without marks.

        The restraint is the share of prompts that need no call and got none. Two of them are
        imagined at the floor, so that a few prompts don't weigh like many.
        """
        passed = calls = right_calls = held = idle = 0
        for mark in marks:
            passed += mark.passed
            if mark.needs_call:
                calls += 1
                right_calls += mark.passed
            else:
                idle += 1
                held += not mark.called
        if calls + idle == 0:
            return 0.0
        accuracy = passed / (calls + idle)
        call_accuracy = right_calls / calls if calls else accuracy
        restraint = (held + 2 * self.restraint) / (idle + 2)
        short = max(0.0, self.restraint - restraint)
        return (1 - self.call_weight) * accuracy + self.call_weight * call_accuracy - self.below * short
