"""Asks first whether a call is needed, and reads the answer off its probabilities.

The same question about a request without content says how the model leans anyway, and is set off
(contextual calibration, Zhao et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from selfopt.records import LogProbs, Message, ReplyContent, as_kind_of

from .chances import reads_chances, word_chances
from .step import RenderedStep, continued_as

NO_CONTENT = "N/A"
_QUESTION = (
    "First answer one question with yes or no. Does my request need a call of one of these tools, and have I given every "
    "required detail of that call?"
)
_LIKELIEST = 10  # tokens that are asked for


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
    leaning = yes_odds((yield replace(_question(blank, "decide N/A"), blank=True)).logprobs)
    return leaning is None or odds - leaning >= threshold


def yes_odds(logprobs: LogProbs | None) -> float | None:
    """The log odds of "yes" against "no" as the first token, in nats. None where neither is among the likeliest."""
    found = word_chances(logprobs, ("yes", "no"))
    return None if found is None else math.log(found.of("yes")) - math.log(found.of("no"))


def _question(opening: RenderedStep, name: str) -> RenderedStep:
    question = replace(continued_as(opening, name, _QUESTION), tool_choice="auto", constraint=None)
    return reads_chances(question, _LIKELIEST, max_tokens=1)
