"""Asks first which tool is needed, as a choice among letters, and reads it off their probabilities.

Small models favour certain letters and places of a list. The same question about a request without
content says how much, and is set off (contextual calibration, Zhao et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase

from selfopt.reading.families import NO_CALL
from selfopt.records import Message, ReplyContent, ToolDefinition, Variant, as_kind_of, remembered

from .decide import blank_of
from .first_token import FirstToken, first_token, for_one_token
from .layout import listed_messages
from .signatures import one_line, signature
from .step import RenderedStep, continued

MOST_TOOLS = len(ascii_lowercase) - 1
"""Of more tools it is not asked: the letters, of which one stands for none, do not suffice."""

_LIKELIEST = 20  # tokens that are asked for; no known server gives more
_SHOWN = 0.9  # of the probability of all tools, which those that are shown have together


@dataclass(frozen=True, slots=True)
class Picked:
    """What was picked.

    Attributes:
        tools: those that the answer is asked with, the likeliest ones in their order; none where no
            call is needed.
        chances: the calibrated log probability of each tool, by its name, and of none, by "".
        reply: the reply that it was read from.
    """

    tools: Sequence[ToolDefinition]
    chances: Mapping[str, float]
    reply: ReplyContent

    @property
    def none(self) -> ReplyContent:
        """The answer that nothing is to be called. Its log probability is that of the letter."""
        said = {"logprobs": self.reply.logprobs, "picked": dict(self.chances)}
        return ReplyContent(text=NO_CALL, finish_reason="stop").model_copy(update=said)


def pick_tools(
    variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition], threshold: float
) -> Generator[RenderedStep, ReplyContent, Picked | None]:
    """Ask which tool is needed.

    Args:
        variant: how the conversation is told.
        messages: what the model is shown of it.
        tools: what it may choose from.
        threshold: no call is needed where the calibrated log probability of none is greater than
            that of the likeliest tool by more than this many nats.

    Returns:
        None where nothing is picked: without tools, with too many, and where the server gives the
        probability of no letter.
    """
    if not 0 < len(tools) <= MOST_TOOLS:
        return None
    letters = ascii_lowercase[: len(tools) + 1]
    reply = yield _question(variant, messages, tools, "pick")
    asked = first_token(reply.logprobs, letters)
    if asked is None:
        return None
    without = replace(_question(variant, blank_of(messages), tools, "pick N/A"), blank=True)
    leaning = first_token((yield without).logprobs, letters)
    if leaning is None:
        return None
    *each, none = calibrated(asked, leaning, letters)
    chances = {"": math.log(none)}
    for tool, chance in zip(tools, each, strict=True):  # a client may offer two of one name
        chances[tool.name] = math.log(math.exp(chances.get(tool.name, -math.inf)) + chance)
    needed = math.log(none) - math.log(max(each)) <= threshold
    return Picked(as_kind_of(tools, _likeliest(tools, each) if needed else ()), chances, reply)


def calibrated(asked: FirstToken, leaning: FirstToken, letters: Sequence[str]) -> list[float]:
    """The probability of each letter over that without content, normalised.

    What is only known not to be among the likeliest tokens never counts as likelier than without
    content: the bounds on two unlikely letters say nothing of either.
    """
    shares = []
    for letter in letters:
        chance, anyway = asked.chance(letter), leaning.chance(letter)
        shares.append(chance / (anyway if letter in asked.listed else max(anyway, chance)))
    total = math.fsum(shares)
    return [share / total for share in shares]


def _likeliest(tools: Sequence[ToolDefinition], chances: Sequence[float]) -> tuple[ToolDefinition, ...]:
    """The fewest tools that have together most of the probability, in their order."""
    enough, kept = _SHOWN * math.fsum(chances), list[int]()
    for place in sorted(range(len(tools)), key=lambda place: -chances[place]):
        if math.fsum(chances[one] for one in kept) >= enough:
            break
        kept.append(place)
    return tuple(tools[place] for place in sorted(kept))


def _question(variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition], step: str) -> RenderedStep:
    last = ascii_lowercase[len(tools)].upper()
    question = f"Which tool does my request need? Answer with one letter from A to {last}."
    told = continued(listed_messages(variant, messages, _listed(tools)), question)
    return for_one_token(RenderedStep(step, told, sampling=variant.sampling), _LIKELIEST)


@remembered
def _listed(tools: Sequence[ToolDefinition]) -> str:
    lines = [*(one_line(signature(tool, brief=True)) for tool in tools), "none of these, or a required detail is missing"]
    return "\n".join(["Tools:", *(f"{letter}: {line}" for letter, line in zip(ascii_uppercase, lines, strict=False))])
