"""The words and figures of a conversation, and whether they back the value of an argument."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Message

_TOKEN = re.compile(r"[^\W_]+")
# Digits of any script, with the marks people put between them: 9.8, 4,5, 2,000,000, 1.000.
_FIGURE = re.compile(r"\d+(?:[.,']\d+)*")
_BETWEEN = re.compile(r"[.,']")
_STEM = 4
_OPENING = 3
_TEXT_LIMIT = 200_000
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{1,2}(-[0-9]{1,2}.*)?|[0-9]{1,2}:[0-9]{2}.*|[0-9]{1,2}/[0-9]{1,2}.*")
_TIME_WORDS = frozenset(
    [
        "today",
        "tonight",
        "tomorrow",
        "yesterday",
        "now",
        "next",
        "week",
        "weekend",
        "month",
        "year",
        "morning",
        "noon",
        "midday",
        "afternoon",
        "evening",
        "midnight",
        "hour",
        "day",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ]
)
_NUMBER_WORDS = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "fifteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "ninety",
        "hundred",
        "thousand",
        "dozen",
        "couple",
        "half",
        "quarter",
        "hour",
        "single",
        "twice",
        "double",
    ]
)


class Said:
    """What a conversation says. Each part is worked out when it is first asked for."""

    __slots__ = ("_figures", "_stems", "_text", "_tokens", "_words")

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: frozenset[str] | None = None
        self._stems: frozenset[str] | None = None
        self._words: frozenset[str] | None = None
        self._figures: frozenset[float] | None = None

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Said:
        """Read the contents and the arguments of calls: the last 200,000 characters of them."""
        texts = [message.content for message in messages]
        texts += [str(value) for message in messages for call in message.tool_calls for value in call.arguments.values()]
        return cls(" ".join(texts)[-_TEXT_LIMIT:])

    @property
    def tokens(self) -> frozenset[str]:
        """Each word, in lower case."""
        if self._tokens is None:
            self._tokens = frozenset([token.lower() for token in set(_TOKEN.findall(self._text))])
        return self._tokens

    @property
    def stems(self) -> frozenset[str]:
        """The first four letters of each word."""
        if self._stems is None:
            self._stems = frozenset([token[:_STEM] for token in self.tokens])
        return self._stems

    @property
    def words(self) -> frozenset[str]:
        """Each word, with and without a plural s."""
        if self._words is None:
            self._words = self.tokens | {token.removesuffix("s") for token in self.tokens}
        return self._words

    @property
    def figures(self) -> frozenset[float]:
        """Every number that a figure may mean."""
        if self._figures is None:
            self._figures = frozenset(value for figure in set(_FIGURE.findall(self._text)) for value in _readings(figure))
        return self._figures

    def backs(self, value: Any) -> bool:
        """Whether the conversation backs a required value.

        Text needs one word in common (its first four letters). A date or time needs any number or
        word of time. A number needs any number or number word. Anything else is believed.
        """
        if isinstance(value, (bool, dict)):
            return True
        if isinstance(value, (int, float)):
            return bool(self.figures) or bool(self.words & _NUMBER_WORDS)
        if isinstance(value, list):
            return not value or any(self.backs(item) for item in value)
        if not isinstance(value, str):
            return value is not None
        if _MOMENT.fullmatch(value.strip()):
            return bool(self.figures) or bool(self.words & _TIME_WORDS)
        said = self.stems
        return any(token[:_STEM].lower() in said for token in _TOKEN.findall(value))

    def only_said(self, value: Any) -> Any:
        """A list of texts without repetitions and without items that nothing backs.

        Other values stay.
        """
        if not is_texts(value):
            return value
        return [item for item in dict.fromkeys(value) if self.backs(item)]

    def only_chosen(self, value: Any) -> Any:
        """Keep the choices in a list that somebody mentioned; all of them if nobody mentioned any.

        Three letters in common are enough: people name what they want in their own words
        (vegetarian), while a model that makes things up goes through the whole list.
        """
        if not is_texts(value):
            return value
        openings = {stem[:_OPENING] for stem in self.stems}
        kept = [item for item in value if any(token[:_OPENING].lower() in openings for token in _TOKEN.findall(item))]
        return kept or value

    def names(self, key: str) -> bool:
        """Whether the conversation has a word of the argument's name."""
        return any(word[:_STEM].lower() in self.stems for word in re.split(r"[\W_]+", key) if len(word) >= _STEM)

    def asks_for(self, value: Any, used: frozenset[str]) -> bool:
        """Whether somebody asked for an optional value.

        A text counts if the conversation has each of its words, and the required arguments (`used`)
        don't have all of them already. A number counts if the conversation has it or any number
        word. For other values see `backs`.
        """
        if isinstance(value, str) and not _MOMENT.fullmatch(value.strip()):
            words = {token.lower() for token in _TOKEN.findall(value)}
            heard = all(word in self.words or word.removesuffix("s") in self.words for word in words)
            return bool(words) and heard and not words <= used
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value in self.figures or bool(self.words & _NUMBER_WORDS)
        return self.backs(value)


def _readings(figure: str) -> set[float]:
    """All numbers that a figure may mean.

    It depends on the language whether a mark separates decimals, thousands or the items of a list.
    Every reading counts, because an argument kept by mistake does less harm than one dropped.
    """
    parts = _BETWEEN.split(figure)
    whole = "".join(parts)
    return {float(text) for text in (*parts, whole, f"{''.join(parts[:-1])}.{parts[-1]}")}


def asked_for(arguments: Mapping[str, Any], schema: Mapping[str, Any], messages: Sequence[Message]) -> dict[str, Any]:
    """Remove the optional arguments that nobody asked for.

    A switch stays if the conversation has a word of its name; for texts and numbers see
    `Said.asks_for`. Lists of choices keep the choices that somebody mentioned (`Said.only_chosen`).
    Arguments that the schema does not know stay.
    """
    properties, needed = schema.get("properties"), needed_of(schema)
    if not isinstance(properties, Mapping):
        return dict(arguments)
    said, taken = Said.of(messages), words_of(arguments, needed)
    kept = {}
    for key, value in arguments.items():
        part = properties.get(key)
        if key in needed or part is None or (said.names(key) if isinstance(value, bool) else said.asks_for(value, taken)):
            items = part.get("items") if isinstance(part, Mapping) else None
            listed = isinstance(items, Mapping) and isinstance(items.get("enum"), list)
            kept[key] = said.only_chosen(value) if listed else value
    return kept


def needed_of(schema: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that a schema requires."""
    required = schema.get("required")
    return [key for key in required if isinstance(key, str)] if isinstance(required, list) else []


def words_of(arguments: Mapping[str, Any], keys: Sequence[str]) -> frozenset[str]:
    """The words in the values of these arguments, in lower case."""
    return frozenset(token.lower() for key in keys for token in _TOKEN.findall(str(arguments.get(key, ""))))


def is_texts(value: Any) -> bool:
    """Whether a value is a list of two texts or more."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value)
