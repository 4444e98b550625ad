"""Signs of life on standard error: the live line of a measurement, and log lines that do not run into it."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfopt.verbs.measuring import Progress


_QUIET_S = 0.9
_STILL_S = 15.0


class LiveLine:
    """Progress on standard error: one line that rewrites itself on a terminal; elsewhere a line now and then, seldom while nothing moves."""

    current: LiveLine | None = None

    def __init__(self, enabled: bool = True, every_s: float = _QUIET_S) -> None:
        self._tty = sys.stderr.isatty()
        self._enabled = enabled
        self._every_s = every_s
        self._last = 0.0
        self._width = 0
        self._at: tuple[str, int, str | None] | None = None
        LiveLine.current = self

    def __call__(self, event: Progress) -> None:
        """Show one sign of life."""
        import time

        if not self._enabled:
            return
        now = time.monotonic()
        important = event.kind in ("run_started", "warm_up", "run_ended", "stopped", "note") and event.note
        at = (event.label, event.done, event.prompt_id)
        quiet_s = max(self._every_s, _STILL_S) if at == self._at else self._every_s
        if not self._tty and not important and now - self._last < quiet_s:
            return
        self._last, self._at = now, at
        self.show(_line(event))

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Put one text on the line."""
        if not self._enabled:
            return
        if self._tty:
            import shutil

            width = shutil.get_terminal_size().columns - 1
            clipped = text[:width]
            print("\r" + clipped.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(clipped)
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line before something else is printed."""
        if self._tty and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _line(event: Progress) -> str:
    eta = f", about {event.eta_s:.0f} s left" if event.eta_s is not None and event.kind != "run_ended" else ""
    at = f" {event.prompt_id}" if event.prompt_id else ""
    outcome = f" {event.outcome.value}" if event.outcome is not None else ""
    note = f" ({event.note})" if event.note else ""
    text = f"  {event.label}: {event.done}/{event.total}{at}{outcome}{eta}{note}"
    return "".join(c if c.isprintable() else "?" for c in text)


class LogLines(logging.Handler):
    """Prints what selfopt logs on the present standard error, the live line cleared before it. as_json: one JSON object a line."""

    def __init__(self) -> None:
        super().__init__()
        self.as_json = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record on one line, control characters replaced. Never raises: a log line is not worth a run."""
        with suppress(OSError, ValueError):
            if LiveLine.current is not None:
                LiveLine.current.clear()
            text = "".join(c if c.isprintable() else "?" for c in record.getMessage())
            if self.as_json:
                at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
                text = json.dumps({"at": at, "level": record.levelname.lower(), "logger": record.name, "message": text})
            print(text, file=sys.stderr, flush=True)

    def attach(self, level: int) -> None:
        """Show what the package logs from this level on."""
        logger = logging.getLogger("selfopt")
        logger.addHandler(self)
        logger.setLevel(level)

    def detach(self) -> None:
        """Leave logging as it was found."""
        logger = logging.getLogger("selfopt")
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)
        LiveLine.current = None
