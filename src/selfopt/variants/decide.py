"""Asks first whether a call is needed, and reads the answer off its probabilities.

The same question about a request without content says how the model leans anyway, and is set off
(contextual calibration, Zhao et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from selfopt.records import LogProbs, Message, ReplyContent, as_kind_of

from .step import RenderedStep, continued_as

NO_CONTENT = "N/A"
_QUESTION = (
    "First answer one question with yes or no. Does my request need a call of one of these tools, and have I given every "
    "required detail of that call?"
)
_LIKELIEST = 10  # tokens that are asked for at each place
_LEAST = 1e-6  # a probability below this is no figure to go by


def blank_of(messages: Sequence[Message]) -> Sequence[Message]:
    """A conversation with the same standing orders and without content."""
    standing = (message for message in messages if message.role == "system")
    return as_kind_of(messages, (*standing, Message(role="user", content=NO_CONTENT)))


def call_needed(opening: RenderedStep, blank: RenderedStep, threshold: float) -> Generator[RenderedStep, ReplyContent, bool]:
    """Ask whether a call is needed.

    Args:
        opening: the request for an answer.
        blank: the same for a request without content.
        threshold: the calibrated log odds of "yes", in nats, from which a call is needed.

    Returns:
        Whether one is needed. True where the server gives no probability of yes or no, as nothing
        is decided then.
    """
    odds = yes_odds((yield _question(opening, "decide")).logprobs)
    if odds is None:
        return True
    leaning = yes_odds((yield _question(blank, "decide N/A")).logprobs)
    return leaning is None or odds - leaning >= threshold


def yes_odds(logprobs: LogProbs | None) -> float | None:
    """The log odds of "yes" against "no" as the first token, in nats, whatever their case and spaces.

    A word that is not among the likeliest tokens has at most the probability of the last of them,
    and at most what all of them leave. It counts with that. None where neither word is among them.
    """
    if logprobs is None or not len(logprobs):
        return None
    first = logprobs.listed[0]
    known = dict(first.top) or {first.text: first.logprob}
    chances = {"yes": 0.0, "no": 0.0}
    for text, value in known.items():
        word = text.strip(" \t\n\r▁Ġ\"'*.").casefold()
        if word in chances:
            chances[word] += math.exp(value)
    if not any(chances.values()):
        return None
    left = max(_LEAST, 1 - math.fsum(map(math.exp, known.values())))
    unlisted = min(math.exp(min(known.values())), left)
    yes, no = (max(chance or unlisted, _LEAST) for chance in (chances["yes"], chances["no"]))
    return math.log(yes) - math.log(no)


def _question(opening: RenderedStep, name: str) -> RenderedStep:
    one_token = opening.sampling.model_copy(update={"max_tokens": 1, "temperature": 0.0, "thinking_tokens": 0})
    return replace(
        continued_as(opening, name, _QUESTION),
        tool_choice="auto",
        constraint=None,
        sampling=one_token,
        logprobs=_LIKELIEST,
    )
