"""What marks tell of ways to ask and their readings.

Prompts differ in difficulty, and a way to ask that was begun has seen the first of them alone. So
first the difficulty of every prompt is set off. Then each figure of each reading is estimated from
the way's own prompts and from ways like it (see `likeness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from selfopt.records import Phase
from selfopt.variants.space import Point

from .likeness import Likeness, choices_of, covariances
from .marks import Objective, ReplyMark

_VARIANCE = {True: 0.03, False: 0.05}
"""How much call accuracy (True) and restraint (False) differ between ways to ask: the variance."""
_CHANCE = 0.15
"""The variance of one prompt's mark, its difficulty set off."""
_PASSES = 4
_MOST_WAYS = 400
"""From so many ways on, those with the fewest prompts are left out, the newest of them first: a fit
takes the cube of their number.
"""
_ELSEWHERE = 0.05
"""How far restraint on other tools lies from restraint on these: the standard deviation."""


@dataclass(frozen=True, slots=True)
class PointEstimate:
    """What is thought of a point. Figures as in `RankedPoint`."""

    value: float
    accuracy: float
    call_accuracy: float | None
    restraint: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The marks of one way to ask, summed up, by whether a prompt needs a call.

    Attributes:
        average: which share of the readings is good on each prompt.
        good: the share of prompts on which each reading is good.
    """

    average: Mapping[bool, Mapping[str, float]]
    good: Mapping[bool, Mapping[str, float]]


def summary(marks: Mapping[str, Mapping[str, ReplyMark]]) -> Summary:
    """Sum up the marks of one way to ask: by reading, then by prompt id."""
    average: dict[bool, dict[str, list[bool]]] = {True: {}, False: {}}
    good: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for reading, by_prompt in marks.items():
        counts = {True: [0, 0], False: [0, 0]}
        for prompt, mark in by_prompt.items():
            average[mark.needs_call].setdefault(prompt, []).append(mark.good)
            counts[mark.needs_call][0] += mark.good
            counts[mark.needs_call][1] += 1
        for kind, (found, n) in counts.items():
            if n:
                good[kind][reading] = found / n
    shares = {kind: {p: sum(found) / len(found) for p, found in prompts.items()} for kind, prompts in average.items()}
    return Summary(shares, good)


class _Figure:
    """Call accuracy, or restraint: its estimates for every way and reading."""

    def __init__(self, needs_call: bool, looks: Mapping[str, tuple[Point, Summary]], phase: Phase) -> None:
        self.phase: Phase = phase
        average = {text: summed.average[needs_call] for text, (_, summed) in looks.items() if summed.average[needs_call]}
        self.seen = sorted(average, key=lambda text: -len(average[text]))[:_MOST_WAYS]
        difficulty = _difficulty([average[text] for text in self.seen])
        self.prompts = len(difficulty)
        self.scale = _VARIANCE[needs_call] ** 0.5
        level = _mean(difficulty.values())
        noise = [_CHANCE / len(average[text]) / _VARIANCE[needs_call] for text in self.seen]
        self.likeness = Likeness([choices_of(looks[text][0], phase) for text in self.seen], noise)
        self.doubts = {text: (_CHANCE / (len(average[text]) + 4.0)) ** 0.5 for text in self.seen}
        self.of: dict[str, dict[str, float]] = {text: {} for text in self.seen}
        self.fits: dict[str, tuple[float, list[float]]] = {}
        middle = {text: _mean(average[text].values()) for text in self.seen}
        shift = {text: level - _mean(difficulty[p] for p in average[text]) for text in self.seen}
        for reading in {reading: None for text in self.seen for reading in looks[text][1].good[needs_call]}:
            good = [looks[text][1].good[needs_call].get(reading, middle[text]) for text in self.seen]
            values = [one + shift[text] for text, one in zip(self.seen, good, strict=True)]
            mean, weights = self.likeness.fitted(values)
            self.fits[reading] = mean, weights
            for text, one in zip(self.seen, self.likeness.back(values, weights), strict=True):
                self.of[text][reading] = one

    def at(self, between: Sequence[float], reading: str) -> float | None:
        """The estimate of a way with these covariances. None where nothing was seen."""
        if reading not in self.fits:
            return None
        mean, weights = self.fits[reading]
        found: float = mean + sum(map(mul, between, weights))
        return found


class Estimates:
    """The estimates of one moment. Made by `estimated`."""

    def __init__(self, calling: _Figure, idle: _Figure, calls: float, objective: Objective) -> None:
        self._calling, self._idle = calling, idle
        self._calls, self._objective = calls, objective
        self._known: dict[str, dict[str, PointEstimate]] = {}

    def of(self, text: str) -> Mapping[str, PointEstimate]:
        """The estimates of every reading of a way to ask that was seen, by its text. Empty for
        others.
        """
        if text not in self._known:
            made, held = self._calling.of.get(text, {}), self._idle.of.get(text, {})
            doubt = (self._idle.doubts.get(text, 0.0) ** 2 + _ELSEWHERE**2) ** 0.5
            self._known[text] = {one: self._estimate(made.get(one), held.get(one), doubt) for one in {**made, **held}}
        return self._known[text]

    def foretold(self, asking: Point, readings: Sequence[str]) -> tuple[float, float]:
        """What a way to ask that was not seen would bring with the best of these readings, and the
        standard deviation of that.
        """
        way = choices_of(asking, self._calling.phase)
        between = {figure: covariances(way, figure.likeness.ways) for figure in (self._calling, self._idle)}
        doubts = {figure: figure.scale * figure.likeness.doubt(one) for figure, one in between.items()}
        found = [
            self._estimate(
                self._calling.at(between[self._calling], one), self._idle.at(between[self._idle], one), _ELSEWHERE
            ).value
            for one in readings
        ]
        doubt = (self._calls * doubts[self._calling]) ** 2 + ((1 - self._calls) * doubts[self._idle]) ** 2
        return max(found, default=0.0), doubt**0.5

    def _estimate(self, made: float | None, held: float | None, doubt: float) -> PointEstimate:
        made = None if made is None else min(1.0, max(0.0, made))
        held = None if held is None else min(1.0, max(0.0, held))
        accuracy = self._calls * (made or 0.0) + (1 - self._calls) * (held or 0.0)
        return PointEstimate(self._objective.of(made, held, self._calls, doubt), accuracy, made, held)


def estimated(looks: Mapping[str, tuple[Point, Summary]], objective: Objective, phase: Phase = "atomic") -> Estimates:
    """The estimates that the marks of these ways to ask give, by their texts."""
    calling, idle = _Figure(True, looks, phase), _Figure(False, looks, phase)
    prompts = calling.prompts + idle.prompts
    return Estimates(calling, idle, calling.prompts / prompts if prompts else 0.0, objective)


def _difficulty(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What every prompt brings a way to ask of the middle: prompts and ways are fitted in turn."""
    by_prompt: dict[str, list[tuple[int, float]]] = {}
    for place, look in enumerate(looks):
        for prompt, good in look.items():
            by_prompt.setdefault(prompt, []).append((place, good))
    skill = [0.0] * len(looks)
    ease: dict[str, float] = {}
    for _ in range(_PASSES):
        ease = {prompt: _mean(good - skill[place] for place, good in seen) for prompt, seen in by_prompt.items()}
        skill = [_mean(good - ease[prompt] for prompt, good in look.items()) for look in looks]
        middle = _mean(skill)
        skill = [one - middle for one in skill]
    return ease


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
