"""What becomes of a threshold when the model's answers get worse after its calibration."""

from __future__ import annotations

import random
from dataclasses import dataclass

from selfopt.policy import Thresholds, confidence_model, threshold_steps
from selfopt.stats import RiseDetector, clopper_pearson_upper

from .escalation import SimulatedEscalation, TrueCurve, population, step_of
from .once import Figures

WORLD = "shifted"
_MOST = 20_000
_USUAL_CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class SimulatedShift:
    """A threshold that held, on answers of the same tools that have got worse.

    Attributes:
        alpha: the share of bad answers that was asked for.
        feedback: the share of the served answers whose outcome becomes known.
    """

    alpha: float = 0.1
    feedback: float = 0.1

    def once(self, seed: str) -> Figures:
        """True shares after the shift, and how many requests pass until an alarm.

        `outcome_alarm`: of the outcomes of served answers, against alpha. `share_alarm`: of escalated
        requests, against the upper 90 % limit of their share in the calibration. `none`: no threshold
        held before the shift; then the others are 0.
        """
        rng, options = random.Random(seed), SimulatedEscalation(WORLD)
        model_of = options.fitted(rng)
        model = confidence_model(model_of)
        steps = threshold_steps([model.confidence(one.signals) for one in model_of])
        placed = step_of(population(WORLD, "these_tools").sure(model), steps)
        thresholds = Thresholds(model, "these_tools", steps, options.tables(placed, len(steps), rng))
        index = thresholds.lowest(self.alpha, options.delta)
        if index is None:
            return {"none": 1.0, "bad_share": 0.0, "served": 0.0, "outcome_alarm": 0.0, "share_alarm": 0.0}
        worse = population(WORLD, "these_tools", shifted=True).sure(model)
        served, bad = TrueCurve.of([one for each in worse for one in each]).served_from(steps[index][0])
        escalated = thresholds.n - sum(table.served[index] for table in thresholds.tables.values())
        usual = min(0.999, clopper_pearson_upper(escalated, thresholds.n, _USUAL_CONFIDENCE))
        outcomes, shares = RiseDetector(self.alpha), RiseDetector(usual)
        first = {"outcome_alarm": _MOST, "share_alarm": _MOST}
        for request in range(1, _MOST + 1):
            confidence, chance = rng.choice(rng.choice(worse))
            serves = confidence >= steps[index][0]
            if shares.add(not serves):
                first["share_alarm"] = min(first["share_alarm"], request)
            if serves and rng.random() < self.feedback and outcomes.add(rng.random() >= chance):
                first["outcome_alarm"] = min(first["outcome_alarm"], request)
            if max(first.values()) < _MOST:
                break
        return {
            "none": 0.0,
            "bad_share": bad / served if served else 0.0,
            "served": served,
            **{k: float(v) for k, v in first.items()},
        }
