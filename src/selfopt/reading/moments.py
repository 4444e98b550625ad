"""Dates and times in a text, and whether they back a date or a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date as calendar_day

from .amounts import NO_AMOUNT, Amounts
from .conversions import as_number
from .spoken import (
    DAY_PARTS,
    DAYS_FROM_TODAY,
    FILLERS,
    HALVES,
    MONTHS,
    NUMBERS,
    ORDINALS,
    QUARTERS,
    UNSPACED_DAYS,
    WEEKDAYS,
    set_of,
)

_DAY = 86_400
_MINUTES = 1_440  # of a day
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})[-/.年](\d{1,2})(?:[-/.月](\d{1,2}))?(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(?<!\d[-/.])(\d{1,2})[-/.](\d{1,2})(?:[-/.](\d{4}|\d{2}))?(?![\d%])")
_MONTH_DAY = re.compile(r"(?<!\d)(\d{1,2})月(?:(\d{1,2})[日号])?")
_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True))
_DAY_OF_MONTH = re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s?(?:of |de |di )?(?:{_MONTH})\b|\b(?:{_MONTH})\s\d{{1,2}}(?!\d)")
_YEAR = re.compile(r"(?<![\d.,])(?:19|20|21)\d\d(?![\d.,]\d|\d)")
_CLOCK = re.compile(
    r"(?<![\d.,:])(\d{1,2})(?:\s?[:.h時点]\s?(\d{2})(?:[:.]\d{2}(?:\.\d{1,6})?)?(?!\d))?(?:\s?([ap])\.?\s?m\b\.?)?(?![\d:])"
)
_ISO_CLOCK = re.compile(r"[t ]\s?(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d{1,9})?)?\s?(?:z|utc|[+-]\d{2}:?\d{2})?$")
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_SMALL = set_of("st nd rd th er of de di den der do la le el a und and to bis") | FILLERS
_IN_MOMENT = set_of("t z utc gmt at um am pm h uhr noon midnight")
_LONGEST = 40  # characters of a date or time

_WEEKS = 62  # days from a date that is said to a weekday that starts from it
_ENDS = (1, 28, 29, 30, 31)  # of a month that is meant as a whole
_DAY_WORDS = frozenset(WEEKDAYS) | frozenset(DAYS_FROM_TODAY)

Date = tuple[int | None, int, int | None]  # year, month, day; None: it is not said


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, a time, or both, as a value gives it. `minute`: of the day."""

    dates: frozenset[Date]
    minute: int | None


@dataclass(frozen=True, slots=True)
class Moments:
    """The dates and times of a text.

    Attributes:
        dates: the dates with a month.
        years: the years, also of no date.
        minutes: the times as minutes of the day; both halves of the day where it is not said which.
        clocks: the times as they are written.
        hours: hours that any other number may mean.
        parts: the hours of the parts of a day that are named.
        words: the words that a date may be worked out from.
        unspaced: whether there are such words in a script without spaces.
        halves: whether a word for half is there.
        quarters: whether a word for a quarter is there.
        amounts: the numbers and quantities of the text.
    """

    dates: frozenset[Date]
    years: frozenset[int]
    minutes: frozenset[int]
    clocks: frozenset[int]
    hours: frozenset[float]
    parts: tuple[tuple[int, int], ...]
    words: frozenset[str]
    unspaced: bool
    halves: bool
    quarters: bool
    amounts: Amounts

    @classmethod
    def of(cls, text: str, words: frozenset[str], amounts: Amounts) -> Moments:
        """Read a folded text with these words and amounts."""
        minutes, clocks, rest = _times(text)
        return cls(
            dates=frozenset(_dates(text)),
            years=frozenset(int(year) for year in _YEAR.findall(text)),
            minutes=minutes,
            clocks=clocks,
            hours=Amounts.of(NO_AMOUNT.sub(" ", _DAY_OF_MONTH.sub(" ", rest))).numbers,
            parts=tuple(DAY_PARTS[word] for word in words if word in DAY_PARTS),
            words=words & _DAY_WORDS,
            unspaced=any(word in text for word in UNSPACED_DAYS),
            halves=bool(words & HALVES),
            quarters=bool(words & QUARTERS),
            amounts=amounts,
        )

    def back(self, moment: Moment) -> bool:
        """Whether the text says a date or time, or what it may be worked out from."""
        on_day = not moment.dates or any(self._backs_date(date) for date in moment.dates)
        # A date with midnight is a date.
        at_time = moment.minute is None or (bool(moment.dates) and moment.minute == 0) or self._backs_time(moment.minute)
        return on_day and at_time

    def _backs_date(self, date: Date) -> bool:
        year, month, day = date
        said = [one for one in self.dates if one[1] == month]
        if any(day in (None, one[2]) and (year is None or one[0] in (None, year)) for one in said):
            return True
        if self._works_out(date):
            return True
        if year is not None and self.years and year not in self.years:
            return False
        if (month, day) in ((1, 1), (12, 31)) and year in self.years:
            return True
        # 1 to 15 June: the first day has no month of its own. The 6th: no month is said at all.
        spoken = day in self.amounts.numbers or (bool(said) and day in _ENDS)
        return (bool(said) or not self.dates) and (day is None or spoken)

    def _works_out(self, date: Date) -> bool:
        """Whether a date is as far from another as words and spans of time say.

        Where no date is said that the words may start from, they are believed.
        """
        year, month, day = date
        spans = [size / _DAY for size in self.amounts.quantities.get("time", ()) if size >= _DAY]
        exact = _calendar(year, month, day)
        if exact is None:
            return bool(self.words or spans or self.unspaced)
        weekdays = {int(WEEKDAYS[word]) for word in self.words if word in WEEKDAYS}
        offsets = [DAYS_FROM_TODAY[word] for word in self.words if word in DAYS_FROM_TODAY]
        starts = [start for one in self.dates if (start := _calendar(one[0] or year, one[1], one[2]))]
        if not starts:
            return bool(spans or offsets or self.unspaced) or exact.weekday() in weekdays
        away = [(exact - start).days for start in starts]
        return (
            any(low <= days <= high for days in away for low, high in offsets)
            or (exact.weekday() in weekdays and any(abs(days) <= _WEEKS for days in away))
            or any(abs(abs(days) - span) <= 1 + span / 50 for days in away for span in spans)
            or (self.unspaced and any(abs(days) <= _WEEKS for days in away))
        )

    def _backs_time(self, minute: int) -> bool:
        if minute in self.minutes:
            return True
        hour, rest = divmod(minute, 60)
        if any(start <= hour < end or start <= hour + 24 < end for start, end in self.parts) and rest % 15 == 0:
            return True
        this, following = self._says_hour(hour), self._says_hour(hour + 1)
        if rest == 0:
            spoken = this
        else:
            numbers = self.amounts.numbers
            spoken = (
                (this and (rest in numbers or (rest == 30 and self.halves) or (rest % 30 == 15 and self.quarters)))
                or (following and (60 - rest) in numbers)
                or (following and ((rest == 30 and self.halves) or (rest in (15, 45) and self.quarters)))
            )
        # From 14:00 for two hours: until 16:00.
        spans = {round(size / 60) for size in self.amounts.quantities.get("time", ()) if size < _DAY}
        away = {(minute - start) % _MINUTES for start in self.minutes}
        return spoken or any(span in away or _MINUTES - span in away for span in spans)

    def _says_hour(self, hour: int) -> bool:
        return any(one in self.hours for one in (hour % 24, hour % 12, 12 if hour % 12 == 0 else hour % 12))


