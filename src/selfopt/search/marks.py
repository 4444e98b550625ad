"""What a search knows of a reply, and what it makes of many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist, fmean, median

from selfopt.errors import UsageError

_NORMAL = NormalDist()
_BEHIND = 2.0  # more than any two values lie apart, what is lost below the floor aside


@dataclass(frozen=True, slots=True)
class ReplyMark:
    """The verdict on one reply, as far as a search needs it.

    Attributes:
        passed: whether it was right.
        needs_call: whether the prompt needs a call.
        called: whether the reply called something.
        latency_s: from the first byte sent to the last byte received, all requests together.
        tokens: sent and received.
        requests: how many were made.
    """

    passed: bool
    needs_call: bool
    called: bool
    latency_s: float = 0.0
    tokens: int = 0
    requests: int = 1

    @property
    def good(self) -> bool:
        """What counts on such a prompt: a right call, or none where none is needed."""
        return self.passed if self.needs_call else not self.called


@dataclass(frozen=True, slots=True)
class WayCost:
    """What a way to ask takes on a prompt: median latency in seconds, median tokens, mean requests."""

    latency_s: float = 0.0
    tokens: float = 0.0
    requests: float = 1.0

    @classmethod
    def of(cls, marks: Iterable[ReplyMark]) -> WayCost:
        """The cost that the marks of one reading show. Readings of the same replies cost the same."""
        known = list(marks)
        if not known:
            return cls()
        return cls(
            median(mark.latency_s for mark in known),
            median(mark.tokens for mark in known),
            fmean(mark.requests for mark in known),
        )


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search looks for: accuracy above a floor of restraint, less what it takes.

    Attributes:
        restraint: the floor, from 0 to 1.
        call_weight: how much call accuracy counts beside accuracy, from 0 to 1.
        below: what each point of restraint below the floor costs, in points of accuracy; 0 or more.
        missed: what it costs to be below the floor at all, from 0 to 1: nothing is promoted then.
        latency_weight: what a second of the median latency costs, in points of accuracy (0.01 each);
            0 or more.
        tokens_weight: what 1,000 tokens of the median prompt cost, likewise.
        max_latency_s: ways to ask with a higher median stand behind all others. None: no limit.
        max_tokens: likewise, of the tokens of the median prompt.

    Raises:
        UsageError: a figure is out of range.
    """

    restraint: float = 0.8
    call_weight: float = 0.0
    below: float = 1.0
    missed: float = 0.2
    latency_weight: float = 0.0
    tokens_weight: float = 0.0
    max_latency_s: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("restraint", "call_weight", "missed"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: need a share from 0 to 1")
        if not 0 <= self.below < math.inf:
            raise UsageError(f"below {self.below}: need 0 or more points of accuracy")
        for name in ("latency_weight", "tokens_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} {getattr(self, name)}: need 0 or more points of accuracy")
        for name in ("max_latency_s", "max_tokens"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < math.inf:
                raise UsageError(f"{name} {limit}: need a limit above 0, or none")

    def over_limit(self, cost: WayCost) -> bool:
        """Whether a way to ask takes more than it may."""
        limits = ((cost.latency_s, self.max_latency_s), (cost.tokens, self.max_tokens))
        return any(limit is not None and taken > limit for taken, limit in limits)

    def price(self, cost: WayCost) -> float:
        """What is taken off the value of a way to ask for what it takes. 0 or more."""
        points = self.latency_weight * cost.latency_s + self.tokens_weight * cost.tokens / 1000
        return points / 100 + (_BEHIND if self.over_limit(cost) else 0.0)

    def value(self, marks: Iterable[ReplyMark]) -> float:
        """How good a point is, by its marks alone. At most 1; 0 without marks."""
        known = list(marks)
        calls = right = idle = held = 0
        for mark in known:
            if mark.needs_call:
                calls, right = calls + 1, right + mark.good
            else:
                idle, held = idle + 1, held + mark.good
        if calls + idle == 0:
            return 0.0
        call_accuracy = right / calls if calls else None
        found = self.of(call_accuracy, held / idle if idle else None, calls / (calls + idle))
        return found - self.price(WayCost.of(known))

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
