"""What a conversation says: its words, numbers, quantities and moments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from sys import float_info
from typing import Any

from selfopt.records import Message

from .amounts import NO_AMOUNT, Amounts
from .conversions import LARGEST
from .moments import Moments
from .spoken import UNITS, WHOLE, fold

TEXT_LIMIT = 100_000  # characters of a conversation that are read, its last ones
STEM = 4
_ASKED = 4_000  # characters by which the language is told
_WORD = re.compile(r"[^\W_]+")
_CAPITALS = re.compile(r"\b[A-Z]{2,5}\b")
_HELD = 10_000  # values that are looked at within one
_LARGEST = 1e15  # a number from here on is not rounded
_TIMES = 6  # times of a day whose distances are believed
_FEW = 24  # numbers whose sums and differences are believed
_LONG = 5  # digits of a figure that is hardly another one by chance
_ROUND = 10  # from here on a converted value may be rounded to a whole one


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
        """Read the contents and the arguments of calls: the last 100,000 characters of them."""
        parts: list[str] = []
        left = TEXT_LIMIT
        for message in reversed(messages):
            called = [text for call in message.tool_calls for text in texts_in(call.arguments)]
            for part in (message.content, *called):
                if left > 0:
                    parts.append(part[-left:])
                    left -= len(parts[-1])
        asked = " ".join(message.content[-_ASKED:] for message in messages if message.role == "user")
        return _said("\n".join(reversed(parts)), asked[-_ASKED:])

    @cached_property
    def _listed(self) -> list[str]:
        return _WORD.findall(self.text)

    @cached_property
    def words(self) -> frozenset[str]:
        """Each word, with and without a plural s."""
        words = frozenset(self._listed)
        return words | {word.removesuffix("s") for word in words}

    @cached_property
    def stems(self) -> frozenset[str]:
        """The first four letters of each word."""
        return frozenset(word[:STEM] for word in self.words)

    @cached_property
    def squeezed(self) -> str:
        """The letters and digits of the text: ids are written in groups or without."""
        return "".join(self._listed)

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

    @cached_property
    def initials(self) -> frozenset[str]:
        """Words in capitals that may be the first letters of a name."""
        return frozenset(word.lower() for word in _CAPITALS.findall(self._asked))

    @cached_property
    def _worked_out(self) -> frozenset[float]:
        """Sums and differences of two numbers, from 10 on: any small number is one of two others."""
        numbers = Amounts.of(NO_AMOUNT.sub(" ", self.text)).numbers
        if len(numbers) > _FEW:
            return frozenset()
        results = {value for one in numbers for other in numbers for value in (one + other, abs(one - other))}
        return frozenset(value for value in results if value >= _ROUND)

    @cached_property
    def _between_times(self) -> frozenset[float]:
        """How many seconds there are from one time to another."""
        times = self.moments.clocks
        return (
            frozenset(60.0 * (one - other) for one in times for other in times if one > other)
            if len(times) <= _TIMES
            else frozenset()
        )

    @cached_property
    def _digits(self) -> frozenset[str]:
        return frozenset(map(_digits_of, self.amounts.numbers))

    def says_number(self, value: float) -> bool:
        """Whether the conversation says a number, or what it may be worked out from.

        Counts another unit, a percentage, a number that was cut off or rounded, the same digits
        with the point elsewhere, and a sum or difference of two numbers. 0 and 1 always count: they
        stand for "none", "all" and "a" in too many ways.
        """
        size = abs(value)
        if size in (0, 1) or size in self._near or (size == 100 and self.words & WHOLE):
            return True
        if size > float_info.max:  # an integer that no float holds: nobody says it
            return False
        digits = _digits_of(size)
        if (len(digits) > 1 and digits in self._digits) or self._swapped(f"{size:.0f}"):
            return True
        return size in self._worked_out or f"{size:.3g}" in self._converted

    @cached_property
    def _near(self) -> frozenset[float]:
        """The numbers, also as percentages, cut off and rounded."""
        numbers = [number for number in self.amounts.numbers if number < _LARGEST]
        rounded = {float(value) for number in numbers for value in (int(number), round(number))}
        return self.amounts.numbers | rounded | {100 * number for number in numbers if number < 1}

    @cached_property
    def _converted(self) -> frozenset[str]:
        """The quantities in all units, in three digits; from 10 on also rounded to whole ones."""
        spans = {**self.amounts.quantities, "time": self.amounts.quantities.get("time", frozenset()) | self._between_times}
        values = {quantity / factor for name, some in spans.items() for factor in UNITS[name].values() for quantity in some}
        return frozenset(f"{one:.3g}" for value in values for one in (value, round(value) if value >= _ROUND else value))

    def says_word(self, word: str) -> bool:
        """Whether the conversation has a word, or one that begins alike."""
        return word in self.words or word.removesuffix("s") in self.words or (len(word) >= STEM and word[:STEM] in self.stems)

    def says_together(self, text: str) -> bool:
        """Whether the conversation has these letters and digits in a row, however they are grouped."""
        squeezed = "".join(words_of(text))
        return bool(squeezed) and (squeezed in self.squeezed or self._swapped(squeezed))

    def _swapped(self, figure: str) -> bool:
        """Whether a long figure has the digits of one that is said: people correct what they mistyped."""
        return len(figure) >= _LONG and figure.isdecimal() and "".join(sorted(figure)) in self._sorted_figures

    @cached_property
    def _sorted_figures(self) -> frozenset[str]:
        return frozenset("".join(sorted(word)) for word in self.words if word.isdecimal() and len(word) >= _LONG)


def _digits_of(number: float) -> str:
    """The digits of a number without point and zeros around them."""
    return f"{number:.12g}".partition("e")[0].replace(".", "").strip("0")


@lru_cache(maxsize=8)
def _said(text: str, asked: str) -> Said:
    return Said(text, asked)


def words_of(value: Any) -> list[str]:
    """The words in a value, without accents and in lower case."""
    return [word for text in texts_in(value) for word in _WORD.findall(fold(text[:TEXT_LIMIT]))]


def texts_in(value: Any) -> Iterator[str]:
    """The texts and numbers that a value holds, as texts: the first thousands of them."""
    left = [value]
    for _ in range(_HELD):
        if not left:
            return
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list | tuple):
            left += reversed(one)
        elif isinstance(one, Mapping):
            left += reversed(list(one.values()))
        elif isinstance(one, int | float) and abs(one) < LARGEST:
            yield str(one)
