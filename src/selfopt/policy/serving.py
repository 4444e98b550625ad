"""From which confidence on a model's answers may be served, so that few of those served are wrong."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from selfopt.errors import UsageError
from selfopt.records import BoundClaim, ConfidenceModel, CurvePoint, Environment, ServedBound, ServeWhen, evidence_key
from selfopt.records.confidence import SecondWay
from selfopt.stats import jackknife, least_served, lowest_shown

from .confidence_fit import Judged, confidence_model
from .served import ServedEvidence, ServedPrompts, ServedSets, ServedTable

_STEPS = 40
_FOLDS = 10
_ENOUGH = 3
_AT_LEAST = 1.25
_GROWTH = 1.02  # from one number of prompts that is looked at to the next
_GROWTHS = 350  # to a thousand times as many prompts
_UNTOLD = -1.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A confidence model and the threshold that holds, if one does.

    Attributes:
        least: the confidence from which on an answer may be served; None where no threshold holds.
        bound: what the threshold keeps; None with it.
        curve: of every threshold that was looked at, the strictest first.
        least_feasible: the smallest share of bad answers, in steps of a hundredth, for which some
            threshold holds. It was found by looking, so it is a hint and no bound. None: there is none.
        prompts_needed: how many more prompts of calibration it would take, if they were like these; 0
            where a threshold holds, None where no number would do.
        shares: of each tool set, how many prompts were served, and how many of these were bad.
    """

    model: ConfidenceModel
    least: float | None
    bound: ServedBound | None
    curve: tuple[CurvePoint, ...]
    least_feasible: float | None
    prompts_needed: int | None
    shares: Mapping[str, tuple[int, int]]

    def serve_when(
        self,
        calibration_id: str,
        *,
        fitted_on: str,
        calibrated_on: str,
        spec_id: str,
        environment: Environment,
        second: SecondWay | None = None,
    ) -> ServeWhen | None:
        """What a rule serves by; None where no threshold holds.

        Args:
            calibration_id: the record that will tell of it.
            fitted_on, calibrated_on: the suites, by name and hash.
            spec_id, environment: what was measured, and what served it.
            second: the way of asking that the calls were compared with.
        """
        if self.least is None or self.bound is None:
            return None
        return ServeWhen(
            calibration_id=calibration_id,
            model=self.model,
            least=self.least,
            bound=self.bound,
            fitted_on=fitted_on,
            calibrated_on=calibrated_on,
            evidence_key=evidence_key(spec_id, environment, second),
            environment=environment,
            tool_sets=tuple(sorted(self.shares)),
            second=second,
        )


def calibrated(
    fit: Sequence[Judged], calibration: Sequence[Judged], *, claim: BoundClaim, max_bad_share: float, confidence: float
) -> Calibrated:
    """Fit a confidence model, and choose the lowest threshold that keeps a share of bad answers.

    *Of what is served, at most a share alpha is wrong, with confidence 1 - delta*: over draws of
    the calibration, a threshold that breaks this is chosen with a chance of at most delta.

    The thresholds to look at, and where the tests begin, follow from the confidences of the fit and
    from the size of the calibration alone. They are fixed before any outcome of the calibration is
    known, so each hypothesis "this threshold serves more than alpha bad" is a fixed one, and
    `lowest_shown` errs with a chance of at most delta. Answers of equal confidence are served
    together.

    `these_tools`: the unit is the prompt. Given how many prompts a threshold serves, the bad ones
    among them are binomial, so the test of Clopper & Pearson is exact. Where the prompts were not
    drawn from all but so many from each tool set, the bad ones are a sum of Bernoulli variables of
    different chances, which strays less than a binomial one (Hoeffding 1956, Ann. Math. Stat. 27),
    so that the test stays valid.

    `unseen_tools`: the unit is the tool set (`sets_log_e`). The confidence of a prompt comes from a
    model that was fitted without its tool set; where fit and calibration share sets, these are left
    out in ten folds.

    Args:
        fit, calibration: answers; no prompt is in both, or twice in one.
        max_bad_share: alpha, between 0 and 1.
        confidence: 1 - delta, between 0 and 1.

    Raises:
        UsageError: a figure is out of range, or a prompt occurs twice.
    """
    _check(fit, calibration, max_bad_share, confidence)
    delta, found = 1 - confidence, Thresholds.of(fit, calibration, claim)
    chosen = found.lowest(max_bad_share, delta)
    curve = found.curve(delta)
    tables = found.tables
    return Calibrated(
        model=found.model,
        least=None if chosen is None else curve[chosen].least,
        bound=None if chosen is None else _bound(found, curve[chosen], chosen, max_bad_share, confidence),
        curve=curve,
        least_feasible=_least_feasible(found, max_bad_share, delta, holds=chosen is not None),
        prompts_needed=0 if chosen is not None else found.prompts_needed(max_bad_share, delta),
        shares={name: (0, 0) if chosen is None else (table.served[chosen], table.bad[chosen]) for name, table in tables.items()},
    )


