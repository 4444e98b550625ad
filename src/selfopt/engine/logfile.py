"""A log file of bounded size, and text that is safe to show."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import IO

_MAX_SHOWN = 500


def printable(text: str, limit: int = _MAX_SHOWN) -> str:
    """The text as one line of at most `limit` characters, without control characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit * 4]).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


class BoundedLog:
    """Appends lines to a file. Above max_bytes it replaces `<path>.1`, and a new file begins.

    Errors are ignored: a log that cannot be written must not stop the engine.
    """

    def __init__(self, path: Path, max_bytes: int = 512_000) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._file: IO[str] | None = None

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def write_line(self, text: str) -> None:
        """Append one line."""
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8", errors="replace", buffering=1)
            if self._file.tell() > self._max_bytes:
                self._file.close()
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))
                self._file = self.path.open("a", encoding="utf-8", errors="replace", buffering=1)
            self._file.write(text + "\n")
        except OSError:
            self._file = None

    def close(self) -> None:
        """Close the file. The next line opens it again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
