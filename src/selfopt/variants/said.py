"""What a conversation says, and whether the value of an argument is something of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Message

__all__ = ["Said", "asked_for", "is_texts", "needed_of", "words_of"]

_TOKEN = re.compile(r"[^\W_]+")
_STEM = 4
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
    digits: bool

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Said:
        """Of contents and of the arguments of calls; of the last 200,000 characters."""
        texts = [message.content for message in messages]
        texts += [str(value) for message in messages for call in message.tool_calls for value in call.arguments.values()]
        tokens = [token.lower() for token in _TOKEN.findall(" ".join(texts)[-_TEXT_LIMIT:])]
        digits = any(any(char.isdigit() for char in token) for token in tokens)
        singular = {token.removesuffix("s") for token in tokens}
        return cls(frozenset(token[:_STEM] for token in tokens), frozenset(tokens) | singular, digits)

    def backs(self, value: Any) -> bool:
        """Whether something that was said can stand behind a required value. Text needs a word in common (its first four
        letters); dates and times any number or word of time; numbers any number or number word. Anything else is believed.
        """
        if isinstance(value, bool | dict):
            return True
        if isinstance(value, int | float):
            return self.digits or bool(self.words & _NUMBER_WORDS)
        if isinstance(value, list):
            return not value or any(self.backs(item) for item in value)
        if not isinstance(value, str):
            return value is not None
        if _MOMENT.fullmatch(value.strip()):
            return self.digits or bool(self.words & _TIME_WORDS)
        stems = {token[:_STEM].lower() for token in _TOKEN.findall(value)}
        return bool(stems & self.stems)

    def only_said(self, value: Any) -> Any:
        """A list of texts without repeated items and without those that nothing backs; any other value as it is."""
        if not is_texts(value):
            return value
        kept: list[Any] = []
        for item in value:
            if item not in kept and self.backs(item):
                kept.append(item)
        return kept

    def asks_for(self, value: Any, used: frozenset[str]) -> bool:
        """Whether an optional value was asked for: each of its words was said as such, and not all of them stand in the
        required arguments already (`used`); a number was said, or a number word was. Other values as in `backs`."""
        if isinstance(value, str) and not _MOMENT.fullmatch(value.strip()):
            words = {token.lower() for token in _TOKEN.findall(value)}
            return bool(words) and words <= self.words and not words <= used
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}" in self.words or bool(self.words & _NUMBER_WORDS)
        return self.backs(value)


def asked_for(arguments: Mapping[str, Any], schema: Mapping[str, Any], messages: Sequence[Message]) -> dict[str, Any]:
    """The arguments of a call without the optional ones that nobody asked for: each word of a text has to be said somewhere, not all of
    them in what the required arguments say already, a number or a number word, and so on. What the schema does not know stays."""
    properties, needed = schema.get("properties"), needed_of(schema)
    if not isinstance(properties, Mapping):
        return dict(arguments)
    said, taken = Said.of(messages), words_of(arguments, needed)
    return {k: v for k, v in arguments.items() if k in needed or k not in properties or said.asks_for(v, taken)}


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
