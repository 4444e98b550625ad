"""Tells from a stream of outcomes that a share has risen, soon and without many false alarms."""

from __future__ import annotations

from dataclasses import dataclass, field

RISES = (0.05, 0.1, 0.2)
FALSE_ALARM_EVERY = 2000.0


@dataclass(slots=True)
class RiseDetector:
    """Shiryaev-Roberts detectors for rises of 5, 10 and 20 points, averaged.

    Of each rise, M <- (M + 1) LR, where LR is the likelihood ratio of the new outcome, usual + rise
    against usual. The alarm goes off when the mean of the three reaches the border. As long as each
    outcome has a chance of at most `usual`, given the earlier ones, E[LR] <= 1, so that the mean
    minus the number of outcomes is a supermartingale and a false alarm comes after at least `border`
    outcomes on average. One may look after every outcome.

    Source: Shin, Ramdas & Rinaldo (2024), e-detectors, New Engl. J. Stat. Data Sci. 2; Roberts (1966).

    Attributes:
        usual: the share until now, in (0, 1).
        border: how many outcomes pass until a false alarm, on average and at least.
        seen: how many outcomes there were.

    Raises:
        ValueError: `usual` is outside (0, 1), or the border below 1.
    """

    usual: float
    border: float = FALSE_ALARM_EVERY
    seen: int = 0
    _sums: list[float] = field(default_factory=lambda: [0.0] * len(RISES), repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.usual < 1 or not self.border >= 1:
            raise ValueError(
                f"share {self.usual} with border {self.border}: need a share between 0 and 1, and a border of at least 1"
            )

    @property
    def alarmed(self) -> bool:
        """Whether the share has risen, as far as the last outcome tells."""
        return sum(self._sums) >= self.border * len(RISES)

    def add(self, outcome: bool) -> bool:
        """Take in one outcome. Returns `alarmed`."""
        self.seen += 1
        for number, rise in enumerate(RISES):
            # Rises beyond 1 stop half-way to it.
            then = min(self.usual + rise, (1 + self.usual) / 2)
            ratio = then / self.usual if outcome else (1 - then) / (1 - self.usual)
            self._sums[number] = min(1e12, (self._sums[number] + 1) * ratio)
        return self.alarmed
