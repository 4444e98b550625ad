"""Secrets taken out of what others wrote: as they are, and as JSON, URLs and base64 spell them."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import cached_property

REDACTED = b"[key]"
SHORTEST_SECRET = 8
"""Characters from which a secret is taken out of answers. A shorter one cannot be told from an ordinary word: taking it out would change
honest answers."""

# JSON within JSON within JSON: each level doubles the backslashes.
_MOST_BACKSLASHES = 8
_BACKSLASH, _PERCENT = ord("\\"), ord("%")
_SLICE = 262_144


class Redactor:
    """Takes secrets out of bytes and texts. Each is found as it stands, with any of its characters escaped as JSON or URLs escape
    them, and in base64 at any alignment. It costs next to nothing where there is no secret.

    secrets: those shorter than `shortest` characters, and those that are no ASCII, are left out.
    """

    __slots__ = ("__dict__", "_forms", "_keys", "_quoted")

    def __init__(self, secrets: Iterable[str], shortest: int = SHORTEST_SECRET) -> None:
        kept = sorted({secret for secret in secrets if len(secret) >= shortest and secret.isascii()}, key=len, reverse=True)
        self._keys = tuple(secret.encode() for secret in kept)
        self._quoted = any(byte in key for key in self._keys for byte in b'"/\\')
        self._forms = tuple(dict.fromkeys(form for key in self._keys for form in _forms_of(key)))

    def __repr__(self) -> str:
        return f"Redactor({len(self._keys)} secrets)"

    @property
    def active(self) -> bool:
        """Whether there is anything to take out."""
        return bool(self._keys)

    def data(self, data: bytes) -> bytes:
        """The bytes without the secrets."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, REDACTED)
        if self._keys and (b"\\u00" in data or b"%" in data or (self._quoted and b"\\" in data)):
            return self._spelled.sub(REDACTED, data)
        return data

    def text(self, text: str) -> str:
        """The text without the secrets."""
        if not self._keys:
            return text
        data = text.encode("utf-8", "surrogatepass")
        clean = self.data(data)
        return text if clean is data or clean == data else clean.decode("utf-8", "surrogatepass")

    def stream(self) -> RedactedStream:
        """For bytes that come in pieces."""
        return RedactedStream(self)

    def slices(self, data: bytes) -> Iterator[bytes]:
        """`data` in pieces, each of which takes a few milliseconds at most: for large bodies on a loop."""
        if not self._keys or len(data) <= _SLICE:
            yield self.data(data)
            return
        stream = self.stream()
        for start in range(0, len(data), _SLICE):
            yield stream.feed(data[start : start + _SLICE])
        yield stream.end()

    @cached_property
    def _spelled(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(b"".join(map(_spelling, key)) for key in self._keys))

    @cached_property
    def _ends(self) -> frozenset[int]:
        """What an unfinished secret can end with."""
        return frozenset(b"".join(self._forms) + b"\\%u0123456789abcdefABCDEF")

    @cached_property
    def _starts(self) -> re.Pattern[bytes]:
        first = {form[:1] for form in self._forms} | {b"\\", b"%"}
        return re.compile(b"[" + b"".join(re.escape(byte) for byte in first) + b"]")

    @cached_property
    def _window(self) -> int:
        longest = max(map(len, self._forms), default=0)
        return longest * 6 + 2 * _MOST_BACKSLASHES

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret."""
        if not data or not self._forms or data[-1] not in self._ends:
            return 0
        for start in self._starts.finditer(data, max(0, len(data) - self._window)):
            at = start.start()
            rest = data[at:]
            if any(form.startswith(rest) for form in self._forms) or any(_is_open(key, data, at) for key in self._keys):
                return len(data) - at
        return 0


class RedactedStream:
    """Pieces without the secrets, also those that stand in two pieces. Held back is only what may be a secret's beginning."""

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain now that this piece came."""
        redactor = self._redactor
        if not redactor.active:
            return data
        data = redactor.data(self._held + data if self._held else data)
        keep = redactor.unfinished(data)
        if not keep:
            self._held = b""
            return data
        self._held = data[-keep:]
        return data[:-keep]

    def feed_text(self, text: str) -> str:
        """The same for a piece of text."""
        return (
            self.feed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") if self._redactor.active else text
        )

    def end(self) -> bytes:
        """What was held back, now that nothing follows."""
        held, self._held = self._held, b""
        return held


def _forms_of(key: bytes) -> Iterator[bytes]:
    """The key and its other alphabets, as they stand."""
    yield key
    for alignment in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(bytes(alignment) + key)
            # The characters that depend on what stands before and after are left out.
            first = (0, 2, 3)[alignment]
            last = (alignment + len(key)) * 8 // 6
            form = whole[first:last]
            yield form
            if b"/" in form:
                yield form.replace(b"/", b"\\/")


def _spelling(byte: int) -> bytes:
    """A pattern for one character: itself, behind backslashes, as \\u00xx, or as %xx."""
    own, code = re.escape(bytes([byte])), _either_case(b"%02x" % byte)
    # A run of backslashes is tried once, at its beginning: time stays linear.
    return rb"(?:%s|\\(?<!\\\\)\\{0,%d}(?:u00%s|%s)|%%%s)" % (own, _MOST_BACKSLASHES - 1, code, own, code)


def _either_case(digits: bytes) -> bytes:
    return b"".join(b"[%c%c]" % (d, d - 32) if d >= ord("a") else b"%c" % d for d in digits)


def _is_open(key: bytes, data: bytes, at: int) -> bool:
    """Whether the end of `data` comes within a spelling of the key that begins here."""
    for byte in key:
        if at >= len(data):
            return True
        found = data[at]
        if found == byte:
            at += 1
            continue
        if found == _PERCENT:
            code, at = b"%02x" % byte, at + 1
        elif found == _BACKSLASH:
            code = b"u00%02x" % byte
            limit = at + _MOST_BACKSLASHES
            while at < len(data) and at < limit and data[at] == _BACKSLASH:
                at += 1
        else:
            return False
        rest = data[at : at + len(code)].lower()
        if len(rest) < len(code) and code.startswith(rest):
            return True
        if rest == code:
            at += len(code)
        elif found == _BACKSLASH and data[at : at + 1] == b"%c" % byte:
            at += 1
        else:
            return False
    return False
