"""Says which texts, such as tools, have most in common with a request, by their words.

BM25 over fields (Robertson and Zaragoza 2009, section 3.6), with words cut down to their stems.
Everything is bounded, as tools and requests come from clients.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selfopt.reading.spoken import fold
from selfopt.records import Example, Message, ToolDefinition, as_kind_of, remembered

Weighted = Sequence[tuple[str, float]]
"""Texts, each with the weight of a word in it."""

_K1, _B = 1.2, 0.5  # how soon repeated words stop to count, and how much long texts are marked down
_TEXT_LIMIT = 2_000  # characters of one description
_TOOL_LIMIT = 8_000  # characters of one tool
_TOOLS_LIMIT = 400_000  # characters of all tools together; each has an equal share
_EXAMPLE_LIMIT = 4_000
_REQUEST_LIMIT = 4_000  # characters of a request, from its end
_NODES = 200  # parts of a schema that are looked at
_CHOICES = 40  # of one argument
_DEPTH = 6
_NAME, _TOLD, _ARGUMENT, _NOTE = 3.0, 1.5, 1.0, 0.5  # weights of a tool's name, description, arguments, and their descriptions
_EARLIER = 0.3  # weight of what the user said before the last message
_SPOKEN = 3  # user messages that are looked at
_OPENING = 5  # letters that related words have in common
_RELATED = 0.4  # weight of a word that is only related
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_ENDINGS = (
    "ations", "ation", "ingly", "ings", "ing", "ies", "ied", "edly", "ers", "er", "est", "ed", "es", "ly", "en", "e",
    "s", "y",
)  # fmt: skip
_LEAST_STEM = 3
# Words that say nothing about what a request is about. They are cut to stems like all others.
_EMPTY = frozenset([
    "a", "an", "the", "this", "that", "these", "those", "of", "to", "in", "on", "at", "by", "for", "from", "with",
    "and", "or", "not", "no", "is", "are", "was", "be", "been", "it", "its", "i", "me", "my", "you", "your", "we", "us",
    "our", "he", "she", "they", "them", "his", "her", "what", "which", "who", "how", "when", "if", "then", "so", "as",
    "do", "does", "did", "can", "could", "will", "would", "should", "may", "please", "thanks", "have", "has", "had",
    "there", "here", "some", "any", "all", "one",
])  # fmt: skip


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
    scores = _tool_index(tools).scores(request_words(messages))
    if not any(scores):
        return tools
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


def request_words(messages: Sequence[Message]) -> dict[str, float]:
    """The words of a request with their weights: those of the last user message count most."""
    spoken = [message.content for message in messages if message.role == "user"][-_SPOKEN:]
    words: dict[str, float] = {}
    for place, text in enumerate(reversed(spoken)):
        for word in words_in(text[-_REQUEST_LIMIT:], _REQUEST_LIMIT):
            words[word] = max(words.get(word, 0.0), _EARLIER if place else 1.0)
    return words


def words_in(text: str, limit: int = _TEXT_LIMIT) -> Iterator[str]:
    """The stems of a text's telling words. Names are split where their parts meet: `getUserId`."""
    for part in name_words(text[:limit]):
        word = fold(part)
        if word and word not in _EMPTY:
            yield _stem(word)


def name_words(name: str) -> list[str]:
    """The words that a name is put together from, as they are written: `get`, `User`, `Id`."""
    return [part for run in _WORD.findall(name) for part in _HUMP.split(run)]


def _stem(word: str) -> str:
    """A word without its ending. Only what is compared is cut so, and nothing is shown."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            cut = word[: -len(ending)]
            return cut[:-1] if len(cut) > _LEAST_STEM and cut[-1] == cut[-2] else cut
    return word


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
        for cut in range(_LEAST_STEM + 1, min(len(word) - _LEAST_STEM, 40)):
            alike += [part for part in (word[:cut], word[cut:]) if len(part) > _LEAST_STEM and part in self.places]
        return [(one, _RELATED) for one in dict.fromkeys(alike)]


@remembered
def _tool_index(tools: Sequence[ToolDefinition]) -> _Index:
    share = max(_TEXT_LIMIT // 4, min(_TOOL_LIMIT, _TOOLS_LIMIT // max(len(tools), 1)))
    return _Index.of([list(_within(_fields(tool), share)) for tool in tools])


@remembered
def _example_index(examples: Sequence[Example]) -> _Index:
    told = []
    for example in examples:
        said = [(message.content, 1.0) for message in example.messages if message.role == "user"]
        told.append(list(_within([*said, *((call.name, 1.0) for call in example.tool_calls)], _EXAMPLE_LIMIT)))
    return _Index.of(told)


def _within(texts: Weighted, limit: int) -> Iterator[tuple[str, float]]:
    """The first texts, up to so many characters together."""
    for text, weight in texts:
        if limit <= 0:
            return
        yield text[:limit], weight
        limit -= min(len(text), _TEXT_LIMIT)


def _fields(tool: ToolDefinition) -> Weighted:
    """What a tool says of itself."""
    found = [(tool.name, _NAME), (tool.description, _TOLD)]
    waiting: deque[tuple[object, int]] = deque([(tool.parameters, 0)])
    looked = 0
    while waiting and looked < _NODES:
        schema, depth = waiting.popleft()
        looked += 1
        if not isinstance(schema, Mapping):
            continue
        properties = schema.get("properties")
        for key, part in list(properties.items())[:_NODES] if isinstance(properties, Mapping) else ():
            found.append((str(key), _ARGUMENT))
            if isinstance(part, Mapping):
                found += [(note, _NOTE) for note in (part.get("description"),) if isinstance(note, str)]
            if depth < _DEPTH:
                waiting.append((part, depth + 1))
        choices = schema.get("enum")
        found += [(one, _ARGUMENT) for one in choices[:_CHOICES] if isinstance(one, str)] if isinstance(choices, list) else []
        if depth < _DEPTH:
            waiting += [(part, depth + 1) for part in (schema.get("items"), *_members(schema)) if part is not None]
    return found[: 4 * _NODES]


def _members(schema: Mapping[str, object]) -> list[object]:
    """The alternatives of a union, and the definitions that references lead to."""
    listed = [part for word in ("anyOf", "oneOf", "allOf") if isinstance(parts := schema.get(word), list) for part in parts]
    for word in ("$defs", "definitions"):
        named = schema.get(word)
        listed += list(named.values()) if isinstance(named, Mapping) else []
    return listed[:_CHOICES]
