"""Removes secrets from text that others wrote, also where JSON, URLs or base64 spell them
differently.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

REDACTED = b"[key]"
SHORTEST_SECRET = 8
"""The length from which a secret is removed, in characters.

A shorter one could be an ordinary word of an honest answer.
"""

# JSON within JSON within JSON: each level doubles the backslashes.
_MOST_BACKSLASHES = 8
_BACKSLASH, _PERCENT = ord("\\"), ord("%")
_SLICE = 262_144


_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:api_?)?(?:key|token|secret|password|passwd|passphrase|credential|authorization|auth|bearer|cookie)s?$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DEEPEST = 20


def is_secret_name(name: str) -> bool:
    """Returns whether a field of this name holds a secret, by its last word: `api_key`, `accessToken`.

    Numbers of tokens, such as `max_tokens`, hold text no more often than they are texts, so only
    texts below such a name are secrets.
    """
    return bool(_SECRET_NAME.search(_CAMEL.sub("_", name).lower()))


def secret_texts(tree: object, *, below: bool = False, deep: int = 0) -> Iterator[str]:
    """Yields the texts in JSON that stand below a name that says they are secret.

    Those that could be an ordinary word are left out (`SHORTEST_SECRET`), and so is what is nested
    more than 20 levels deep.
    """
    if isinstance(tree, str):
        if below and len(tree) >= SHORTEST_SECRET:
            yield tree
    elif deep < _DEEPEST and isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from secret_texts(value, below=below or is_secret_name(str(name)), deep=deep + 1)
    elif deep < _DEEPEST and isinstance(tree, list | tuple):
        for value in tree:
            yield from secret_texts(value, below=below, deep=deep + 1)


class Redactor:
    """Removes secrets from bytes and texts.

    It finds a secret as it is, with any of its characters escaped as in JSON or URLs, and in base64
    at any alignment. Data without a secret costs next to nothing.

    Args:
        secrets: what to remove. Those shorter than `shortest` or with characters beyond ASCII are
            ignored.
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
        """Whether there is any secret to remove."""
        return bool(self._keys)

    def data(self, data: bytes) -> bytes:
        """Returns the bytes with each secret replaced."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, REDACTED)
        if self._keys and (b"\\u00" in data or b"%" in data or (self._quoted and b"\\" in data)):
            return self._spelled.sub(REDACTED, data)
        return data

    def text(self, text: str) -> str:
        """Returns the text with each secret replaced."""
        if not self._keys:
            return text
        data = text.encode("utf-8", "surrogatepass")
        clean = self.data(data)
        return text if clean is data or clean == data else clean.decode("utf-8", "surrogatepass")

    def stream(self) -> RedactedStream:
        """Returns a new stream, for bytes that come in pieces."""
        return RedactedStream(self)

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yields the redacted data in pieces that take at most a few milliseconds each: for an
        event loop.
        """
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
        """The bytes with which an unfinished secret can end."""
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
        """Returns how many bytes at the end may be the beginning of a secret."""
        if not data or not self._forms or data[-1] not in self._ends:
            return 0
        for start in self._starts.finditer(data, max(0, len(data) - self._window)):
            at = start.start()
            rest = data[at:]
            if any(form.startswith(rest) for form in self._forms) or any(_is_open(key, data, at) for key in self._keys):
                return len(data) - at
        return 0


class RedactedStream:
    """Redacts bytes that come in pieces.

    It holds back only what may be the beginning of a secret.
    """

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece. Returns what can be passed on."""
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
        """Do the same for a piece of text."""
        return (
            self.feed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") if self._redactor.active else text
        )

    def end(self) -> bytes:
        """Returns what is still held back, after the last piece."""
        held, self._held = self._held, b""
        return held


def _forms_of(key: bytes) -> Iterator[bytes]:
    """Yields the key and its base64 forms."""
    yield key
    for alignment in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(bytes(alignment) + key)
            # Leave out the characters that depend on the neighbouring bytes.
            first = (0, 2, 3)[alignment]
            last = (alignment + len(key)) * 8 // 6
            form = whole[first:last]
            yield form
            if b"/" in form:
                yield form.replace(b"/", b"\\/")


def _spelling(byte: int) -> bytes:
    """Returns a pattern for one character: as it is, after backslashes, as \\u00xx, or as %xx."""
    own, code = re.escape(bytes([byte])), _either_case(b"%02x" % byte)
    # A run of backslashes is tried only at its beginning, so that the time stays linear.
    return rb"(?:%s|\\(?<!\\\\)\\{0,%d}(?:u00%s|%s)|%%%s)" % (own, _MOST_BACKSLASHES - 1, code, own, code)


def _either_case(digits: bytes) -> bytes:
    return b"".join(b"[%c%c]" % (d, d - 32) if d >= ord("a") else b"%c" % d for d in digits)


def _is_open(key: bytes, data: bytes, at: int) -> bool:
    """Returns whether `data` ends inside a spelling of the key that begins at this place."""
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
