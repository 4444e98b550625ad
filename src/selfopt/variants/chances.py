"""How likely the answers to a question are, by the log probabilities of the reply's tokens and of those beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selfopt.reading.aligned import Tokens, named_at
from selfopt.reading.signals import begins_call
from selfopt.records import LogProbs, TokenLogProb, ToolDefinition

from .step import RenderedStep

_LEAST = 1e-6  # a probability below this is no figure to go by
_AROUND = " \t\n\r▁Ġ\"'*."  # what may stand around an answer
_BEFORE = f"{_AROUND}`([{{<>=:|"  # and before a name
_WORD = re.compile(r"[\w\-]")  # goes on with a name
_LONGEST = 32  # tokens of a name, and of a reply that are searched for one that nothing names


@dataclass(frozen=True, slots=True)
class Chances:
    """The probabilities of some answers.

    An answer that is not among the likeliest tokens has at most the probability of the last of them,
    and at most what all of them leave. It counts with that.

    Attributes:
        listed: of the answers that are among the likeliest tokens; at least one.
        unlisted: the most that another one has.
    """

    listed: Mapping[str, float]
    unlisted: float

    def of(self, answer: str) -> float:
        """The probability of an answer, more than 0."""
        return max(self.listed.get(answer, self.unlisted), _LEAST)


def word_chances(logprobs: LogProbs | None, words: Sequence[str]) -> Chances | None:
    """How likely each of these words is as the first token, whatever its case and the marks around it.

    words: in lower case. Returns None where no word is among the likeliest tokens.
    """
    if logprobs is None or not len(logprobs):
        return None
    known = _known(logprobs.listed[0])
    found = dict.fromkeys(words, 0.0)
    for text, value in known.items():
        word = text.strip(_AROUND).casefold()
        if word in found:
            found[word] += math.exp(value)
    listed = {word: chance for word, chance in found.items() if chance}
    return Chances(listed, _unlisted(known)) if listed else None


def call_chances(logprobs: LogProbs | None, tools: Sequence[ToolDefinition]) -> Chances | None:
    """How likely a reply that calls a tool was to call each, by its name, and none, by "".

    A call begins with the first token, or not. At each token of the name, the likeliest others lead to
    other names. Where one leads to several, they share its probability, as it is not known how it goes
    on from there.

    Args:
        logprobs: of the reply, or of its beginning with the name of the tool.
        tools: as the model knows them.

    Returns:
        None where no likely token of the reply leads to the name of a tool.
    """
    if logprobs is None or not len(logprobs):
        return None
    names = [tool.name for tool in tools]
    tokens, listed = Tokens(logprobs), logprobs.listed[:_LONGEST]
    begins, place = begins_call(tokens, 0, tools), named_at(tokens, names)
    if place is None:  # the name may be invented, and others stand beside it
        place = max(range(len(listed)), key=lambda at: _leading(listed[at], names))
    found = _names_from(logprobs.listed[place : place + _LONGEST], names)
    if begins is None or not any(found.values()):
        return None
    chances = {name: begins * chance for name, chance in found.items() if chance}
    return Chances({**chances, "": 1 - begins}, begins * _unlisted(_known(logprobs.listed[place])))


def _leading(token: TokenLogProb, names: Sequence[str]) -> float:
    """How likely it is that a name begins here. A single letter is no sign of one."""
    leads = (
        math.exp(value) for text, value in _known(token).items() if len(text.lstrip(_BEFORE)) > 1 and _named("", text, names)
    )
    return math.fsum(leads)


def _names_from(tokens: Sequence[TokenLogProb], names: Sequence[str]) -> dict[str, float]:
    """How likely it is that each name begins with the first of these tokens."""
    found = dict.fromkeys(names, 0.0)
    said, chance, left = "", 1.0, list(found)
    for token in tokens:
        for text, value in _known(token).items():
            if text != token.text:
                _share(found, _named(said, text, left), chance * math.exp(value))
        chance *= math.exp(token.logprob)
        left = _named(said, token.text, left)
        said = said + token.text if said else token.text.lstrip(_BEFORE)
        if not (token.text and left and left[0].startswith(said)):  # it ends here, or names nothing
            break
    _share(found, [said] if said in left else left, chance)
    return found


def _named(said: str, text: str, names: Sequence[str]) -> list[str]:
    """The names that a reply may name which goes on with this text: all that go on so, or the one that ends in it."""
    if not text:
        return [said] if said in names else []
    longer = said + text if said else text.lstrip(_BEFORE)
    if not longer:
        return []
    begun = [name for name in names if name.startswith(longer)]
    ended = (name for name in names if longer.startswith(name) and not _WORD.match(longer, len(name)))
    return begun or sorted(ended, key=len)[-1:]


def _share(found: dict[str, float], names: Sequence[str], chance: float) -> None:
    for name in names:
        found[name] += chance / len(names)


def _known(token: TokenLogProb) -> dict[str, float]:
    return dict(token.top) or {token.text: token.logprob}


def _unlisted(known: Mapping[str, float]) -> float:
    """The most that a token beside these has."""
    return min(math.exp(min(known.values())), max(_LEAST, 1 - math.fsum(map(math.exp, known.values()))))


def reads_chances(step: RenderedStep, likeliest: int, max_tokens: int) -> RenderedStep:
    """The step, of whose short reply only the log probabilities are read: of so many tokens at each place."""
    short = step.sampling.model_copy(update={"max_tokens": max_tokens, "temperature": 0.0, "thinking_tokens": 0})
    return replace(step, sampling=short, logprobs=likeliest)
