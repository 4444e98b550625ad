"""What a check knows about one criterion: its evidence that it fails, and that it passes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfopt.records import CheckSettings, CheckVerdict, Criterion
from selfopt.stats import Bets, EProcess, Interval, Pairs, confidence_sequence

from .race_plan import Draws

_CLIP = 0.75
# Bets on one outcome of a single prompt: what decides at once where a prompt always fails, and what is patient.
_PROMPT_BETS = Bets((0.3, 0.8, 1.4, 1.8), (0.15, 0.25, 0.3, 0.3))
_ROUNDING = 1e-9


class MeanTrack:
    """A mean over prompts, put to two tests at once: a loss against an earlier configuration, or a share.

    `fail` bets against "nothing is wrong", `fine` against "it is wrong by the whole tolerance". For a
    loss these are "the mean loss is at most 0" and "it is at least max_regression"; for a share "it is
    at least the threshold" and "it is at most threshold - tolerance". Both are valid at every block
    end (`selfopt.stats.betting`), so whichever gets there first decides.

    Attributes:
        members: the places of the prompts that the mean is over.
        alpha: the chance of a false alarm that this criterion may spend.
        asked: how many pairs, or answers, it has seen.
        verdict: as soon as it is decided.
    """

    def __init__(
        self, criterion: Criterion, members: Sequence[int], threshold: float, alpha: float, settings: CheckSettings
    ) -> None:
        self.criterion, self.threshold, self.alpha = criterion, threshold, alpha
        self.members, self._order = frozenset(members), tuple(members)
        bets = Bets(settings.bets, settings.prior)
        self.is_loss = criterion == "regression"
        if self.is_loss:
            self.fail, self.fine = EProcess(bets, 0.0), EProcess(bets, threshold, below=True)
        else:
            self.fail = EProcess(bets, threshold, below=True)
            self.fine = EProcess(bets, threshold - settings.tolerance)
        self.fail_needed, self.fine_needed = -math.log(alpha), -math.log(settings.beta)
        self.history: list[Pairs] = []
        self.total = self.mass = 0.0
        self.asked = 0
        self.verdict: CheckVerdict = "undecided"
        self.exact: float | None = None

    def centres(self, expected: Sequence[float]) -> dict[int, float]:
        """What is taken off each outcome: the expected one, less the mean over the members. They sum to 0.

        Args:
            expected: by place, known before the block.
        """
        members = self._order
        mean = sum([expected[j] for j in members]) / len(members)
        clipped = {j: max(-_CLIP, min(_CLIP, expected[j] - mean)) for j in members}
        mean = sum(clipped.values()) / len(members)
        return {j: value - mean for j, value in clipped.items()}

    def absorb(self, draws: Draws, outcomes: Sequence[float], expected: Sequence[float]) -> None:
        """Takes in the draws of one block that fell on the members.

        Args:
            outcomes: of each draw: the loss, or whether it passed.
        """
        g = self.centres(expected)
        gains = tuple([x - g[j] for j, x in zip(draws.positions, outcomes, strict=True)])
        lowest = -1.0 if self.is_loss else 0.0
        deepest, highest = max(g.values()) - lowest, 1.0 - min(g.values())
        pairs = Pairs(gains, draws.weights, draws.max_weight, max(0.0, deepest), highest)
        self.history.append(pairs)
        self.fail.absorb(pairs)
        self.fine.absorb(pairs)
        self.total += math.fsum([w * gain for w, gain in zip(draws.weights, gains, strict=True)])
        self.mass += draws.mass
        self.asked += len(gains)
        if self.verdict == "undecided":
            self.judge()

    def judge(self) -> None:
        """Fails, passes, or stays undecided."""
        if self.fail.log_e >= self.fail_needed:
            self.verdict = "fail"
        elif self.fine.log_e >= self.fine_needed:
            self.verdict = "pass"

    def decide_exactly(self, mean: float) -> None:
        """Decide by the mean itself, which is known: it may be just at the border."""
        self.exact = mean
        wrong = mean > self.threshold + _ROUNDING if self.is_loss else mean < self.threshold - _ROUNDING
        self.verdict = "fail" if wrong else "pass"

    @property
    def estimate(self) -> float | None:
        """The mean so far, an unbiased estimate; None before anything was asked."""
        return self.exact if self.exact is not None else self.total / self.mass if self.mass else None

    def interval(self) -> Interval | None:
        """The means that are not refuted, at all times at once. It takes some milliseconds."""
        return confidence_sequence(self.history, self.fail.bets, self.alpha) if self.history else None


class PromptTrack:
    """A prompt that must pass: a sequential test says on which side of the floor its pass rate is.

    It bets on each answer, on both sides, so that neither a single failure nor a single pass decides
    about a prompt that is flaky.

    Attributes:
        asked, failed: how many answers there were, and how many of them failed.
        verdict: as soon as it is decided.
    """

    def __init__(self, alpha: float, settings: CheckSettings) -> None:
        self.fail = EProcess(_PROMPT_BETS, settings.must_pass_floor, below=True)
        self.fine = EProcess(_PROMPT_BETS, settings.must_pass_floor)
        self._fail_needed, self._fine_needed = -math.log(alpha), -math.log(settings.beta)
        self.asked = self.failed = 0
        self.verdict: CheckVerdict = "undecided"

    def absorb(self, outcomes: Sequence[bool]) -> None:
        """Takes in further answers."""
        if not outcomes:
            return
        pairs = Pairs(tuple([float(one) for one in outcomes]), (1.0,) * len(outcomes), 1.0, 0.0, 1.0)
        self.fail.absorb(pairs)
        self.fine.absorb(pairs)
        self.asked += len(outcomes)
        self.failed += outcomes.count(False)
        if self.verdict != "undecided":
            return
        if self.fail.log_e >= self._fail_needed:
            self.verdict = "fail"
        elif self.fine.log_e >= self._fine_needed:
            self.verdict = "pass"
