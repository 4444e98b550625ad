"""Numbers and quantities in a text, in figures and in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .spoken import FACTORS, FILLERS, HALVES, NUMBERS, ORDINALS, PER, PERCENT, UNITS

# A figure in digits of any script with the marks people put between them, a word, or a sign.
_PIECE = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,6}+(?!\d)|\d++(?:[.,'’]\d++)*+|[^\W\d_]++|%")
# Ids, dates and years, minutes of a time, and marks within a figure.
NO_AMOUNT = re.compile(
    r"(?<![^\W\d])[^\W\d]++[-_]?\d\S{0,64}+|\d{4}-\d\d(?:-\d\d)?|(?:19|20|21)\d\d(?!\d)|:\d\d|(?<=\d)[.,]0{1,2}(?!\d)|(?<=\d),(?=\d{3}(?!\d))"
)
_BETWEEN = re.compile(r"[.,'’ \u00a0\u202f]")
_DIGITS = 64  # of a figure; longer ones are ids
_RUN = 8  # words of one number
_QUANTITIES = 512  # that are read in a text
_NEAR = 2  # words that may stand between a number and its unit
_APART = 5  # words from one part of a quantity to the next: 2 hours and 30 minutes

_MORPHEMES = sorted({word for word in (*NUMBERS, *FACTORS) if len(word) > 2}, key=len, reverse=True)
_MORPHEME = re.compile(rf"({'|'.join(map(re.escape, _MORPHEMES))})(?:und|en)?")
_HEADS = frozenset(word[:3] for word in _MORPHEMES)
_VALUES = {**ORDINALS, **NUMBERS}
_UNIT_OF = {word: (name, factor) for name, units in UNITS.items() for word, factor in units.items()}
_HOURS = frozenset(word for word, size in UNITS["time"].items() if size == 3600)
_HAN = re.compile(r"[零〇一二两三四五六七八九十百千万億亿]{1,16}")
_HAN_DIGITS = {
    char: value for value, chars in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九")) for char in chars
}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "億": 10**8, "亿": 10**8}

Readings = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a text says in numbers.

    Attributes:
        numbers: every number that a figure or a word may mean.
        quantities: the quantities of each dimension, in its smallest unit (see `spoken.UNITS`).
    """

    numbers: frozenset[float]
    quantities: Mapping[str, frozenset[float]]

    @classmethod
    def of(cls, text: str) -> Amounts:
        """Read a folded text."""
        pieces = _PIECE.findall(text)
        found = list(_spoken(pieces))
        numbers = {value for _, _, values in found for value in values}
        numbers |= {value for match in _HAN.finditer(text) for value in _han(match.group())}
        return cls(frozenset(numbers), _quantities(pieces, found))


@lru_cache(maxsize=4096)
def readings(figure: str) -> Readings:
    """All numbers that a figure may mean.

    It depends on the language whether a mark separates decimals, thousands or the items of a list.
    Every reading counts, because an argument kept by mistake does less harm than one dropped.
    """
    parts = _BETWEEN.split(figure)
    if sum(map(len, parts)) > _DIGITS:
        return ()
    decimal = [f"{''.join(parts[:-1])}.{parts[-1]}"] if len(parts) > 1 else []
    return tuple({float(text) for text in (*parts, "".join(parts), *decimal)})


def _spoken(pieces: Sequence[str]) -> Iterator[tuple[int, int, Readings]]:
    """The numbers among the pieces of a text: where each begins and ends, and what it may mean."""
    telling = {piece for piece in set(pieces) if piece[0].isdecimal() or _worth(piece)}  # a long text repeats its words
    place = 0
    while place < len(pieces):
        start = place
        values: Readings
        if pieces[place] not in telling:
            place += 1
            continue
        if pieces[place][0].isdecimal():
            values, place = readings(pieces[place]), place + 1
            while place < len(pieces) and pieces[place] in FACTORS:
                values = (*values, *(value * FACTORS[pieces[place]] for value in values[:_RUN]))
                place += 1
        else:
            values, place = _in_words(pieces, place)
        ahead = pieces[place : place + 2]
        if values and ahead and (ahead[0] in PERCENT or (ahead[0] in PER and FACTORS.get(ahead[-1]) == 100)):
            values = (*values, *(value / 100 for value in values))
        if values:
            yield start, place, values


