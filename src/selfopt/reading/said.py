"""What a conversation says: its words, numbers, quantities and moments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from selfopt.records import Message

from .amounts import Amounts
from .moments import Moments
from .spoken import UNITS, WHOLE, fold

TEXT_LIMIT = 200_000  # characters of a conversation that are read, its last ones
STEM = 4
_ASKED = 4_000  # characters by which the language is told
_WORD = re.compile(r"[^\W_]+")
_LARGEST = 1e15
_CLOSE = 0.005  # how far a converted value may be off, as a share of it


class Said:
    """What a conversation says. Each part is worked out when it is first asked for.

    Attributes:
        text: the end of the conversation, without accents and in lower case.
    """

    def __init__(self, text: str, asked: str) -> None:
        self.text = fold(text)
        self._asked = asked

    @staticmethod
    def of(messages: Sequence[Message]) -> Said:
        """Read the contents and the arguments of calls: the last 200,000 characters of them."""
        parts: list[str] = []
        left = TEXT_LIMIT
        for message in reversed(messages):
            called = (str(value) for call in message.tool_calls for value in call.arguments.values())
            for part in (message.content, *called):
                if left > 0:
                    parts.append(part[-left:])
                    left -= len(parts[-1])
        asked = " ".join(message.content[-_ASKED:] for message in messages if message.role == "user")
        return _said("\n".join(reversed(parts)), asked[-_ASKED:])

    @cached_property
    def words(self) -> frozenset[str]:
        """Each word, with and without a plural s."""
        words = _WORD.findall(self.text)
        return frozenset(words) | {word.removesuffix("s") for word in words}

    @cached_property
    def stems(self) -> frozenset[str]:
        """The first four letters of each word."""
        return frozenset(word[:STEM] for word in self.words)

    @cached_property
    def squeezed(self) -> str:
        """The letters and digits of the text: ids are written in groups or without."""
        return "".join(_WORD.findall(self.text))

    @cached_property
    def asked(self) -> frozenset[str]:
        """The words of what the user wrote last."""
        return frozenset(words_of(self._asked))

    def openings(self, letters: int) -> frozenset[str]:
        """The first letters of each word."""
        return frozenset(word[:letters] for word in self.words)

    @cached_property
    def other_script(self) -> bool:
        """Whether most letters belong to another script than Latin."""
        letters = [char for char in self._asked if char.isalpha()]
        return 2 * sum(char > "\u024f" for char in letters) > len(letters)

    @cached_property
    def amounts(self) -> Amounts:
        """The numbers and quantities."""
        return Amounts.of(self.text)

    @cached_property
    def moments(self) -> Moments:
        """The dates and times."""
        return Moments.of(self.text, self.words, self.amounts)

    def says_number(self, value: float) -> bool:
        """Whether the conversation says a number, also in another unit or as a percentage.

        0 and 1 count as said: they stand for "none", "all" and "a" in too many ways.
        """
        size, numbers = abs(value), self.amounts.numbers
        if size in (0, 1) or size in numbers or (size == 100 and self.words & WHOLE):
            return True
        # Half of something is 50 percent, and 19.8 may be cut off or rounded.
        if size / 100 in numbers or any(size in (int(one), round(one)) for one in numbers if one < _LARGEST):
            return True
        return any(
            abs(size * factor - quantity) <= _CLOSE * quantity or (size >= 1 and round(quantity / factor) == size)
            for name, quantities in self.amounts.quantities.items()
            for factor in UNITS[name].values()
            for quantity in quantities
        )

    def says_word(self, word: str) -> bool:
        """Whether the conversation has a word, or one that begins alike."""
        return word in self.words or word.removesuffix("s") in self.words or (len(word) >= STEM and word[:STEM] in self.stems)

    def says_together(self, text: str) -> bool:
        """Whether the conversation has these letters and digits in a row, however they are grouped."""
        squeezed = "".join(words_of(text))
        return bool(squeezed) and squeezed in self.squeezed


@lru_cache(maxsize=8)
def _said(text: str, asked: str) -> Said:
    return Said(text, asked)


def words_of(value: Any) -> list[str]:
    """The words in a value, without accents and in lower case."""
    return _WORD.findall(fold(str(value)[:TEXT_LIMIT]))
