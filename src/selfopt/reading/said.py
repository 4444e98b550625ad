"""What a conversation says, and whether the value of an argument is something of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Message

_TOKEN = re.compile(r"[^\W_]+")
# Digits with what people put between them: 9.8, 4,5, 2,000,000, 1.000. Digits of any script, as in the words.
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


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a conversation. stems: their first four letters; words: whole, with and without a plural's s."""

    stems: frozenset[str]
    words: frozenset[str]
    figures: frozenset[float]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Said:
        """Of contents and of the arguments of calls; of the last 200,000 characters."""
        texts = [message.content for message in messages]
        texts += [str(value) for message in messages for call in message.tool_calls for value in call.arguments.values()]
        text = " ".join(texts)[-_TEXT_LIMIT:]
        tokens = [token.lower() for token in _TOKEN.findall(text)]
        figures = frozenset(value for figure in _FIGURE.findall(text) for value in _readings(figure))
        words = frozenset(tokens) | {token.removesuffix("s") for token in tokens}
        return cls(frozenset(token[:_STEM] for token in tokens), words, figures)

    def backs(self, value: Any) -> bool:
        """Whether something that was said can stand behind a required value. Text needs a word in common (its first four
        letters); dates and times any number or word of time; numbers any number or number word. Anything else is believed.
        """
        if isinstance(value, bool | dict):
            return True
        if isinstance(value, int | float):
            return bool(self.figures) or bool(self.words & _NUMBER_WORDS)
        if isinstance(value, list):
            return not value or any(self.backs(item) for item in value)
        if not isinstance(value, str):
            return value is not None
        if _MOMENT.fullmatch(value.strip()):
            return bool(self.figures) or bool(self.words & _TIME_WORDS)
        stems = {token[:_STEM].lower() for token in _TOKEN.findall(value)}
        return bool(stems & self.stems)

    def only_said(self, value: Any) -> Any:
        """A list of texts without repeated items and without those that nothing backs; any other value as it is."""
        if not is_texts(value):
            return value
        return [item for item in dict.fromkeys(value) if self.backs(item)]

    def only_chosen(self, value: Any) -> Any:
        """A list of choices without those of which no word was said; as it is where that leaves none. Three letters in common
        do: what is asked for is named in the asker's words (vegetarian), what is made up goes through the whole list."""
        if not is_texts(value):
            return value
        openings = {stem[:_OPENING] for stem in self.stems}
        kept = [item for item in value if any(token[:_OPENING].lower() in openings for token in _TOKEN.findall(item))]
        return kept or value

    def names(self, key: str) -> bool:
        """Whether a word of an argument's name was said."""
        return any(word[:_STEM].lower() in self.stems for word in re.split(r"[\W_]+", key) if len(word) >= _STEM)

    def asks_for(self, value: Any, used: frozenset[str]) -> bool:
        """Whether an optional value was asked for: each of its words was said as such, and not all of them stand in the
        required arguments already (`used`); a number was said, or a number word was. Other values as in `backs`."""
        if isinstance(value, str) and not _MOMENT.fullmatch(value.strip()):
            words = {token.lower() for token in _TOKEN.findall(value)}
            heard = all(word in self.words or word.removesuffix("s") in self.words for word in words)
            return bool(words) and heard and not words <= used
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value in self.figures or bool(self.words & _NUMBER_WORDS)
        return self.backs(value)


def _readings(figure: str) -> set[float]:
    """What a figure may mean. Whether a mark stands before decimals, between thousands or between the figures of a list is a matter of
    the language: each counts as said, since what is kept by mistake does less harm than what is dropped."""
    parts = _BETWEEN.split(figure)
    whole = "".join(parts)
    return {float(text) for text in (*parts, whole, f"{''.join(parts[:-1])}.{parts[-1]}")}


def asked_for(arguments: Mapping[str, Any], schema: Mapping[str, Any], messages: Sequence[Message]) -> dict[str, Any]:
    """The arguments of a call without what nobody asked for.

    Of optional ones a text stays when each of its words was said somewhere, and not all of them stand in what the required arguments
    say already; a number when it was said, or any number word was; a switch when a word of its name was said. Of a list of
    choices those stay of which a word was said, all where that is none. What the schema does not know stays.
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
    """The names that a schema requires."""
    required = schema.get("required")
    return [key for key in required if isinstance(key, str)] if isinstance(required, list) else []


def words_of(arguments: Mapping[str, Any], keys: Sequence[str]) -> frozenset[str]:
    """The words of some arguments, in lower case."""
    return frozenset(token.lower() for key in keys for token in _TOKEN.findall(str(arguments.get(key, ""))))


def is_texts(value: Any) -> bool:
    """Whether a value is a list of several texts."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value)