def moment_of(value: str) -> Moment | None:
    """The date or time that a folded text is; None if it is anything else."""
    text = value.strip()
    if not text or len(text) > _LONGEST or not any(char.isdigit() for char in text) or as_number(text) is not None:
        return None
    clock = _ISO_CLOCK.search(text)
    dates = frozenset(_dates(text[: clock.start()] if clock else text))
    if not dates and not re.search(r"\d:\d\d|\d\s?[ap]\.?\s?m\b|^\d{1,2}h(\d\d)?$", text):
        return None
    if clock and dates:
        return Moment(dates, 60 * (int(clock[1]) % 24) + int(clock[2]) % 60)
    _, clocks, rest = _times(text)
    known = (
        word in MONTHS or word in _DAY_WORDS or word in _IN_MOMENT or word in _SMALL
        for word in _PIECE.findall(rest)
        if not word.isdigit()
    )
    if not all(known):
        return None
    return Moment(dates, min(clocks) % _MINUTES if clocks and not (dates and ":" not in text) else None)


def _dates(text: str) -> Iterator[Date]:
    for match in _YEAR_FIRST.finditer(text):
        yield from _possible(match[1], match[2], match[3])
    for match in _YEAR_LAST.finditer(text):
        for month, day in ((match[2], match[1]), (match[1], match[2])):
            yield from _possible(match[3], month, day)
    for match in _MONTH_DAY.finditer(text):
        yield from _possible(None, match[1], match[2])
    pieces = _PIECE.findall(text)
    for place, piece in enumerate(pieces):
        if piece in MONTHS:
            before = [word for word in pieces[max(0, place - 4) : place] if word not in _SMALL][-1:]
            behind = [word for word in pieces[place + 1 : place + 5] if word not in _SMALL][:2]
            year = next((word for word in behind if len(word) == 4 and word.isdigit()), None)
            days = {day for word in (*before, *behind[:1]) if (day := _day(word))}
            for day in days or (None,):
                yield (int(year) if year else None, int(MONTHS[piece]), day)


def _calendar(year: int | None, month: int, day: int | None) -> calendar_day | None:
    try:
        return None if year is None or day is None else calendar_day(year, month, day)
    except ValueError:
        return None


def _day(word: str) -> int | None:
    value = int(word) if word.isdigit() and len(word) <= 2 else ORDINALS.get(word, NUMBERS.get(word, 0))
    return int(value) if 1 <= value <= 31 else None


def _possible(year: str | None, month: str, day: str | None) -> Iterator[Date]:
    if 1 <= int(month) <= 12 and (day is None or 1 <= int(day) <= 31):
        number = None if year is None else int(year) + (2000 if len(year) == 2 else 0)
        yield number, int(month), None if day is None else int(day)


def _times(text: str) -> tuple[frozenset[int], frozenset[int], str]:
    """The times in a text as minutes of the day, as they are written, and the text without them."""
    found: set[int] = set()
    written: set[int] = set()
    rest: list[str] = []
    end = 0
    for match in _CLOCK.finditer(text):
        hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
        if (match[2] is None and half is None) or hour > 24 or minute > 59:
            continue
        rest.append(text[end : match.start()])
        end = match.end()
        halves = {"a": (0,), "p": (12,)}.get(half or "", (0, 12) if hour <= 12 and match[1][0] != "0" else (hour // 12 * 12,))
        written.add(60 * (hour if half is None else hour % 12 + 12 * (half == "p")) + minute)
        found.update(60 * ((hour % 12 + more) % 24) + minute for more in halves)
    return frozenset(found), frozenset(written), " ".join((*rest, text[end:]))
