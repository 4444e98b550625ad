"""Asks first for the beginning of a call, and reads off it how likely each tool is, and none.

A small model favours some tools whatever it is asked. The same request without content says how
much, and is set off (contextual calibration, Zhao et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from selfopt.reading.families import NO_CALL
from selfopt.records import ReplyContent, ToolDefinition, as_kind_of

from .chances import Chances, call_chances, reads_chances
from .step import RenderedStep

_LIKELIEST = 20  # tokens that are asked for at each place; no known server gives more
_LONGEST = 32  # tokens of a reply, with the name of a tool in them
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
        """The answer that nothing is to be called, with the log probabilities that it was read from."""
        said = {"logprobs": self.reply.logprobs, "picked": dict(self.chances)}
        return ReplyContent(text=NO_CALL, finish_reason="stop").model_copy(update=said)


def pick_tools(
    opening: RenderedStep, blank: RenderedStep, tools: Sequence[ToolDefinition], threshold: float
) -> Generator[RenderedStep, ReplyContent, Picked | None]:
    """Ask for the beginning of a call.

    Args:
        opening: the request for an answer, of which a call is demanded.
        blank: the same for a request without content.
        tools: those that it shows.
        threshold: no call is needed where the calibrated log probability of none is greater than
            that of the likeliest tool by more than this many nats.

    Returns:
        None where nothing is picked, as a reply names no tool or the server gives no probabilities.
    """
    known = opening.tools or tools  # a server may know them by other names
    own = {there.name: tool.name for there, tool in zip(known, tools, strict=True)}
    if not own or "" in own:
        return None
    reply = yield reads_chances(replace(opening, step="pick"), _LIKELIEST, _LONGEST)
    asked = call_chances(reply.logprobs, known)
    if asked is None:
        return None
    without = reads_chances(replace(blank, step="pick N/A", blank=True), _LIKELIEST, _LONGEST)
    leaning = call_chances((yield without).logprobs, known)
    if leaning is None:
        return None
    chances = calibrated(asked, leaning, [*own, ""])
    none = chances.pop("")
    likeliest = _likeliest({own[name]: chance for name, chance in chances.items()})
    needed = math.log(none) - math.log(max(chances.values())) <= threshold
    shown = tuple(tool for tool in tools if needed and tool.name in likeliest)
    told = {own.get(name, ""): math.log(chance) for name, chance in {**chances, "": none}.items()}
    return Picked(as_kind_of(tools, shown), told, reply)


def calibrated(asked: Chances, leaning: Chances, answers: Sequence[str]) -> dict[str, float]:
    """The probability of each answer over that without content, normalised.

    What is only known not to be among the likeliest tokens never counts as likelier than without
    content: the bounds on two unlikely answers say nothing of either.
    """
    shares: dict[str, float] = {}
    for answer in answers:
        chance, anyway = asked.of(answer), leaning.of(answer)
        shares[answer] = chance / (anyway if answer in asked.listed else max(anyway, chance))
    total = math.fsum(shares.values())
    return {answer: share / total for answer, share in shares.items()}


def _likeliest(chances: Mapping[str, float]) -> Collection[str]:
    """The fewest tools that have together most of the probability."""
    enough, kept = _SHOWN * math.fsum(chances.values()), dict[str, float]()
    for name in sorted(chances, key=lambda name: -chances[name]):
        if math.fsum(kept.values()) >= enough:
            break
        kept[name] = chances[name]
    return kept
