"""Finds the calls of a reply in the tokens that the model wrote, in whichever format it wrote them.

Names and values are looked for in the bytes of the tokens, one after another, so that a character
that is split over tokens is found too. All work is bounded.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from math import exp, fsum, log
from typing import Any

from selfopt.records import LogProbs, ToolCall

from .conversions import LARGEST

_BYTES = 262_144  # of a reply that are looked at
_VALUES = 64  # single values of a call that are looked for
_TRIES = 16  # places of a name or a key that are looked at
_NEAR = 64  # bytes from a key to its value, at most
_NEXT = 512  # bytes from an item of a list to the next one, as readers may drop items between
_THOUGHT = 48  # bytes of thinking by which its end is found
_LEAST = 1e-6  # a probability below this is no figure to go by
_PLAIN = re.compile(r"[ !#-&(-\[\]-~]+")
_WORDS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS = frozenset(b"0123456789")
# What stands behind the name of a tool in a call, and not in a sentence.
_OPENINGS = frozenset(b"\"'(<>{[|:\n\\")
_MARK = re.compile(rb"\s*(?:<[^<>]{1,32}>\s*)?")


@dataclass(frozen=True, slots=True)
class Aligned:
    """Where the calls of a reply stand in its tokens.

    Attributes:
        choice: the log probability of the tool's name, in nats; the least of all calls. None if the
            name of a call was not written as it was read.
        values: the log probabilities of the tokens of argument values, in nats.
        unknown: how many single values were not found: they were changed after they were read, or
            the reply holds too many.
    """

    choice: float | None
    values: tuple[float, ...]
    unknown: int


class Tokens:
    """The tokens of a reply as bytes. The first 256 KB of them count."""

    def __init__(self, observed: LogProbs) -> None:
        self._observed = observed
        written = "".join(observed.tokens)
        if written.isascii() and not observed.raw:  # as most are: a character is a byte
            self._ends = list(accumulate(map(len, observed.tokens)))
            self.data = written[:_BYTES].encode()
            return
        parts = [text.encode("utf-8", "replace") for text in observed.tokens]
        for place, data in observed.raw.items():
            if 0 <= place < len(parts):
                parts[place] = bytes.fromhex(data)
        self._ends = list(accumulate(map(len, parts)))
        self.data = b"".join(parts)[:_BYTES]

    def after(self, thinking: str) -> int:
        """Where the answer begins, behind the thinking and the mark that closes it."""
        end = thinking.rstrip()[-_THOUGHT:].encode("utf-8", "replace")
        at = self.data.find(end) if end else -1
        if at < 0:
            return 0
        mark = _MARK.match(self.data, at + len(end))
        return mark.end() if mark is not None else at + len(end)

    def first(self, start: int) -> tuple[str, float, Mapping[str, float]] | None:
        """The first token from a place on, its log probability, and the likeliest ones there."""
        index = bisect_left(self._ends, start) + 1 if start else 0
        observed = self._observed
        if index >= len(observed):
            return None
        top = dict(zip(observed.top_tokens[index], observed.top_logprobs[index], strict=True))
        return observed.tokens[index], observed.logprobs[index], top

    def at(self, place: int) -> int:
        """The number of the token that holds the byte at a place."""
        return bisect_right(self._ends, place)

    def of(self, start: int, end: int) -> list[float]:
        """The log probabilities of the tokens over these bytes, and of what ends them.

        That a name or a value ends here was a choice, too. It is as likely as all tokens that begin with the byte that follows.
        """
        first, last = bisect_right(self._ends, start), bisect_left(self._ends, end)
        values = list(self._observed.logprobs[first : last + 1])
        if last + 1 < len(self._ends) and self._ends[last] == end:
            values.append(self._ending(last + 1, self.data[end : end + 1]))
        return values

    def _ending(self, index: int, follows: bytes) -> float:
        own = self._observed.logprobs[index]
        mark = follows.decode("ascii", "ignore")
        if not mark:
            return own
        texts, values = self._observed.top_tokens[index], self._observed.top_logprobs[index]
        alike = fsum(exp(value) for text, value in zip(texts, values, strict=True) if text.startswith(mark))
        return max(own, min(0.0, log(alike))) if alike > _LEAST else own


def aligned(tokens: Tokens, calls: Sequence[ToolCall], sent: Mapping[str, str], start: int = 0) -> Aligned:
    """Find calls in the tokens of their reply.

    Args:
        tokens: of the reply.
        calls: in the order in which they were read.
        sent: the names by which the model knows tools, where they are not the tools' own.
        start: where the answer begins.
    """
    places: list[tuple[int, int] | None] = []
    cursor = start
    for call in calls:
        place = _name(tokens.data, sent.get(call.name, call.name), cursor) or _name(tokens.data, call.name, cursor)
        places.append(place)
        cursor = place[1] if place is not None else cursor
    least: float | None = 0.0
    found: list[float] = []
    unknown = 0
    end = len(tokens.data)
    for call, place in zip(reversed(calls), reversed(places), strict=True):
        if place is None:
            least = None
            unknown += 1 + len(call.arguments)
            continue
        if least is not None:
            least = min(least, fsum(tokens.of(*place)))
        for span in _values(tokens.data, call.arguments, place[1], end):
            if span is None:
                unknown += 1
            else:
                found += tokens.of(*span)
        end = place[0]
    return Aligned(least if calls else None, tuple(found), unknown)


def named_at(tokens: Tokens, names: Sequence[str]) -> int | None:
    """The number of the token with which the first name of a tool begins; None where there is none."""
    places = [place for name in names if (place := _name(tokens.data, name, 0)) is not None]
    return tokens.at(min(places)[0]) if places else None


def _name(data: bytes, name: str, start: int) -> tuple[int, int] | None:
    """The first place of a name that begins a call, or else the first one at all."""
    wanted = name.encode("utf-8", "replace")
    first = None
    for at in _places(data, wanted, start, len(data)):
        end = at + len(wanted)
        if data[end : end + 1] and data[end] in _OPENINGS:
            return at, end
        first = first or (at, end)
    return first


def _places(data: bytes, wanted: bytes, start: int, end: int) -> Iterator[int]:
    """Where a word stands by itself."""
    at = data.find(wanted, start, end) if wanted else -1
    for _ in range(_TRIES):
        if at < 0:
            return
        if _stands_alone(data, at, at + len(wanted)):
            yield at
        at = data.find(wanted, at + 1, end)


def _stands_alone(data: bytes, at: int, end: int) -> bool:
    before, after = data[at - 1] if at else 0, data[end] if end < len(data) else 0
    return not (before in _WORDS and data[at] in _WORDS) and not (after in _WORDS and data[end - 1] in _WORDS)


def _values(data: bytes, arguments: Mapping[str, Any], start: int, end: int) -> Iterator[tuple[int, int] | None]:
    """The places of the single values of a call; None for one that is not found."""
    cursor = start
    for number, (key, value) in enumerate(_single(arguments)):
        if number == _VALUES:
            yield None  # and whatever more there are
            return
        reach = _NEXT
        if key is not None:
            wanted = key.encode("utf-8", "replace")
            at = next(_places(data, wanted, cursor, end), -1)
            at = next(_places(data, wanted, start, end), -1) if at < 0 else at
            cursor, reach = (at + len(wanted) if at >= 0 else cursor), _NEAR
        span = _value(data, value, cursor, end, reach)
        cursor = span[1] if span is not None else cursor
        yield span


def _single(arguments: Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    """The single values that arguments hold, in their order, each with its key where it has one."""
    left: list[tuple[str | None, Any]] = _first_of(arguments)[::-1]
    while left:
        key, value = left.pop()
        if isinstance(value, dict) and value:
            left += _first_of(value)[::-1]
        elif isinstance(value, list) and value:
            left += [*((None, item) for item in value[_VALUES:0:-1]), (key, value[0])]
        else:
            yield key, value


def _first_of(members: Mapping[str, Any]) -> list[tuple[str | None, Any]]:
    """One more than is looked at, so that it shows where there are more."""
    return list(islice(members.items(), _VALUES + 1))


def _value(data: bytes, value: Any, start: int, end: int, reach: int) -> tuple[int, int] | None:
    best = None
    for spelled in _spellings(value):
        near = min(end, start + reach + len(spelled))
        at = data.find(spelled, start, near) if isinstance(value, str) else next(_places(data, spelled, start, near), -1)
        if at >= 0 and not _cut_off(data, at, at + len(spelled), value) and (best is None or at < best[0]):
            best = at, at + len(spelled)
    return best


def _cut_off(data: bytes, at: int, end: int, value: Any) -> bool:
    """Whether what was found is a part of a longer number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    before, after = data[at - 1 : at], data[end : end + 2]
    return before in (b"-", b".") or (after[:1] == b"." and after[1:] != b"" and after[1] in _DIGITS and after[1:] != b"0")


def _spellings(value: Any) -> Sequence[bytes]:
    """How a value may be written: as JSON, in Python, or plain."""
    if isinstance(value, str):
        if not value:
            return (b'""', b"''")
        plain = value.encode("utf-8", "replace")
        if _PLAIN.fullmatch(value):
            return (plain,)
        ways = (json.dumps(value, ensure_ascii=False), json.dumps(value), repr(value))
        return tuple(dict.fromkeys((plain, *(way[1:-1].encode("utf-8", "replace") for way in ways))))
    if isinstance(value, bool):
        return (b"true", b"True") if value else (b"false", b"False")
    if value is None:
        return (b"null", b"None")
    if isinstance(value, int | float):
        if not abs(value) < LARGEST:
            return ()
        whole = (str(int(value)),) if isinstance(value, float) and value.is_integer() else ()
        return tuple(way.encode() for way in dict.fromkeys((json.dumps(value), *whole)))
    return (b"[]",) if isinstance(value, list) else (b"{}",)