class Thresholds:
    """The thresholds to look at, and what the calibration says about each, for one claim.

    Attributes:
        steps: the thresholds, the strictest first.
        reach: the share of the fit that each serves.
        tables: of each tool set, what each threshold serves.
        n: how many answers the calibration has.
    """

    def __init__(
        self, model: ConfidenceModel, claim: BoundClaim, steps: Sequence[tuple[float, float]], tables: Mapping[str, ServedTable]
    ) -> None:
        self.model = model
        self.claim: BoundClaim = claim
        self.steps = [least for least, _ in steps]
        self.reach = [share for _, share in steps]
        self.tables = tables
        self.n = sum(table.n for table in tables.values())
        every = list(tables.values())
        self.evidence: ServedEvidence = ServedSets(every) if claim == "unseen_tools" else ServedPrompts(every)

    @classmethod
    def of(cls, fit: Sequence[Judged], calibration: Sequence[Judged], claim: BoundClaim) -> Thresholds:
        """The thresholds that a fit names, on a calibration."""
        model = confidence_model(fit)
        steps = threshold_steps([_told(model, one) for one in fit])
        sure = sureness(model, fit, calibration, claim)
        return cls(model, claim, steps, _by_set(calibration, sure, [least for least, _ in steps]))

    def lowest(self, max_bad_share: float, delta: float) -> int | None:
        """The lowest threshold that is shown to keep the share, by index; None if none is."""
        start = start_of(self.evidence.units, self.reach, max_bad_share, delta)
        return lowest_shown(len(self.steps), start, delta, lambda index: self.evidence.p_value(index, max_bad_share))

    def curve(self, delta: float) -> tuple[CurvePoint, ...]:
        """What each threshold serves of the calibration, with the upper limit of each alone."""
        tables = self.tables.values()
        return tuple(
            CurvePoint(
                least=least,
                served=sum(table.served[index] for table in tables),
                bad=sum(table.bad[index] for table in tables),
                upper=self.evidence.upper(index, delta),
            )
            for index, least in enumerate(self.steps)
        )

    def prompts_needed(self, max_bad_share: float, delta: float) -> int | None:
        """How many more prompts would show the share, if they were like these.

        The threshold at which the tests begin has to be shown. With more prompts they begin at a
        stricter one. None where a thousand times as many would not do.

        Args:
            max_bad_share: how much of what is served may be wrong, in (0, 1).
            delta: the chance to break that, in (0, 1).
        """
        if not self.n:
            return least_served(max_bad_share, delta)
        needed: dict[int, float | None] = {}
        for step in range(1, _GROWTHS):
            growth = _GROWTH**step
            start = start_of(math.floor(self.evidence.units * growth), self.reach, max_bad_share, delta)
            if start not in needed:
                needed[start] = self.evidence.factor(start, max_bad_share, delta)
            least = needed[start]
            if least is not None and least <= growth:
                return max(1, math.ceil((max(least, growth / _GROWTH) - 1) * self.n))
        return None


def _bound(found: Thresholds, point: CurvePoint, chosen: int, max_bad_share: float, confidence: float) -> ServedBound:
    clusters = [(float(table.bad[chosen]), float(table.served[chosen])) for table in found.tables.values()]
    spread = jackknife(clusters, lambda sums: sums[0] / sums[1] if sums[1] else None)
    return ServedBound(
        claim=found.claim,
        max_bad_share=max_bad_share,
        confidence=confidence,
        n=found.n,
        tool_sets=len(found.tables),
        served=point.served,
        bad=point.bad,
        upper=point.upper,
        sets_low=spread.low if spread else None,
        sets_high=spread.high if spread else None,
    )


