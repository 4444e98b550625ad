"""Reads the JSON values of a streamed body: server-sent events, a value on each line, or one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .jsontext import parse_reply, printable

_FIELDS = frozenset({"event", "id", "retry"})
_NOTHING: Sequence[Any] = ()
_BOM = "\ufeff"
_LF = 0x0A


class LineSplitter:
    """Splits bytes into lines, which end with LF, CRLF or CR. A CRLF may be cut in two."""

    __slots__ = ("_after_cr", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False

    def feed(self, data: bytes) -> Sequence[bytes | bytearray]:
        """The lines that these bytes end."""
        if self._after_cr and data:
            data, self._after_cr = data[data[0] == _LF :], False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._rest += data
        if b"\n" not in data:
            return ()
        *whole, self._rest = self._rest.split(b"\n")
        return whole

    def end(self) -> bytearray:
        """What is left, which no line end follows."""
        return self._rest


class EventReader:
    """Takes the lines of a body, and returns each JSON value once its lines are there.

    A value that is whole on its own line does not wait for the empty line that ends its event: some
    servers leave that out. A server that ignores `stream` sends one value, on any number of lines.

    Attributes:
        done: whether the last event, [DONE], has come.
    """

    __slots__ = ("_begun", "_data", "_event", "_has_data", "_newest", "_odd", "_raw", "done")

    def __init__(self) -> None:
        self.done = False
        self._begun = self._has_data = False
        self._data: list[str] = []  # of an event that goes on
        self._raw: list[str] = []  # of a value outside of events
        self._event = ""
        self._newest: Any = None  # what this event said already
        self._odd = ""

    def read(self, line: str) -> Sequence[Any]:
        """The values that this line completes. line: without its end. Raises ValueError."""
        if not self._begun:
            self._begun, line = True, line.removeprefix(_BOM)
        if self._raw:
            self._raw.append(line)
            return _NOTHING
        if line.startswith("data:"):
            return self._take(line[5:].strip())
        if not line:
            self._newest = None
            return self._ended() if self._data or self._event else _NOTHING
        return self._other(line)

    def end(self) -> Sequence[Any]:
        """The values that the end of the body completes. Raises ValueError if nothing was JSON."""
        if self._raw:
            return _listed(_parsed("\n".join(self._raw)))
        if self._odd and not self._has_data:
            raise ValueError(f"no server-sent event: {printable(self._odd, 120)}")
        return self._ended()

    def _take(self, text: str) -> Sequence[Any]:
        self._has_data = True
        if not self._data:
            if text[:1] == "[" and text.casefold() == "[done]":
                self.done = True
                return _NOTHING
            try:
                value = parse_reply(text) if text else None
            except ValueError:
                pass
            else:
                self._newest = value
                if isinstance(value, dict) and not self._event:
                    return (value,)
                return self._said(value) if text else _NOTHING
        self._data.append(text)
        return _NOTHING

    def _ended(self) -> Sequence[Any]:
        data, self._data = self._data, []
        try:
            if not data:
                return _NOTHING
            text = "\n".join(data)
            return self._said(text if self._event == "error" else _parsed(text))
        finally:
            self._event = ""

    def _said(self, value: Any) -> Sequence[Any]:
        if self._event == "error" and not (isinstance(value, dict) and value.get("error")):
            return ({"error": value or "no text"},)
        return _listed(value)

    def _other(self, line: str) -> Sequence[Any]:
        """Read a line that is no data. The standard says to ignore the fields that it does not name."""
        name, colon, text = line.partition(":")
        if name == "event":
            self._event = text.strip()
            return self._said(self._newest) if self._event == "error" and self._newest is not None else _NOTHING
        if line.lstrip()[:1] in ("{", "["):
            try:
                return _listed(parse_reply(line))
            except ValueError:
                self._raw.append(line)
        elif name not in _FIELDS and (name or not colon):
            self._odd = self._odd or line
        return _NOTHING


def _parsed(text: str) -> Any:
    try:
        return parse_reply(text)
    except ValueError as error:
        raise ValueError(f"reply is not JSON: {error}: {printable(text, 120)}") from None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else (value,)
