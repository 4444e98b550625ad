"""Fits the confidence of a model's answers: from the signals of an answer to the chance that it is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from selfopt.records import ConfidenceModel, ConfidenceTerms, SignalName, Signals, SignalTerm
from selfopt.stats import non_negative_logistic

_TAIL = 0.05
_RIDGE = 0.3
_UNSEEN_KIND = -10.0
"""The log odds of answers of a kind of which the fit saw none: they are as good as never served."""
_NATURAL: Mapping[str, tuple[float, float]] = dict.fromkeys(("backed", "covered", "fits", "agrees", "unrepaired"), (0.0, 1.0))
"""Signals that lie in [0, 1] already. The others are log probabilities."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer to one prompt, its signals, and whether it is right.

    Attributes:
        tool_set: the content name of the tools that were offered.
        right: whether the outcome is pass. Everything else is wrong.
    """

    prompt_id: str
    trial_id: str
    tool_set: str
    signals: Signals
    right: bool


def confidence_model(judged: Sequence[Judged]) -> ConfidenceModel:
    """The confidence model that fits these answers best, by `non_negative_logistic`.

    Answers with calls and answers without are fitted apart, since they have other signals. A log
    probability is clipped to the 5 % and 95 % quantiles of the fit and counts in two pieces, below
    and above its median, so that confidence may rise in it faster at one end. A signal that an
    answer lacks counts as its fitted `unknown`. Where the fit never lacks it, an answer that does is
    taken for the least sure. The order of the answers changes nothing.
    """
    return ConfidenceModel(
        calls=_terms([one for one in judged if one.signals.calls]), text=_terms([one for one in judged if not one.signals.calls])
    )


def _terms(judged: Sequence[Judged]) -> ConfidenceTerms:
    if not judged:
        return ConfidenceTerms(intercept=_UNSEEN_KIND)
    pieces: list[SignalTerm] = []
    columns: list[list[float]] = []
    owners: list[tuple[int, bool]] = []
    for name in get_args(SignalName):
        values = [known(getattr(one.signals, name)) for one in judged]
        for low, high in _ranges(name, values):
            piece = SignalTerm(signal=name, low=low, high=high, weight=1.0, unknown=0.0)
            moved = [None if value is None else piece.adds(value) for value in values]
            # weight = a + b and weight * unknown = a, with a, b >= 0: so 0 <= unknown <= 1.
            if any(value is None for value in moved):
                columns.append([1.0 if value is None else value for value in moved])
                owners.append((len(pieces), True))
            columns.append([value or 0.0 for value in moved])
            owners.append((len(pieces), False))
            pieces.append(piece)
    intercept, weights = non_negative_logistic(columns, [one.right for one in judged], ridge=_RIDGE)
    lacking, present = [0.0] * len(pieces), [0.0] * len(pieces)
    for (index, lacks), weight in zip(owners, weights, strict=True):
        (lacking if lacks else present)[index] = weight
    fitted = (
        piece.model_copy(update={"weight": a + b, "unknown": a / (a + b)})
        for piece, a, b in zip(pieces, lacking, present, strict=True)
        if a + b > 0
    )
    return ConfidenceTerms(intercept=intercept, terms=tuple(fitted))


def known(value: float | None) -> float | None:
    """A signal's value; None for NaN, which no server should send."""
    return None if value is None or math.isnan(value) else value


def _ranges(name: str, values: Sequence[float | None]) -> list[tuple[float, float]]:
    """The ranges over which a signal's pieces rise; none where it is always the same or never there."""
    seen = sorted(value for value in values if value is not None and math.isfinite(value))
    lacks = any(value is None for value in values)
    if not seen or (seen[0] == seen[-1] and not lacks):
        return []
    if name in _NATURAL:
        return [_NATURAL[name]]
    low, middle, high = (seen[round(share * (len(seen) - 1))] for share in (_TAIL, 0.5, 1 - _TAIL))
    if low == high:
        return [(seen[0], seen[-1])]
    return [(start, end) for start, end in ((low, middle), (middle, high)) if start < end]