def threshold_steps(confidences: Sequence[float]) -> list[tuple[float, float]]:
    """The thresholds to look at, the strictest first, each with the share of the fit that it serves.

    They are confidences of the fit, at forty equal steps of rank, and 0, which serves all whose
    confidence is told.
    """
    ordered = sorted(confidences, reverse=True)
    n = len(ordered)
    ranks = sorted({min(n, max(1, round(n * step / _STEPS))) for step in range(1, _STEPS + 1)}) if n else []
    found = dict.fromkeys([*(max(0.0, ordered[rank - 1]) for rank in ranks), 0.0])
    ascending = ordered[::-1]
    return [(least, (n - bisect_left(ascending, least)) / n if n else 1.0) for least in found]


def sureness(model: ConfidenceModel, fit: Sequence[Judged], calibration: Sequence[Judged], claim: BoundClaim) -> list[float]:
    """The confidence of each answer of the calibration, for the claim.

    For unseen tools, those of a set that the fit saw come from a model that was fitted without it.
    """
    shared = sorted({one.tool_set for one in fit} & {one.tool_set for one in calibration}) if claim == "unseen_tools" else []
    models = dict.fromkeys((one.tool_set for one in calibration), model)
    for fold in range(min(_FOLDS, len(shared))):
        left_out = set(shared[fold::_FOLDS])
        models.update(dict.fromkeys(left_out, confidence_model([one for one in fit if one.tool_set not in left_out])))
    return [_told(models[one.tool_set], one) for one in calibration]


def _told(model: ConfidenceModel, one: Judged) -> float:
    """The confidence of an answer; below all thresholds where nothing tells it, as it is never served."""
    return model.confidence(one.signals) if model.tells(one.signals) else _UNTOLD


def start_of(units: int, reach: Sequence[float], max_bad_share: float, delta: float) -> int:
    """Where the tests begin: the index of a threshold.

    One that serves just enough to pass with no bad answer fails at the first bad one, however good
    the model is; one that serves too much is bad itself. So it is the strictest that should serve
    three times as many as can show anything, but no more than half of the calibration, unless a
    quarter more than can show anything is more than that.

    Args:
        reach: the share that each threshold should serve, as the fit says.
    """
    least = least_served(max_bad_share, delta)
    wanted = max(_AT_LEAST * least, min(_ENOUGH * least, units / 2))
    return next((index for index, share in enumerate(reach) if share * units >= wanted), len(reach) - 1)


def _least_feasible(found: Thresholds, max_bad_share: float, delta: float, *, holds: bool) -> float | None:
    """The smallest share, in hundredths, for which a threshold holds; it is looked for on the side where it lies."""
    tried = (step / 100 for step in range(1, 100) if (step / 100 <= max_bad_share) == holds)
    feasible = next((alpha for alpha in tried if found.lowest(alpha, delta) is not None), None)
    return max_bad_share if feasible is None and holds else feasible


def _by_set(calibration: Sequence[Judged], sure: Sequence[float], thresholds: Sequence[float]) -> dict[str, ServedTable]:
    """Of each tool set, what each threshold serves of its answers."""
    answers: dict[str, list[tuple[float, bool]]] = {}
    for one, confidence in zip(calibration, sure, strict=True):
        answers.setdefault(one.tool_set, []).append((confidence, not one.right))
    return {name: served_by(answers[name], thresholds) for name in sorted(answers)}


def served_by(answers: Sequence[tuple[float, bool]], thresholds: Sequence[float]) -> ServedTable:
    """How many answers, of so much confidence and bad or not, each threshold serves."""
    ordered = sorted(answers)
    ascending = [confidence for confidence, _ in ordered]
    wrong = [0, *accumulate(bad for _, bad in ordered)]
    below = [bisect_left(ascending, least) for least in thresholds]
    n = len(ordered)
    return ServedTable(n, tuple(n - skipped for skipped in below), tuple(wrong[n] - wrong[skipped] for skipped in below))


def _check(fit: Sequence[Judged], calibration: Sequence[Judged], max_bad_share: float, confidence: float) -> None:
    for name, figure, example in (("max_bad_share", max_bad_share, 0.1), ("confidence", confidence, 0.95)):
        if not 0 < figure < 1:
            raise UsageError(f"{name} is {figure}: it has to be a number between 0 and 1, such as {example}")
    seen: set[str] = set()
    for one in (*fit, *calibration):
        if one.prompt_id in seen:
            raise UsageError(f"prompt {one.prompt_id!r} occurs twice: fit and calibration need prompts of their own, each once")
        seen.add(one.prompt_id)
