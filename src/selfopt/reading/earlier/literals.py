"""Reads JSON and Python literals in linear time and bounded depth. Evaluates nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from selfopt.reading.readers.base import DEPTH_LIMIT

_SPACE = re.compile(r"[ \t\r\n]*+")
_STRINGS = {
    '"': re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.S),
    "'": re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.S),
}
_NUMBER = re.compile(r"[-+]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+")
_WORD = re.compile(r"[^\W\d]\w{0,127}+")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.S)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": "", '"': '"', "'": "'", "\\": "\\", "/": "/"}
_CLOSERS = {"{": "}", "[": "]", "(": ")"}
_NUMBER_LIMIT = 64
_IN_TOKENS = "_.+-"  # what may continue a number or a word, besides letters and digits


class UnreadableError(Exception):
    """There is no literal here. `position` is how far the reader got."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class UndecidedError(Exception):
    """Only further text can decide how the end of an unfinished text is read."""


def _refused(written: str) -> Any:
    raise ValueError(written)


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= _NUMBER_LIMIT else _refused(digits)


def _decimal(digits: str) -> float:
    number = float(digits)
    return number if len(digits) <= _NUMBER_LIMIT and isfinite(number) else _refused(digits)


_STRICT = json.JSONDecoder(parse_int=_whole, parse_float=_decimal, parse_constant=_refused).raw_decode


@dataclass(slots=True)
class LiteralReader:
    """Reads values at positions of `text`.

    `repaired` tells whether it supplied a missing last bracket. `strict` tells whether a value may
    be JSON by the letter, which is read much faster; one try shows that.
    """

    text: str
    repaired: bool = False
    strict: bool = True

    def skip(self, position: int) -> int:
        """The position after white space."""
        return _SPACE.match(self.text, position).end()  # type: ignore[union-attr]  # it matches nothing, too

    def value(self, position: int, depth: int = 0) -> tuple[Any, int]:
        """Read the value that starts here, without leading space.

        Raises UnreadableError if none does.

        Returns:
            The value and the position after it.
        """
        if position >= len(self.text) or depth > DEPTH_LIMIT:
            raise UnreadableError(position)
        char = self.text[position]
        if char in _CLOSERS:
            found = self._json(position) if self.strict and not depth and char != "(" else None
            return found or self._many(position, depth)
        if char in _STRINGS:
            return self.string(position)
        if char in "-+." or "0" <= char <= "9":
            return self._number(position)
        word = _WORD.match(self.text, position)
        if word and word.group() in _WORDS:
            return _WORDS[word.group()], word.end()
        raise UnreadableError(position)

    def _json(self, position: int) -> tuple[Any, int] | None:
        """Read an object or a list that is JSON by the letter; None for any that may be read otherwise."""
        try:
            value, end = _STRICT(self.text, position)
        except (ValueError, RecursionError):
            self.strict = False
            return None
        text = self.text[position:end]
        return None if "\\u" in text or text.count("{") + text.count("[") > DEPTH_LIMIT else (value, end)

    def string(self, position: int) -> tuple[str, int]:
        """Read the quoted string that starts here."""
        match = _STRINGS[self.text[position]].match(self.text, position)
        if match is None:
            raise UnreadableError(len(self.text))
        return _unescape(match.group(1)), match.end()

    def _number(self, position: int) -> tuple[int | float, int]:
        match = _NUMBER.match(self.text, position)
        if match is None or match.end() - position > _NUMBER_LIMIT:
            raise UnreadableError(match.end() if match else position)
        digits = match.group()
        if digits.lstrip("+-").isdigit():
            return int(digits), match.end()
        number = float(digits)
        if not isfinite(number):
            raise UnreadableError(match.end())
        return number, match.end()

    def _many(self, position: int, depth: int) -> tuple[Any, int]:
        closer = _CLOSERS[self.text[position]]
        items: list[Any] = []
        pairs: dict[str, Any] = {}
        position, done = self.skip(position + 1), False
        if self.text[position : position + 1] == closer:
            position, done = position + 1, True
        while not done:
            if closer == "}":
                key, position = self._key(position)
                position = self.skip(position)
                if self.text[position : position + 1] != ":":
                    raise UnreadableError(position)
                pairs[key], position = self.value(self.skip(position + 1), depth + 1)
            else:
                item, position = self.value(position, depth + 1)
                items.append(item)
            done, position = self._next(position, closer)
        return pairs if closer == "}" else items, position

    def _key(self, position: int) -> tuple[str, int]:
        if self.text[position : position + 1] in ('"', "'"):
            return self.string(position)
        word = _WORD.match(self.text, position)
        if word is None:
            raise UnreadableError(position)
        return word.group(), word.end()

    def _next(self, position: int, closer: str) -> tuple[bool, int]:
        """Go on after an item.

        Supplies the closing bracket at the end of the text: small models often forget it.

        Returns:
            (True, end) at the closing bracket, also after a comma; (False, next item) at a comma.
        """
        position = self.skip(position)
        if position >= len(self.text):
            self.repaired = True
            return True, position
        char = self.text[position]
        if char == ",":
            position = self.skip(position + 1)
            closed = self.text[position : position + 1] == closer
            return closed, position + closed
        if char != closer:
            raise UnreadableError(position)
        return True, position + 1


class PartialReader(LiteralReader):
    """Reads an unfinished text. Whatever follows the text, the values it has read stay the same.

    Raises UndecidedError where the text ends before a value is certain. Supplies no brackets.
    """

    __slots__ = ("_tail",)

    def __init__(self, text: str) -> None:
        super().__init__(text, strict=False)
        self._tail = len(text)
        while self._tail and (text[self._tail - 1].isalnum() or text[self._tail - 1] in _IN_TOKENS):
            self._tail -= 1

    def skip(self, position: int) -> int:
        """The position after white space. Raises UndecidedError at the end of the text."""
        position = super().skip(position)
        if position >= len(self.text):
            raise UndecidedError
        return position

    def value(self, position: int, depth: int = 0) -> tuple[Any, int]:
        """Read the value that starts here. Raises UndecidedError if further text may change it."""
        if position >= self._tail:
            raise UndecidedError
        return super().value(position, depth)

    def string(self, position: int) -> tuple[str, int]:
        """Read the quoted string that starts here. Raises UndecidedError if it has no end yet."""
        try:
            return super().string(position)
        except UnreadableError:
            raise UndecidedError from None

    def _key(self, position: int) -> tuple[str, int]:
        if position >= self._tail:
            raise UndecidedError
        return super()._key(position)


def decode_object(value: Any) -> dict[str, Any] | None:
    """Take arguments from an object, or from a string that holds one. None for anything else."""
    text = value.strip() if isinstance(value, str) else None
    if value is None or text == "":
        return {}
    if text is not None:
        try:
            value, end = LiteralReader(text).value(0)
        except UnreadableError:
            return None
        value = value if end == len(text) else None
    return value if isinstance(value, dict) else None


def _unescape(body: str) -> str:
    if "\\" not in body:
        return body
    plain = _ESCAPE.sub(_one_escape, body)
    # Two \u escapes of a surrogate pair become one character, a lone one the replacement character.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _one_escape(match: re.Match[str]) -> str:
    code = match.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _SIMPLE.get(code, f"\\{code}")
