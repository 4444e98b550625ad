"""What a race knows about one spec: its outcomes per prompt and, for a candidate, its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import RaceEntrant, RaceSettings, RaceStanding, RaceState, StandingReason
from selfopt.stats import Bets, EProcess, Pairs, confidence_sequence, pairs_to_decide

from .race_plan import Draws


@dataclass(slots=True, eq=False)
class Side:
    """One spec of a race.

    Attributes:
        known: 1 for each prompt that it passes and 0 for the others, if its repeats are copies.
            None if it has to be asked.
    """

    spec_id: str
    request_id: str
    known: Sequence[int] | None


class Track(Side):
    """A candidate: its evidence, futility, estimate and next centres, folded over its blocks.

    The centres are a control variate: g_j = sum of D_j / (n_j + shrink), minus their mean over the
    suite, clipped to +-clip, minus their mean again. They are known before the block and sum to 0.
    So the hypothesis about D - g is the same as that about D, and a prompt whose difference is
    always the same adds no noise.

    Attributes:
        counts: the number of pairs per prompt.
        noise: the sum of the squared gains per prompt.
        trials: the number of this candidate's answers that were judged.
    """

    __slots__ = (
        "_ratios", "_settings", "_shrink", "_sums", "blocks", "counts", "detail", "entrant", "evidence", "futility", "history",
        "log_e_needed", "log_f_needed", "mass", "n_pairs", "noise", "squares", "state", "total", "trials", "why",
    )  # fmt: skip

    def __init__(self, entrant: RaceEntrant, settings: RaceSettings, bets: Bets, m: int, known: Sequence[int] | None) -> None:
        super().__init__(entrant.spec_id, entrant.request_id, known)
        self.entrant = entrant
        self.log_e_needed = -math.log(entrant.level)  # log(K / alpha_t)
        self.log_f_needed = -math.log(settings.beta)
        self.state: RaceState = "racing"
        self.why: StandingReason = ""
        self.detail = ""
        self.evidence = EProcess(bets, settings.null_mean)
        self.futility = EProcess(bets, settings.null_mean + settings.smallest_gain, below=True)
        self.history: list[Pairs] = []
        self.total = self.squares = 0.0
        self.mass = self.n_pairs = self.blocks = self.trials = 0
        self._settings = settings
        self._shrink = settings.shrink_small if m <= settings.small_suite else settings.shrink_large
        self._sums, self._ratios = [0.0] * m, [0.0] * m
        self.counts, self.noise = [0] * m, [0.0] * m

    def centres(self) -> list[float]:
        """The centre g of each prompt in the next block."""
        ratios, clip = self._ratios, self._settings.clip
        mean = sum(ratios) / len(ratios)
        if max(ratios) - mean <= clip and mean - min(ratios) <= clip:
            return [ratio - mean for ratio in ratios]
        clipped = [max(-clip, min(clip, ratio - mean)) for ratio in ratios]
        mean = sum(clipped) / len(clipped)
        return [value - mean for value in clipped]

    def absorb(self, draws: Draws, differences: Sequence[float], trials: int) -> None:
        """Takes in one complete block.

        Args:
            differences: D of each draw.
            trials: the number of this candidate's answers in the block.
        """
        g = self.centres()
        gains = tuple([d - g[j] for j, d in zip(draws.positions, differences, strict=True)])
        pairs = Pairs(gains, draws.weights, draws.max_weight, 1.0 + max(g), 1.0 - min(g))
        self.evidence.absorb(pairs)
        self.futility.absorb(pairs)
        self.history.append(pairs)
        weighted = [w * gain for w, gain in zip(draws.weights, gains, strict=True)]
        self.total += sum(weighted)
        self.squares += sum([value * value for value in weighted])
        self.mass += draws.mass
        self.n_pairs += len(gains)
        self.blocks += 1
        self.trials += trials
        sums, counts, noise = self._sums, self.counts, self.noise
        for j, d, gain in zip(draws.positions, differences, gains, strict=True):
            sums[j] += d
            counts[j] += 1
            noise[j] += gain * gain
            self._ratios[j] = sums[j] / (counts[j] + self._shrink)

    @property
    def estimate(self) -> float:
        """The mean paired difference so far, an unbiased estimate; 0 before the first block."""
        return self.total / self.mass if self.mass else 0.0

    @property
    def standard_error(self) -> float:
        """sqrt(sum of squared weighted gains + 0.5) / pairs; infinite before the first block."""
        return math.sqrt(self.squares + 0.5) / self.mass if self.mass else math.inf

    def more_pairs(self) -> float | None:
        """About how many more pairs would decide; None if that cannot be foreseen."""
        if not self.mass:
            return None
        return pairs_to_decide(
            estimate=self.estimate - self._settings.null_mean,
            second_moment=(self.squares + 0.5) / self.mass,
            smallest_gain=self._settings.smallest_gain,
            log_e_missing=self.log_e_needed - self.evidence.log_e,
            log_f_missing=self.log_f_needed - self.futility.log_e,
        )

    def standing(self, more_trials: int | None, *, interval: bool) -> RaceStanding:
        """The state as a record. interval: compute the confidence sequence, in some milliseconds."""
        found = confidence_sequence(self.history, self.evidence.bets, self.entrant.level) if interval else None
        return RaceStanding(
            spec_id=self.spec_id,
            key_id=self.entrant.key.key_id,
            state=self.state,
            why=self.why,
            detail=self.detail,
            log_e=self.evidence.log_e,
            log_e_needed=self.log_e_needed,
            log_f=self.futility.log_e,
            log_f_needed=self.log_f_needed,
            null_mean=self._settings.null_mean,
            estimate=self.estimate if self.mass else None,
            interval=(found.low, found.high) if found else None,
            confidence=max(0.0, 1 - 2 * self.entrant.alpha),
            n_pairs=self.n_pairs,
            blocks=self.blocks,
            trials=self.trials,
            entered_with=self.entrant.entered_with,
            alpha=self.entrant.alpha,
            level=self.entrant.level,
            more_trials=more_trials,
        )
