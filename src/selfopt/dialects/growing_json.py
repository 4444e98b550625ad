"""Says how much of a JSON object that arrives in pieces is sound, and goes on from there with another one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

_STRING = re.compile(r'[^"\\\x00-\x1f]*+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_HALF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HIGH, _LOW = re.compile(r"\\u[dD][89abAB]"), re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SPACE = re.compile(r"[ \t\r\n]*+")
_WORD = re.compile(r"[\w.+\-]*+")
_SCALAR = re.compile(r"(?:true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)\Z")
_CLOSES = {"{": "}", "[": "]"}
_MOST_TRIES = 128
_LONGEST_MENDED = 16_384


class GrowingJson:
    """One object.

    Attributes:
        sound: the text up to here begins an object, however that goes on. A comma counts once what
            follows it has begun, so that the object can still be closed before it.
        broken: whether what follows is no JSON.
    """

    def __init__(self) -> None:
        self.sound = 0
        self.broken = False
        self._text = ""  # from the first character that is not understood yet
        self._begin = 0
        self._open: list[str] = []
        self._wanted = "start"  # or key, key_or_end, colon, value, value_or_end, comma_or_end, nothing
        self._string = False
        self._is_key = False

    @property
    def whole(self) -> bool:
        """Whether the object is complete."""
        return self._wanted == "nothing" and not self.broken

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if self.broken:
            return
        self._text += piece
        at = 0
        while at < len(self._text):
            after = self._in_string(at) if self._string else self._between(at)
            if after <= at:
                break
            at = after
        self._text, self._begin = self._text[at:], self._begin + at

    def _in_string(self, at: int) -> int:
        text = self._text
        end = _STRING.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        self.sound = self._begin + end
        if end == len(text):
            return end
        if text[end] == '"':
            self._string = False
            self._wanted = "colon" if self._is_key else "comma_or_end"
            self.sound += 1
            return end + 1
        escape = _ESCAPE.match(text, end)
        if escape is None:
            self.broken = _HALF_ESCAPE.match(text, end) is None
            return end if not self.broken else at
        after = escape.end()
        if _HIGH.match(text, end) is not None:  # half a character, whose other half may follow
            if after == len(text) or _HALF_ESCAPE.match(text, after) is not None:
                return end
            low = _LOW.match(text, after)
            after = after if low is None else low.end()
        self.sound = self._begin + after
        return after

    def _between(self, at: int) -> int:
        text = self._text
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == len(text):
            return at
        sign, wanted = text[at], self._wanted
        after = at + 1
        if sign == '"' and wanted in ("key", "key_or_end", "value", "value_or_end"):
            self._string, self._is_key = True, wanted.startswith("key")
        elif (sign == "{" and wanted == "start") or (sign in "{[" and wanted in ("value", "value_or_end")):
            self._open.append(sign)
            self._wanted = "key_or_end" if sign == "{" else "value_or_end"
        elif sign in "}]" and wanted in ("key_or_end", "value_or_end", "comma_or_end") and _CLOSES[self._open[-1]] == sign:
            self._open.pop()
            self._wanted = "comma_or_end" if self._open else "nothing"
        elif sign == ":" and wanted == "colon":
            self._wanted = "value"
        elif sign == "," and wanted == "comma_or_end":
            self._wanted = "key" if self._open[-1] == "{" else "value"
            return after
        elif wanted in ("value", "value_or_end"):
            return self._scalar(at)
        else:
            self.broken = True
            return 0
        self.sound = self._begin + after
        return after

    def _scalar(self, at: int) -> int:
        """A number or a word, which has to be complete."""
        end = _WORD.match(self._text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if end == len(self._text) and end - at < len("-1e+0") * 64:
            return at
        if end == at or _SCALAR.match(self._text[at:end]) is None:
            self.broken = True
            return 0
        self._wanted = "comma_or_end"
        self.sound = self._begin + end
        return end


def completed(sound: str, value: dict[str, Any]) -> str | None:
    """What has to follow a sound beginning so that both together are this object; None if nothing does."""
    wanted = json.dumps(value, sort_keys=True)
    for plain in (False, True):
        full = json.dumps(value, ensure_ascii=plain)
        if max(len(full), len(sound)) > _LONGEST_MENDED:
            return None
        near = sorted(range(len(full) + 1), key=lambda place: abs(place - len(sound)))
        for place in near[:_MOST_TRIES]:
            with suppress(ValueError):
                if json.dumps(json.loads(sound + full[place:]), sort_keys=True) == wanted:
                    return full[place:]
    return None
