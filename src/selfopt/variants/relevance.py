"""Says which texts, such as tools, have most in common with a request, by their words.

BM25 over fields (Robertson and Zaragoza 2009, section 3.6), with words cut down to their stems.
Everything is bounded, as tools and requests come from clients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.reading.telling import LEAST_STEM, TEXT_LIMIT, TOOL_LIMIT, Weighted, request_words, tool_fields, within, words_in
from selfopt.records import Example, Message, ToolDefinition, as_kind_of, remembered

_K1, _B = 1.2, 0.5  # how soon repeated words stop to count, and how much long texts are marked down
_TOOLS_LIMIT = 400_000  # characters of all tools together; each has an equal share
_EXAMPLE_LIMIT = 4_000
_CHOICES = 40  # of one argument
_OPENING = 5  # letters that related words have in common
_RELATED = 0.4  # weight of a word that is only related


def shown_tools(
    tools: Sequence[ToolDefinition], messages: Sequence[Message], keep: int | None, *, called: bool = True
) -> Sequence[ToolDefinition]:
    """The tools of a request that have most in common with it, in their order.

    Args:
        tools: all tools that are offered.
        messages: the conversation.
        keep: how many are kept; None: all.
        called: whether a tool that the conversation has called is kept as well.

    Returns:
        The same object where nothing is left out. That is also so where no tool has a word in
        common with the request, as nothing then tells which ones it needs.
    """
    if keep is None or len(tools) <= keep:
        return tools
    return _shown(tools, messages, keep, called)


@remembered
def _shown(tools: Sequence[ToolDefinition], messages: Sequence[Message], keep: int, called: bool) -> Sequence[ToolDefinition]:
    scores = word_scores(tools, messages)
    return chosen_tools(tools, messages, keep, scores, called=called) if any(scores) else tools


def word_scores(tools: Sequence[ToolDefinition], messages: Sequence[Message]) -> list[float]:
    """How much each tool has in common with a request, by their words; 0 for nothing."""
    return _tool_index(tools).scores(request_words(messages))


def chosen_tools(
    tools: Sequence[ToolDefinition], messages: Sequence[Message], keep: int, scores: Sequence[float], *, called: bool = True
) -> Sequence[ToolDefinition]:
    """The tools with the highest scores, in their order. Arguments as for `shown_tools`."""
    best = sorted(range(len(tools)), key=lambda place: (-scores[place], place))[:keep]
    earlier = {call.name for message in messages for call in message.tool_calls} if called else set()
    kept = {*best, *(place for place, tool in enumerate(tools) if tool.name in earlier)}
    return as_kind_of(tools, tuple(tool for place, tool in enumerate(tools) if place in kept))


def similar_examples(examples: Sequence[Example], messages: Sequence[Message], most: int) -> tuple[Example, ...]:
    """The examples whose requests, tools included, have most in common with a request.

    The most similar one comes last, where a model heeds it most. Among equal ones the earlier one
    is taken.
    """
    if len(examples) <= most:
        return tuple(examples)
    scores = _example_index(tuple(examples)).scores(request_words(messages))
    best = sorted(range(len(examples)), key=lambda place: (-scores[place], place))[:most]
    return tuple(examples[place] for place in reversed(best))


@dataclass(frozen=True, slots=True)
class _Index:
    """Which texts hold a word, and how much each occurrence counts there."""

    count: int
    places: Mapping[str, Mapping[int, float]]
    openings: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(texts: Sequence[Weighted]) -> _Index:
        counted: list[dict[str, float]] = []
        for fields in texts:
            words: dict[str, float] = {}
            for text, weight in fields:
                for word in words_in(text):
                    words[word] = words.get(word, 0.0) + weight
            counted.append(words)
        sizes = [sum(words.values()) for words in counted]
        mean = sum(sizes) / max(len(sizes), 1) or 1.0
        places: dict[str, dict[int, float]] = {}
        openings: dict[str, list[str]] = {}
        for place, words in enumerate(counted):
            for word, weight in words.items():
                long = 1 - _B + _B * sizes[place] / mean
                if word not in places and len(word) >= _OPENING:
                    openings.setdefault(word[:_OPENING], []).append(word)
                places.setdefault(word, {})[place] = weight * (_K1 + 1) / (weight + _K1 * long)
        return _Index(len(texts), places, {opening: tuple(words) for opening, words in openings.items()})

    def scores(self, words: Mapping[str, float]) -> list[float]:
        """How much each text has in common with these words; 0 for nothing."""
        found = [0.0] * self.count
        for word, weight in words.items():
            for known, share in self._known(word):
                holding = self.places[known]
                rare = math.log(1 + (self.count - len(holding) + 0.5) / (len(holding) + 0.5))
                for place, counts in holding.items():
                    found[place] += weight * share * rare * counts
        return [round(one, 9) for one in found]

    def _known(self, word: str) -> list[tuple[str, float]]:
        """The word itself where a text holds it; else those it may be related to: words with the
        same opening, and words that it is put together from.
        """
        if word in self.places:
            return [(word, 1.0)]
        alike = list(self.openings.get(word[:_OPENING], ()))[:_CHOICES] if len(word) >= _OPENING else []
        for cut in range(LEAST_STEM + 1, min(len(word) - LEAST_STEM, 40)):
            alike += [part for part in (word[:cut], word[cut:]) if len(part) > LEAST_STEM and part in self.places]
        return [(one, _RELATED) for one in dict.fromkeys(alike)]


@remembered
def _tool_index(tools: Sequence[ToolDefinition]) -> _Index:
    share = max(TEXT_LIMIT // 4, min(TOOL_LIMIT, _TOOLS_LIMIT // max(len(tools), 1)))
    return _Index.of([list(within(tool_fields(tool), share)) for tool in tools])


@remembered
def _example_index(examples: Sequence[Example]) -> _Index:
    told = []
    for example in examples:
        said = [(message.content, 1.0) for message in example.messages if message.role == "user"]
        told.append(list(within([*said, *((call.name, 1.0) for call in example.tool_calls)], _EXAMPLE_LIMIT)))
    return _Index.of(told)
