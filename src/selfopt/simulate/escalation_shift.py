"""What becomes of a threshold when the model's answers get worse after its calibration, and when they don't."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.policy import Thresholds, confidence_model, threshold_steps
from selfopt.stats import escalations_detector, outcomes_detector

from .escalation import SimulatedEscalation, Sure, TrueCurve, population, step_of
from .once import Figures

WORLD = "shifted"
MOST_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class SimulatedShift:
    """A threshold that held, on answers of the same tools that have got worse.

    Attributes:
        alpha: the share of bad answers that was asked for.
        feedback: the share of the served answers whose outcome becomes known.
        prompts: how many the calibration has.
    """

    alpha: float = 0.1
    feedback: float = 0.1
    prompts: int = 1000

    def once(self, seed: str) -> Figures:
        """True shares after the shift, and how many requests pass until an alarm, at most 20,000.

        `outcome_alarm`: of the outcomes of served answers. `share_alarm`: of escalated requests.
        `alarm`: of either, which voids the threshold. `needless`: 1 if one comes within 20,000 requests
        where nothing has shifted. `none`: no threshold held before the shift; then the others are 0.
        The detectors are those of the gateway.
        """
        rng, options = random.Random(seed), SimulatedEscalation(WORLD, prompts=self.prompts)
        model_of = options.fitted(rng)
        model = confidence_model(model_of)
        steps = threshold_steps([model.confidence(one.signals) for one in model_of])
        before = population(WORLD, "these_tools").sure(model)
        thresholds = Thresholds(model, "these_tools", steps, options.tables(step_of(before, steps), len(steps), rng))
        index = thresholds.lowest(self.alpha, options.delta)
        if index is None:
            names = ("bad_share", "served", "outcome_alarm", "share_alarm", "alarm", "needless")
            return {"none": 1.0, **dict.fromkeys(names, 0.0)}
        worse = population(WORLD, "these_tools", shifted=True).sure(model)
        served, bad = TrueCurve.of([one for each in worse for one in each]).served_from(steps[index][0])
        calibrated = sum(table.served[index] for table in thresholds.tables.values())
        outcome, share = self._alarms(worse, steps[index][0], thresholds.n, calibrated, rng)
        needless = min(self._alarms(before, steps[index][0], thresholds.n, calibrated, rng, first=True)) < MOST_REQUESTS
        return {
            "none": 0.0,
            "bad_share": bad / served if served else 0.0,
            "served": served,
            "outcome_alarm": float(outcome),
            "share_alarm": float(share),
            "alarm": float(min(outcome, share)),
            "needless": float(needless),
        }

    def _alarms(
        self, sure: Sequence[Sequence[Sure]], least: float, n: int, calibrated: int, rng: random.Random, *, first: bool = False
    ) -> tuple[int, int]:
        """How many requests pass until the outcomes raise an alarm, and until the escalations do.

        first: look no further than the first of them.
        """
        outcomes, shares = outcomes_detector(self.alpha), escalations_detector(n, calibrated)
        outcome, share = MOST_REQUESTS, MOST_REQUESTS
        for request in range(1, MOST_REQUESTS):
            confidence, chance = rng.choice(rng.choice(sure))
            serves = confidence >= least
            if share == MOST_REQUESTS and shares.add(not serves):
                share = request
            if serves and rng.random() < self.feedback:
                wrong = rng.random() >= chance
                if outcome == MOST_REQUESTS and outcomes.add(wrong):
                    outcome = request
            if (min if first else max)(outcome, share) < MOST_REQUESTS:
                break
        return outcome, share
