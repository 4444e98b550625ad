"""Tells from a stream of outcomes that a share has risen, soon and without many false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

RISES = (0.05, 0.1, 0.2)
FALSE_ALARM_EVERY = 2000.0
_MOST = 1e12


@dataclass(slots=True)
class RiseDetector:
    """Shiryaev-Roberts detectors for rises of 5, 10 and 20 points, averaged.

    Of each rise, M <- (M + 1) LR, where LR is the likelihood ratio of the new outcome, usual + rise
    against usual. The alarm goes off when the mean of the three reaches the border. As long as each
    outcome has a chance of at most `usual`, given the earlier ones, E[LR] <= 1, so that the mean
    minus the number of outcomes is a supermartingale and a false alarm comes after at least `border`
    outcomes on average. For the same reason, n outcomes raise one with a chance of at most n / border,
    also if they are dealt out to several detectors. One may look after every outcome.

    Source: Shin, Ramdas & Rinaldo (2024), e-detectors, New Engl. J. Stat. Data Sci. 2; Roberts (1966).

    Attributes:
        usual: the share until now, in (0, 1).
        border: how many outcomes pass until a false alarm, on average and at least.
        seen: how many outcomes there were.
        lately, risen: how many since the share seems to have risen, and how many of these count; as
            the CUSUM statistic of the least rise has it (Page 1954, Biometrika 41).

    Raises:
        ValueError: `usual` is outside (0, 1), or the border below 1.
    """

    usual: float
    border: float = FALSE_ALARM_EVERY
    seen: int = 0
    lately: int = 0
    risen: int = 0
    _lead: float = field(default=0.0, repr=False)
    _sums: list[float] = field(default_factory=lambda: [0.0] * len(RISES), repr=False)
    _ratios: tuple[tuple[float, ...], tuple[float, ...]] = field(init=False, repr=False)
    _steps: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.usual < 1 or not self.border >= 1:
            raise ValueError(
                f"share {self.usual} with border {self.border}: need a share between 0 and 1, and a border of at least 1"
            )
        # Rises beyond 1 stop half-way to it.
        then = [min(self.usual + rise, (1 + self.usual) / 2) for rise in RISES]
        self._ratios = (tuple((1 - share) / (1 - self.usual) for share in then), tuple(share / self.usual for share in then))
        self._steps = (math.log(self._ratios[False][0]), math.log(self._ratios[True][0]))

    @property
    def level(self) -> float:
        """How far it is on the way to an alarm, which goes off at 1."""
        return sum(self._sums) / (self.border * len(RISES))

    @property
    def alarmed(self) -> bool:
        """Whether the share has risen, as far as the last outcome tells."""
        return sum(self._sums) >= self.border * len(RISES)

    def add(self, outcome: bool) -> bool:
        """Take in one outcome. Returns `alarmed`."""
        self.seen += 1
        self._sums = [min(_MOST, (known + 1) * ratio) for known, ratio in zip(self._sums, self._ratios[outcome], strict=True)]
        self._lead += self._steps[outcome]
        self.lately += 1
        self.risen += outcome
        if self._lead <= 0:
            self._lead, self.lately, self.risen = 0.0, 0, 0
        return self.alarmed

    @property
    def state(self) -> tuple[float, ...]:
        """What `resume` goes on from."""
        return (self.seen, self.lately, self.risen, self._lead, *self._sums)

    def resume(self, state: Sequence[float]) -> None:
        """Go on where a detector of the same share and border was. Raises ValueError for what is no state of one."""
        if len(state) != len(self.state) or not all(0 <= figure <= _MOST for figure in state):
            raise ValueError(f"{len(state)} figures: need {len(self.state)}, none of them below 0 or above {_MOST:g}")
        seen, lately, risen = map(int, state[:3])
        if not risen <= lately <= seen:
            raise ValueError(f"{risen} of {lately} of {seen} outcomes: each has to be among the next")
        self.seen, self.lately, self.risen, self._lead = seen, lately, risen, state[3]
        self._sums = list(state[4:])
