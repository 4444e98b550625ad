"""Whether what was said backs the value of an argument, by the kind of the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from selfopt.records import Message, ToolDefinition
from selfopt.records.remember import while_it_lasts

from .conversions import as_number
from .moments import moment_of
from .said import STEM, Said, words_of
from .schema import Schema, choices_of, items_of, options, part_of
from .spoken import SWITCHES, UNIT_NAMES, fold

_DEPTH = 8
_MANY = 256  # items of a value that are looked at
_SHORT = 3  # letters of a word that says little beside longer ones
_OPENING = 3  # letters that a choice and what people call it must have in common
_TELLING = 5  # letters of a word in a description that tells what an argument is about
_SHARE = 3  # one of so many words of a text must be said
_REMEMBERED = 500  # characters of a description whose words are remembered: the same tools are offered again
_COMMON = 0.2  # the share of short words that two texts of one language have in common at least
# What nobody says though it is meant: ISO and IATA codes, tickers, locales, time zones, colours, media types, durations of ISO 8601.
CODE = re.compile(
    r"[A-Z]{1,5}|[a-z]{2}|[a-z]{2,3}[-_][A-Z]{2}|[A-Z][A-Za-z_]{1,30}/[A-Z][A-Za-z_]{1,30}|(?:UTC|GMT)[+-]\d{1,2}(?::\d{2})?"
    r"|#[0-9a-fA-F]{3,8}|[a-z]{2,16}/[a-z0-9.+-]{2,64}|P(?:\d{1,4}[YMWD]){0,4}(?:T(?:\d{1,4}[HMS]){1,3})?"
)
_FORMULA = re.compile(r"[=^{}<>\\|*]|\(.{0,64}\)|//")
_ADDRESS = re.compile(r"\S{1,256}@\S{1,256}|[a-z]{2,8}://\S{1,2048}|www\.\S{1,2048}")
_IN_ADDRESSES = frozenset({"http", "https", "www", "com", "org", "net", "html"})


class Talk:
    """A conversation in which tools were offered."""

    def __init__(self, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> None:
        self._tools = tools
        self.said = Said.of(messages)

    @staticmethod
    def of(messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Talk:
        """Read a conversation. The newest one is remembered: the repairs of a chain ask one after another.

        A list is a live chat's, and nothing stays of it once it is answered.
        """
        if isinstance(messages, list):
            return Talk(messages, tools)
        for said, offered, talk in _NEWEST:
            if said is messages and offered is tools:
                return talk
        talk = Talk(messages, tools)
        _NEWEST[:] = [(messages, tools, talk)]
        return talk

    @cached_property
    def translates(self) -> bool:
        """Whether it is in another language than the tools, so that choices are not said in their words.

        Then few short words are the same.
        """
        if self.said.other_script:
            return True
        short = {word for word in self.said.asked if len(word) <= STEM and word.isalpha()}
        known = frozenset().union(*map(_described_in, self._tools))
        return len(short) > _SHORT and len(known) > len(short) and len(short & known) < _COMMON * len(short)


# The newest conversation and its tools. It is replaced whole, as replies are read in several threads.
_NEWEST: list[tuple[Sequence[Message], Sequence[ToolDefinition], Talk]] = []


class Backing:
    """Checks the values of a tool's arguments against a conversation.

    Args:
        talk: the conversation.
        root: the parameters of the tool.
    """

    def __init__(self, talk: Talk, root: Schema) -> None:
        self._talk, self._said, self._root = talk, talk.said, root

    def backs(self, value: Any, schema: Any, depth: int = _DEPTH) -> bool:
        """Whether the conversation backs a value of this schema.

        Choices, switches and defaults are believed. Of a list and an object each item counts.
        """
        part = self._part(schema)
        if depth == 0 or choices_of(part) is not None or isinstance(value, bool):
            return True
        if value is None:
            return any(option.get("type") == "null" for option in options(schema, self._root))
        if "default" in part and part["default"] == value:
            return True
        if isinstance(value, int | float):
            return self._said.says_number(value)
        if isinstance(value, str):
            return self._backs_text(value)
        if isinstance(value, list):
            return all(self.backs(item, inner, depth - 1) for item, inner in _items(value[:_MANY], part))
        return all(self.backs(item, part_of(part, key), depth - 1) for key, item in islice(value.items(), _MANY))

    def asks_for(self, key: str, value: Any, schema: Any, taken: frozenset[str]) -> bool:
        """Whether somebody asked for an optional value.

        Of a text and of a choice each word must be said, and the required arguments must not have
        them all already. Of a switch some word of its name or description must be said.

        Args:
            key: the name of the argument.
            value: its value.
            schema: its schema.
            taken: the words of the required arguments.
        """
        if value is None or value == "":
            return False
        part = self._part(schema)
        if isinstance(value, bool) or (isinstance(value, str) and fold(value) in SWITCHES):
            return self._talk.translates or self._names(key, part)
        if not isinstance(value, str) or moment_of(fold(value)) is not None or as_number(value) is not None:
            return self.backs(value, schema)
        words = words_of(value)
        if choices_of(part) is not None and self._talk.translates:
            return True
        said = all(self._said.says_word(word) for word in words) or self._said.says_together(value)
        return bool(words) and said and not taken >= set(words)

    def only_backed(self, value: Any, schema: Any) -> Any:
        """A list of texts without repetitions and without texts that nothing backs.

        Other values stay.
        """
        if not _is_texts(value) or len(value) > _MANY:
            return value
        items = _items(value, self._part(schema))
        return list(dict.fromkeys(item for item, part in items if self.backs(item, part)))

    def only_chosen(self, value: Any, schema: Any) -> Any:
        """The choices of a list that somebody mentioned; all of them if nobody mentioned any.

        Three letters in common are enough: people name what they want in their own words
        (vegetarian), while a model that makes things up goes through the whole list.
        """
        if not _is_texts(value) or not 1 < len(value) <= _MANY:
            return value
        if any(choices_of(self._part(part)) is None for _, part in _items(value, self._part(schema))):
            return value
        openings = self._said.openings(_OPENING)
        kept = [item for item in value if any(word[:_OPENING] in openings for word in words_of(item))]
        return kept or value

    def _part(self, schema: Any) -> Schema:
        return next((option for option in options(schema, self._root) if option.get("type") != "null"), {})

    def _names(self, key: str, part: Schema) -> bool:
        """Whether the conversation has a word of an argument's name or description."""
        named = [word for word in re.split(r"[\W_]+", fold(key)) if len(word) >= _SHORT]
        described = [word for word in words_of(part.get("description", "")) if len(word) >= _TELLING]
        return any(self._said.says_word(word) for word in (*named, *described))

    def _backs_text(self, value: str) -> bool:
        said, text = self._said, fold(value).strip()
        moment = moment_of(text)
        if moment is not None:
            return said.moments.back(moment)
        number = as_number(text)
        if number is not None:
            return said.says_together(text) or said.says_number(number)
        words = words_of(text)
        if not words or CODE.fullmatch(value.strip()) or text in UNIT_NAMES or said.says_together(text):
            return bool(text)
        # SF, NYC: where the first part of a text is said by its first letters.
        if "".join(word[0] for word in words_of(text.partition(",")[0])) in said.initials:
            return True
        if _ADDRESS.fullmatch(text):
            return any(said.says_word(word) for word in words if len(word) >= STEM and word not in _IN_ADDRESSES)
        if _FORMULA.search(value):
            return any(said.says_word(word) for word in words)
        figures = [word for word in words if any(char.isdigit() for char in word)]
        if len(words) <= 3 and figures:
            return all(said.says_together(word) for word in figures)
        if said.other_script and text[0] <= "\u024f":
            return True  # written in Latin letters, or translated
        telling = [word for word in words if len(word) > _SHORT] or words
        return _SHARE * sum(said.says_word(word) for word in telling) >= len(telling)


@while_it_lasts
def _described_in(tool: ToolDefinition) -> frozenset[str]:
    """The words of a tool's descriptions."""
    return frozenset().union(*map(_words, _texts(tool)))


def _texts(tool: ToolDefinition) -> Iterator[str]:
    yield tool.description
    left: list[Any] = [tool.parameters]
    for _ in range(256):
        if not left:
            return
        one = left.pop()
        if isinstance(one, Mapping):
            yield str(one.get("description", ""))
            left += one.values()


def _words(text: str) -> frozenset[str]:
    return _words_of_short(text) if len(text) <= _REMEMBERED else frozenset(words_of(text))


@lru_cache(maxsize=1024)
def _words_of_short(text: str) -> frozenset[str]:
    return frozenset(words_of(text))


def _items(value: list[Any], part: Schema) -> Iterator[tuple[Any, Any]]:
    return zip(value, items_of(part, len(value)), strict=False)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
