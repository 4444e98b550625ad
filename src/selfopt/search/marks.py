"""What a search knows of a reply, and what it makes of many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from selfopt.errors import UsageError

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ReplyMark:
    """The verdict on one reply, as far as a search needs it.

    Attributes:
        passed: whether it was right.
        needs_call: whether the prompt needs a call.
        called: whether the reply called something.
    """

    passed: bool
    needs_call: bool
    called: bool

    @property
    def good(self) -> bool:
        """What counts on such a prompt: a right call, or none where none is needed."""
        return self.passed if self.needs_call else not self.called


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search looks for: accuracy above a floor of restraint.

    Attributes:
        restraint: the floor, from 0 to 1.
        call_weight: how much call accuracy counts beside accuracy, from 0 to 1.
        below: what each point of restraint below the floor costs, in points of accuracy; 0 or more.
        missed: what it costs to be below the floor at all, from 0 to 1: nothing is promoted then.

    Raises:
        UsageError: a figure is out of range.
    """

    restraint: float = 0.8
    call_weight: float = 0.0
    below: float = 1.0
    missed: float = 0.2

    def __post_init__(self) -> None:
        for name in ("restraint", "call_weight", "missed"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: need a share from 0 to 1")
        if not 0 <= self.below < math.inf:
            raise UsageError(f"below {self.below}: need 0 or more points of accuracy")

    def value(self, marks: Iterable[ReplyMark]) -> float:
        """How good a point is, by its marks alone. At most 1; 0 without marks."""
        calls = right = idle = held = 0
        for mark in marks:
            if mark.needs_call:
                calls, right = calls + 1, right + mark.good
            else:
                idle, held = idle + 1, held + mark.good
        if calls + idle == 0:
            return 0.0
        call_accuracy = right / calls if calls else None
        return self.of(call_accuracy, held / idle if idle else None, calls / (calls + idle))

    def of(self, call_accuracy: float | None, restraint: float | None, calls: float, doubt: float = 0.0) -> float:
        """How good a point is, by its figures.

        Args:
            call_accuracy: None: no prompt needs a call.
            restraint: None: every prompt needs one.
            calls: the share of prompts that need a call.
            doubt: the standard deviation of the estimate of restraint. What is lost below the floor
                is then the expected loss, so that a point that just meets the floor by luck stands
                behind one that meets it surely.
        """
        made, held = call_accuracy or 0.0, restraint or 0.0
        accuracy = calls * made + (1 - calls) * held
        beside = made if call_accuracy is not None else accuracy
        missing, short = _below(self.restraint - held, doubt) if restraint is not None else (0.0, 0.0)
        return (1 - self.call_weight) * accuracy + self.call_weight * beside - self.below * short - self.missed * missing


def _below(gap: float, doubt: float) -> tuple[float, float]:
    """The chance that a normal variable around `gap` with this deviation is above 0, and its mean
    there.
    """
    if doubt <= 0:
        return float(gap > 1e-9), max(0.0, gap)
    z = gap / doubt
    chance = _NORMAL.cdf(z)
    return chance, gap * chance + doubt * _NORMAL.pdf(z)
