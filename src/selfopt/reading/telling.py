"""The words that tell what a request and a tool are about.

Words are cut down to their stems. Everything is bounded, as tools and requests come from clients.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from selfopt.records import Message, ToolDefinition
from selfopt.records.remember import while_it_lasts

from .spoken import fold

Weighted = Sequence[tuple[str, float]]
"""Texts, each with the weight of a word in it."""

TEXT_LIMIT = 2_000  # characters of one description
TOOL_LIMIT = 8_000  # characters of one tool
_REQUEST_LIMIT = 4_000  # characters of a request, from its end
_NODES = 200  # parts of a schema that are looked at
_CHOICES = 40  # of one argument
_DEPTH = 6
_NAME, _TOLD, _ARGUMENT, _NOTE = 3.0, 1.5, 1.0, 0.5  # weights of a tool's name, description, arguments, and their descriptions
_EARLIER = 0.3  # weight of what the user said before the last message
_SPOKEN = 3  # user messages that are looked at
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_ENDINGS = (
    "ations", "ation", "ingly", "ings", "ing", "ies", "ied", "edly", "ers", "er", "est", "ed", "es", "ly", "en", "e",
    "s", "y",
)  # fmt: skip
LEAST_STEM = 3
_REMEMBERED = 40  # characters of a word whose stems are remembered
# Words that say nothing about what a request is about. They are cut to stems like all others.
_EMPTY = frozenset([
    "a", "an", "the", "this", "that", "these", "those", "of", "to", "in", "on", "at", "by", "for", "from", "with",
    "and", "or", "not", "no", "is", "are", "was", "be", "been", "it", "its", "i", "me", "my", "you", "your", "we", "us",
    "our", "he", "she", "they", "them", "his", "her", "what", "which", "who", "how", "when", "if", "then", "so", "as",
    "do", "does", "did", "can", "could", "will", "would", "should", "may", "please", "thanks", "have", "has", "had",
    "there", "here", "some", "any", "all", "one",
])  # fmt: skip


def request_words(messages: Sequence[Message]) -> dict[str, float]:
    """The words of a request with their weights: those of the last user message count most."""
    spoken = [message.content for message in messages if message.role == "user"][-_SPOKEN:]
    words: dict[str, float] = {}
    for place, text in enumerate(reversed(spoken)):
        for word in words_in(text[-_REQUEST_LIMIT:], _REQUEST_LIMIT):
            words.setdefault(word, _EARLIER if place else 1.0)
    return words


def words_in(text: str, limit: int = TEXT_LIMIT) -> Iterator[str]:
    """The stems of a text's telling words. Names are split where their parts meet: `getUserId`."""
    for run in _WORD.findall(text[:limit]):
        yield from _known(run) if len(run) <= _REMEMBERED else _stems(run)


def covered_share(tools: Iterable[ToolDefinition], messages: Sequence[Message]) -> float | None:
    """The share of a request's telling words that a tool has in its name, descriptions, arguments or choices.

    Of several tools, the least. Words of the last user message count most. Numbers tell nothing of
    what is asked for, and are left out. None where no word is left, or there is no tool.
    """
    words = {word: weight for word, weight in request_words(messages).items() if not word.isdigit()}
    if not words:
        return None
    whole, known = sum(words.values()), map(tool_words, tools)
    return min((sum(weight for word, weight in words.items() if word in mine) / whole for mine in known), default=None)


@while_it_lasts
def tool_words(tool: ToolDefinition) -> frozenset[str]:
    """The stems of all that a tool says of itself."""
    return _words_of(tuple(text[:TEXT_LIMIT] for text, _ in within(tool_fields(tool), TOOL_LIMIT)))


@lru_cache(maxsize=512)  # of texts that are bounded: tools themselves may be large, and each request may have its own
def _words_of(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for text in texts for word in words_in(text))


def name_words(name: str) -> list[str]:
    """The words that a name is put together from, as they are written: `get`, `User`, `Id`."""
    return [part for run in _WORD.findall(name) for part in _HUMP.split(run)]


def _stems(run: str) -> tuple[str, ...]:
    words = [fold(part) for part in _HUMP.split(run)]
    return tuple(_stem(word) for word in words if word and word not in _EMPTY)


_known = lru_cache(maxsize=8192)(_stems)


def _stem(word: str) -> str:
    """A word without its ending. Only what is compared is cut so, and nothing is shown."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= LEAST_STEM:
            cut = word[: -len(ending)]
            return cut[:-1] if len(cut) > LEAST_STEM and cut[-1] == cut[-2] else cut
    return word


def within(texts: Weighted, limit: int) -> Iterator[tuple[str, float]]:
    """The first texts, up to so many characters together."""
    for text, weight in texts:
        if limit <= 0:
            return
        yield text[:limit], weight
        limit -= min(len(text), TEXT_LIMIT)


def tool_fields(tool: ToolDefinition) -> Weighted:
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
