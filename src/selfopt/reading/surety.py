"""Makes a call only if the model was sure of its reply: a score of its log probabilities reaches a threshold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfopt.errors import VariantError
from selfopt.records import Correction, CorrectionKind, LogProbs, ReplyContent, ToolCall

LEAST_NATS, MOST_NATS = 0.01, 999.99
"""The range of what a sum may lack to 0, in steps of a hundredth. Under a grammar it may lack much."""

_THRESHOLD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.[0-9]?[1-9])?")


def _sum(observed: LogProbs) -> float:
    return observed.total


SCORES: Mapping[str, Callable[[LogProbs], float]] = {"sure": _sum}
"""What a threshold may be set on, by the name that begins its entry in a chain: a score in nats, at
most 0, the higher the surer. `sure` is the sum over the whole reply.
"""


@dataclass(frozen=True, slots=True)
class Surety:
    """How sure a model has to be of a reply for its calls to count.

    It looks at the reply as the model wrote it, text and calls together, before anything was
    repaired. Of a reply that was put together from several, it looks at all of them.

    Attributes:
        score: a key of `SCORES`.
        least: what it has to reach, in nats.
    """

    score: str
    least: float

    def doubt(self, content: ReplyContent) -> CorrectionKind | None:
        """Why the calls of a reply don't count; None if they do."""
        if content.logprobs is None:
            return "unsure_unknown"
        return "unsure" if SCORES[self.score](content.logprobs) < self.least else None

    def doubts(self, calls: Sequence[ToolCall], content: ReplyContent) -> tuple[Correction, ...]:
        """One correction for each call of a reply that is not sure; empty if it is."""
        kind = self.doubt(content) if calls else None
        return () if kind is None else tuple(Correction(kind=kind, tool=call.name) for call in calls)


def surety_of(name: str) -> Surety | None:
    """The threshold that an entry of a chain names, such as `sure-1.5`: a sum of -1.5 nats or more.

    Each value has one spelling. Returns None for the name of anything else.

    Raises:
        VariantError: the threshold is out of range or not in its one spelling.
    """
    score, dash, text = name.partition("-")
    if score.partition("@")[0] not in SCORES:
        return None
    if not dash or not _THRESHOLD.fullmatch(text) or not LEAST_NATS <= float(text) <= MOST_NATS:
        raise VariantError(
            f"{name!r} is no threshold: write sure-N, where N is what the sum of log probabilities may lack to 0, from "
            f"{LEAST_NATS:g} to {MOST_NATS:g} nats with at most two decimals and no needless zeros, such as sure-1.5"
        )
    return Surety(score, -float(text))
