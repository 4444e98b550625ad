"""What a threshold does to prompts whose answers are known, alone and beside a stronger model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from selfopt.policy import Calibrated
from selfopt.records import Figure, Sample, ServedFigures, SetShare, WayFigures
from selfopt.stats import Estimate, break_even, clopper_pearson_upper, jackknife, paired_jackknife

from .stored_answers import StoredAnswer

_NAMED = 3  # tools of a set that are named


def served_figures(
    sample: Sample, answers: Sequence[StoredAnswer], theirs: Sequence[StoredAnswer], found: Calibrated, confidence: float
) -> ServedFigures:
    """What the threshold does to these prompts.

    Args:
        answers: of the model that is served when sure.
        theirs: of the stronger model, to as many of these prompts as it was asked.
        found: the confidence model and its threshold; without one nothing is served.
        confidence: of the upper limit of the bad share.
    """
    compared = _asked_twice(answers, found)
    served = {one.prompt_id for one in answers if found.least is not None and found.model.serves(one.signals, found.least)}
    bad = sum(not one.right for one in answers if one.prompt_id in served)
    share = jackknife(_clusters(answers, served), _ratio)
    larger = {one.words: one for one in theirs}
    pairs = [(one, larger[one.words]) for one in answers if one.words in larger]
    return ServedFigures(
        sample=sample,
        prompts=len(answers),
        tool_sets=len({one.tool_set for one in answers}),
        served=len(served),
        bad=bad,
        upper=clopper_pearson_upper(bad, len(served), confidence) if served else None,
        bad_share=_figure(share),
        sets=_sets(answers, served),
        small=_alone(answers),
        asked_twice=len(compared),
        **(_paired(pairs, served, compared) if pairs else {}),
    )


def _asked_twice(answers: Sequence[StoredAnswer], found: Calibrated) -> set[str]:
    """The prompts of which only the second way of asking tells whether their answers are served."""
    if found.least is None or "agrees" not in found.model.signals:
        return set()
    spans = ((one.prompt_id, found.model.confidences(one.signals)) for one in answers if found.model.tells(one.signals))
    return {prompt_id for prompt_id, (low, high) in spans if low < found.least <= high}


def _ratio(sums: Sequence[float]) -> float | None:
    return sums[0] / sums[1] if sums[1] else None


def _clusters(answers: Sequence[StoredAnswer], served: set[str]) -> list[tuple[float, float]]:
    """Of each tool set, how many served answers are bad, and how many are served."""
    sums: dict[str, list[float]] = {}
    for one in answers:
        mine = sums.setdefault(one.tool_set, [0.0, 0.0])
        if one.prompt_id in served:
            mine[0] += not one.right
            mine[1] += 1
    return [(bad, n) for _, (bad, n) in sorted(sums.items())]


def _figure(estimate: Estimate | None) -> Figure | None:
    return None if estimate is None else Figure(value=estimate.value, low=estimate.low, high=estimate.high)


def _sets(answers: Sequence[StoredAnswer], served: set[str]) -> Mapping[str, SetShare]:
    grouped: dict[str, list[StoredAnswer]] = {}
    for one in answers:
        grouped.setdefault(one.tool_set, []).append(one)
    return {
        name: SetShare(
            name=mine[0].set_name,
            tools=tuple(tool.name for tool in mine[0].tools[:_NAMED]),
            prompts=len(mine),
            served=sum(one.prompt_id in served for one in mine),
            bad=sum(one.prompt_id in served and not one.right for one in mine),
        )
        for name, mine in sorted(grouped.items())
    }


def _alone(answers: Sequence[StoredAnswer]) -> WayFigures:
    costs = [one.cost for one in answers]
    known = [cost for cost in costs if cost is not None]
    return WayFigures(
        accuracy=fmean(one.right for one in answers),
        latency_s=fmean(one.trial.latency_ms for one in answers) / 1000,
        cost=fmean(known) if len(known) == len(costs) else None,
    )


def _paired(pairs: Sequence[tuple[StoredAnswer, StoredAnswer]], served: set[str], compared: set[str]) -> dict[str, object]:
    """The figures of the prompts that both models answered. compared: those that the small one is asked twice."""
    twice = [one for one, _ in pairs if one.prompt_id in compared and one.second is not None]
    small, large = _alone([one for one, _ in pairs]), _alone([other for _, other in pairs])
    right = [one.right if one.prompt_id in served else other.right for one, other in pairs]
    waits = [one.trial.latency_ms + (0.0 if one.prompt_id in served else other.trial.latency_ms) for one, other in pairs]
    again_s = sum(one.second.latency_ms for one in twice if one.second is not None) / len(pairs) / 1000
    asking = cost = None  # what the small model costs with its second way
    if small.cost is not None and all(one.second_cost is not None for one in twice):
        asking = small.cost + sum(one.second_cost or 0.0 for one in twice) / len(pairs)
    if asking is not None and large.cost is not None:
        cost = asking + fmean(0.0 if one.prompt_id in served else other.cost or 0.0 for one, other in pairs)
    ours: dict[str, list[float]] = {}
    alone: dict[str, list[float]] = {}
    for (one, other), answered in zip(pairs, right, strict=True):
        for sums, passed in ((ours, answered), (alone, other.right)):
            mine = sums.setdefault(one.tool_set, [0.0, 0.0])
            mine[0] += passed
            mine[1] += 1
    sets = sorted(ours)
    difference = paired_jackknife([ours[name] for name in sets], [alone[name] for name in sets], _ratio)
    return {
        "paired": len(pairs),
        "paired_served": sum(one.prompt_id in served for one, _ in pairs),
        "paired_small": small,
        "large": large,
        "cascade": WayFigures(accuracy=fmean(right), latency_s=fmean(waits) / 1000 + again_s, cost=cost),
        "difference": _figure(difference),
        "pays_below": break_even(asking, large.cost),
        "faster_below": break_even(small.latency_s + again_s, large.latency_s),
    }