def _in_words(pieces: Sequence[str], start: int) -> tuple[Readings, int]:
    """The number in words that starts here, and the place after it."""
    run: list[float] = []
    place = end = start
    while place < len(pieces) and len(run) < _RUN:
        values = _worth(pieces[place])
        if values:
            run += values
            end = place + 1
        elif place == start or pieces[place] not in FILLERS:
            break
        place += 1
    parts = (run[i:j] for i in range(len(run)) for j in range(i + 1, len(run) + 1))
    return tuple({value for part in parts for value in _sums(part)}), end


@lru_cache(maxsize=4096)
def _worth(word: str) -> Readings:
    """The numbers that a word is made of; empty for any other word."""
    for known in (word, word.removesuffix("s")):
        if known in _VALUES or (known in FACTORS and len(known) > 2):
            return (_VALUES.get(known, FACTORS.get(known, 0)),)
    values: list[float] = []
    place = 0
    while word[place : place + 3] in _HEADS and len(word) <= 48:
        match = _MORPHEME.match(word, place)
        if match is None:
            return ()
        values.append(NUMBERS.get(match[1], FACTORS.get(match[1], 0)))
        place = match.end()
    return tuple(values) if place == len(word) and len(values) > 1 else ()


def _sums(run: Sequence[float]) -> Iterator[float]:
    """What number words in a row add up to."""
    total = current = 0.0
    for value in run:
        if value >= 1000:
            total, current = total + (current or 1) * value, 0
        elif value == 100:
            current = (current or 1) * value
        elif value == 20 and current == 4:  # quatre-vingts; vierundzwanzig
            yield total + 24
            current = 80
        else:
            if value < 1:
                yield total + current * value
            current += value
    yield total + current


def _quantities(pieces: Sequence[str], found: Sequence[tuple[int, int, Readings]]) -> Mapping[str, frozenset[float]]:
    ending = {end: values for _, end, values in found}
    starting = {start: values for start, _, values in found}
    sizes: dict[str, set[float]] = {}
    latest: dict[str, tuple[int, Readings]] = {}
    for place, piece in enumerate(pieces):
        unit = _UNIT_OF.get(piece)
        if unit is None or (len(piece) == 1 and place not in ending):
            continue
        name, factor = unit
        counts = next((ending[place - gap] for gap in range(_NEAR + 1) if place - gap in ending), ())
        more = tuple(value / 60 for value in starting.get(place + 1, ())) if piece in _HOURS else ()  # 6 h 30
        if any(word in HALVES for word in pieces[place + 1 : place + 4]):  # an hour and a half
            more = (*more, 0.5)
        counts = (*counts[:_RUN], 1.0)
        now = tuple(count * factor for count in (*counts, *(count + part for count in counts for part in more[:_RUN])))
        if sum(map(len, sizes.values())) > _QUANTITIES:
            break
        near, before = latest.get(name, (-_APART, ()))
        both = tuple(one + other for one in before[:_RUN] for other in now[:_RUN]) if place - near <= _APART else ()
        sizes.setdefault(name, set()).update(now, both)
        latest[name] = (place, now)
    return {name: frozenset(values) for name, values in sizes.items()}


def _han(numeral: str) -> Iterator[float]:
    """A numeral in Chinese characters, as places (二十三) and as digits (二〇三一)."""
    total = current = 0
    for char in numeral:
        if char not in _HAN_TENS:
            current = _HAN_DIGITS[char]
        elif _HAN_TENS[char] >= 10_000:
            total, current = (total + current) * _HAN_TENS[char], 0
        else:
            total, current = total + (current or 1) * _HAN_TENS[char], 0
    yield float(total + current)
    if all(char in _HAN_DIGITS for char in numeral):
        yield float("".join(str(_HAN_DIGITS[char]) for char in numeral))
