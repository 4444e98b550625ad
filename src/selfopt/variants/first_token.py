"""What the first token of a reply may be, by the log probabilities of the likeliest ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selfopt.records import LogProbs

from .step import RenderedStep

_LEAST = 1e-6  # a probability below this is no figure to go by


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How likely some words are as the first token of a reply.

    A word that is not among the likeliest tokens has at most the probability of the last of them,
    and at most what all of them leave. It counts with that.

    Attributes:
        listed: the probabilities of the words that are among the likeliest tokens; at least one.
        unlisted: the most that another word has.
    """

    listed: Mapping[str, float]
    unlisted: float

    def chance(self, word: str) -> float:
        """The probability of a word, more than 0."""
        return max(self.listed.get(word, self.unlisted), _LEAST)


def first_token(logprobs: LogProbs | None, words: Sequence[str]) -> FirstToken | None:
    """How likely these words are as the first token, whatever their case, spaces and quotation marks.

    words: in lower case. Returns None where no word is among the likeliest tokens.
    """
    if logprobs is None or not len(logprobs):
        return None
    first = logprobs.listed[0]
    known = dict(first.top) or {first.text: first.logprob}
    chances = dict.fromkeys(words, 0.0)
    for text, value in known.items():
        word = text.strip(" \t\n\r▁Ġ\"'*.").casefold()
        if word in chances:
            chances[word] += math.exp(value)
    if not any(chances.values()):
        return None
    left = max(_LEAST, 1 - math.fsum(map(math.exp, known.values())))
    listed = {word: chance for word, chance in chances.items() if chance}
    return FirstToken(listed, min(math.exp(min(known.values())), left))


def for_one_token(step: RenderedStep, likeliest: int) -> RenderedStep:
    """The step as a free question that one token answers, with the log probabilities of so many."""
    one_token = step.sampling.model_copy(update={"max_tokens": 1, "temperature": 0.0, "thinking_tokens": 0})
    return replace(step, tool_choice="auto", constraint=None, sampling=one_token, logprobs=likeliest)
