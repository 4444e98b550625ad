"""Reads values as models write them: JSON, its dialects, Python literals, and damage of all these.

Takes linear time and bounded depth. Evaluates nothing. What is valid JSON is read as JSON.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from math import isfinite
from typing import Any

from .base import DEPTH_LIMIT
from .quoted import BLANKS, QUOTES, Quoted, looks_of

_BLANK = re.compile(rf"[{BLANKS}]*+")
_SKIP = re.compile(rf"(?:[{BLANKS}]++|//[^\n]*+|\#[^\n]*+|/\*(?:[^*]|\*(?!/)){{0,256}}+\*/|\\[nrt](?!\w))*+")
_COMMAS = re.compile(rf"(?:[,，;][{BLANKS}]*+)*+")
_CLOSED = re.compile(r"\s{0,8}+[,)\]}]")  # after a quote that closes a text
_COLON = re.compile(r"[:：]=?|=>?")
_TOKEN = re.compile(r"[^\s,，;:：=()\[\]{}\"'“”‘’`\\<>]{1,128}+")
_NUMBER = re.compile(r"[-+]?+(?:[0-9][0-9_]*+(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+|[-+]?+0[xX][0-9a-fA-F]{1,64}+")
_HEX = re.compile(r"[-+]?+0[xX][0-9a-fA-F]{1,64}+")
_KEY = re.compile(r"[\w$][\w\-.$]{0,127}+")
_BARE = re.compile(r"[^,，;()\[\]{}\"“”`\r\n<>=]{1,256}+")
_NEXT_KEY = re.compile(r"[:：](?:\s|\Z)|^\W*+$")
_WORDS = {
    **{"true": True, "false": False, "null": None, "True": True, "False": False, "None": None},
    **{"TRUE": True, "FALSE": False, "NULL": None, "undefined": None},
}
_NOT_NUMBERS = {"NaN", "Infinity", "-Infinity", "+Infinity", "nan", "inf", "-inf"}
_CLOSERS = {"{": "}", "[": "]", "(": ")"}
# What encloses a value, besides the brackets that are named by their closing ones.
_SET, _CALL = "s", "="
_CLOSER_OF = {_SET: "}", _CALL: ")"}
_OTHERS = {"｛": "{", "｝": "}", "［": "[", "］": "]", "（": "(", "）": ")", "【": "[", "】": "]"}
_NUMBER_LIMIT = 300  # digits of a number; a longer one stays text
# The notation stops here: a tag, a code fence or the end of the text. Missing brackets are supplied.
_STOP = re.compile(r"<|```|~~~|\Z")
_ENCODINGS = 3  # how often arguments may be encoded as text


class NoNumber(str):
    """The text of a number that JSON has no value for, such as NaN or 1e400."""

    __slots__ = ()


class UnreadableError(Exception):
    """There is no value here. `position` is how far the reader got."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class LooseReader:
    """Reads values at positions of `text`.

    Attributes:
        text: the text.
        repaired: whether something was supplied or guessed.
        supplied: whether closing brackets were missing at the end of the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.repaired = self.supplied = False
        self.quoted = Quoted(text, looks_of(text))
        self._open = ""  # what encloses the value that is being read
        self._dead: set[int] = set()  # brackets whose value can't be read, so that no attempt is made twice
        self._strictly = 2 * len(text) + 4096  # characters that failed attempts to read strict JSON may cost

    def skip(self, position: int) -> int:
        """The position after white space and comments."""
        return _SKIP.match(self.text, position).end()  # type: ignore[union-attr]  # it matches nothing, too

    def value(self, position: int, depth: int = 0, *, call: bool = False) -> tuple[Any, int]:
        """Read the value that starts here, without leading space.

        Args:
            position: where the value starts.
            depth: how many values enclose it.
            call: whether it is an argument of a call in parentheses.

        Returns:
            The value, fit for JSON, and the position after it. A number that JSON has no value for,
            such as NaN, stays the text that was written, as a `NoNumber`.

        Raises:
            UnreadableError: no value starts here, or it is cut off at the end of the text.
        """
        if self.text[position : position + 1] in ("{", "["):
            strict = self._strict(position)
            if strict is not None:
                return strict
        self._open = _CALL if call else ""
        try:
            return self._value(position, depth)
        finally:
            self._open = ""

    def _strict(self, position: int) -> tuple[Any, int] | None:
        if self._strictly <= 0:
            return None
        try:
            value, end = _STRICT.raw_decode(self.text, position)
            if _deeper(value, DEPTH_LIMIT):
                return None
            return (_without_surrogates(value) if "\\u" in self.text[position:end] else value), end
        except json.JSONDecodeError as error:
            # The error counts the lines before it.
            self._strictly -= error.pos - position + 64 + error.pos // 128
        except (RecursionError, ValueError):
            self._strictly -= 8192
        return None

    def _value(self, position: int, depth: int) -> tuple[Any, int]:
        if position >= len(self.text) or depth > DEPTH_LIMIT:
            raise UnreadableError(position)
        char = self._char(position)
        if char in _CLOSERS:
            return self._many(position, depth)
        if char in QUOTES or self.quoted.starts(position):
            return self._string(position)
        return self._scalar(position)

    def _char(self, position: int) -> str:
        char = self.text[position : position + 1]
        return char if char < "\x7f" else _OTHERS.get(char, char)

    def _string(self, position: int, *, key: bool = False) -> tuple[str, int]:
        if not key and self.text.startswith(('"{', '"['), position):
            with suppress(UnreadableError):
                return self._embedded(position)
        looks = self.quoted.looks
        found = self.quoted.read(position, self._open, key=key)
        if found is None:
            raise UnreadableError(len(self.text))
        self.repaired = self.repaired or self.quoted.looks < looks
        return found

    def _embedded(self, position: int) -> tuple[str, int]:
        """Read an object in quotes whose own quotes are not escaped. Stays text."""
        inner = self.skip(position + 2)
        begun = self.text[inner : inner + 1]
        if begun not in ('"', "{") or (begun == '"' and _CLOSED.match(self.text, inner + 1)) or self.quoted.looks <= 0:
            raise UnreadableError(inner)
        outer, self._open = self._open, ""
        self.quoted.looks -= 64
        try:
            _, end = self._many(position + 1, 1)
        finally:
            self._open = outer
        if self.text[end : end + 1] != '"':
            raise UnreadableError(end)
        self.repaired = True
        return self.text[position + 1 : end], end + 1

    def _scalar(self, position: int) -> tuple[Any, int]:
        """Read a number, a word that stands for a value, or bare words as text."""
        token = _TOKEN.match(self.text, position)
        if token is None:
            raise UnreadableError(position)
        word, end = token.group(), token.end()
        after = self.text[end : end + 1]
        if after not in (":", "：", "=") or self.text[end : end + 2] in (": ", "=="):
            bare = self._bare_goes_on(end)
            if word in _WORDS and not bare:
                return _WORDS[word], end
            number = None if bare else _number(word)
            if number is not None:
                self._whole(end)
                return number, end
        if not self._open:
            raise UnreadableError(end)
        return self._bare(position)

    def _bare_goes_on(self, end: int) -> bool:
        """Whether more words follow on the line, so that a number or a word is part of a text."""
        after = _BLANK.match(self.text, end).end()  # type: ignore[union-attr]  # it matches nothing, too
        if not self._open or after == end or after >= len(self.text) or "\n" in self.text[end:after]:
            return False
        char = self.text[after]
        return char.isalnum() and _KEY_AHEAD.match(self.text, after) is None

    def _bare(self, position: int) -> tuple[str, int]:
        bare = _BARE.match(self.text, position)
        written = bare.group().strip() if bare is not None else ""
        if bare is None or _NEXT_KEY.search(written):
            raise UnreadableError(position)
        self._whole(bare.end())
        if self._char(bare.end()) not in ",，;}])\r\n<`":
            raise UnreadableError(bare.end())
        self.repaired = True
        return written.split("//")[0].rstrip() if " //" in written else written, bare.end()

    def _whole(self, end: int) -> None:
        """Raise UnreadableError if the text ends here within brackets, so that a value may be cut off."""
        if self._open and end >= len(self.text):
            raise UnreadableError(end)

    def _many(self, position: int, depth: int) -> tuple[Any, int]:
        if position in self._dead:
            raise UnreadableError(position + 1)
        closer = _CLOSERS[self._char(position)]
        inner, outer = self.skip(position + 1), self._open
        self._open += closer
        try:
            if closer != "}":
                return self._items(inner, depth)
            return self._doubled(inner, depth) if self._char(inner) == "{" else self._pairs(inner, depth)
        except UnreadableError:
            self._dead.add(position)
            raise
        finally:
            self._open = outer

    def _doubled(self, position: int, depth: int) -> tuple[Any, int]:
        """Read an object in doubled braces, or a set that begins with an object."""
        self.repaired = True
        value, end = self._value(position, depth + 1)
        after = self.skip(end)
        if self._char(after) == "}":
            return value, after + 1
        if self._char(after) in (",", "，") and not isinstance(value, list):
            self._open = self._open[:-1] + _SET
            with suppress(UnreadableError):
                return self._items(position, depth)
        return value, end

    def _items(self, position: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            position = self.skip(_COMMAS.match(self.text, position).end())  # type: ignore[union-attr]
            end = self._end(position)
            if end is not None:
                return items, end
            item, after = self._value(position, depth + 1)
            items.append(item)
            position = self.skip(after)

    def _pairs(self, position: int, depth: int) -> tuple[Any, int]:
        pairs: dict[str, Any] = {}
        while True:
            position = self.skip(_COMMAS.match(self.text, position).end())  # type: ignore[union-attr]
            end = self._end(position)
            if end is not None:
                return pairs, end
            start = position
            key, position = self._key(position)
            position = self.skip(position)
            colon = _COLON.match(self.text, position)
            if colon is None:
                if pairs or self._char(position) not in (",", "，", "}"):
                    raise UnreadableError(position)
                self._open = self._open[:-1] + _SET
                return self._items(start, depth)
            position = self.skip(colon.end())
            if self._char(position) in (",", "，", "}"):
                pairs[key], self.repaired = None, True
                continue
            pairs[key], position = self._value(position, depth + 1)
            position = self.skip(position)

    def _key(self, position: int) -> tuple[str, int]:
        char = self.text[position : position + 1]
        if char and (char in QUOTES or self.quoted.starts(position)):
            return self._string(position, key=True)
        word = _KEY.match(self.text, position)
        if word is None:
            raise UnreadableError(position)
        return word.group(), word.end()

    def _end(self, position: int) -> int | None:
        """The end of the innermost brackets, if they end here; None if they go on."""
        char = self._char(position)
        if char == _CLOSER_OF.get(self._open[-1], self._open[-1]):
            return position + 1
        if char in ("}", "]", ")"):
            self.repaired = True
            # A bracket that closes an outer value closes this one, too. Else it is of the wrong kind.
            if any(char == _CLOSER_OF.get(kind, kind) for kind in self._open):
                return position
            if char == ")":
                raise UnreadableError(position)
            return position + 1
        if _STOP.match(self.text, position):
            self.repaired = self.supplied = True
            return position
        return None


_KEY_AHEAD = re.compile(r"[\w$\-.]{1,64}+[\"']?[ \t]{0,8}+[:：=]")


def _float(written: str) -> float | str:
    number = float(written)
    return number if isfinite(number) else NoNumber(written)


def _int(written: str) -> int | str:
    return int(written) if len(written) <= _NUMBER_LIMIT else NoNumber(written)


_STRICT = json.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=NoNumber, strict=False)


def _number(word: str) -> int | float | str | None:
    """The number that a word writes; the word itself if JSON has no such number; None if it is no number."""
    if word in _NOT_NUMBERS:
        return NoNumber(word)
    if _HEX.fullmatch(word):
        return int(word, 16)
    if not _NUMBER.fullmatch(word):
        return None
    digits = word.replace("_", "")
    if digits.lstrip("+-").isdigit():
        return _int(digits)
    return _float(digits)


def _deeper(value: Any, levels: int) -> bool:
    """Whether a value has more levels than these."""
    if not isinstance(value, (dict, list)):
        return False
    return levels < 0 or any(_deeper(one, levels - 1) for one in (value.values() if isinstance(value, dict) else value))


def _without_surrogates(value: Any) -> Any:
    """The value with each lone surrogate replaced, so that it can be stored as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def decode_object(value: Any) -> dict[str, Any] | None:
    """Take arguments from an object, or from a text that holds one.

    Args:
        value: the arguments; a text may be encoded up to three times.

    Returns:
        The arguments. Empty for None and for an empty text; None for anything else.
    """
    for _ in range(_ENCODINGS + 1):
        if value is None or isinstance(value, dict):
            return value or {}
        if not isinstance(value, str):
            return None
        text = _fenced(value.strip())
        if text in ("", "null", "None"):
            return {}
        reader = LooseReader(text)
        try:
            value, end = reader.value(0)
        except UnreadableError:
            return None
        if text[end:].strip("}] \r\n\t"):
            return None
    return None


def _fenced(text: str) -> str:
    """The text without a code fence around it."""
    if not text.startswith("```"):
        return text
    return text.partition("\n")[2].removesuffix("```").strip()
