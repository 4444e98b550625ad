"""What selfopt logs, on standard error: a line for each record, which a server writes in a thread of its own."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from .faults import inert
from .live import LiveLine, printable

MOST_WAITING = 2_000
CLOSE_S = 2.0
"""So long a server that ends waits for whoever reads its lines."""
_LONGEST = 8_000
_TOGETHER = 500
_whole = threading.Lock()


def write_lines(lines: str) -> None:
    """Writes whole lines to standard error, from a thread that may wait for whoever reads them.

    Past Python's own buffer: a thread that waits in there keeps the process from ending.
    """
    data = lines.encode("utf-8", "backslashreplace")
    with suppress(OSError, ValueError), _whole:
        while data:
            data = data[os.write(sys.stderr.fileno(), data) :]


class LinesInThread:
    """Writes lines in a thread of its own, so that a slow reader holds up nobody."""

    def __init__(self, write: Callable[[str], None], limit: int = MOST_WAITING) -> None:
        """limit: how many lines may wait; further ones are dropped and counted."""
        self._write = write
        self._limit = limit
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = self._told = 0
        # A daemon: a write that nobody reads lasts for ever, and must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def put(self, line: str) -> None:
        """Takes a line. Never waits. One caller at a time."""
        if self._waiting.qsize() >= self._limit:
            self._dropped += 1
            return
        self._waiting.put(line)
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            lines, ends = [line], False
            with suppress(Empty):
                while len(lines) < _TOGETHER and not ends:
                    if (further := self._waiting.get_nowait()) is None:
                        ends = True
                    else:
                        lines.append(further)
            dropped = self._dropped
            if dropped > self._told:
                lines.append(f"{dropped - self._told} lines of the log were dropped: nobody read them in time")
                self._told = dropped
            with suppress(Exception):  # a line that could not be written is lost
                self._write("".join(f"{one}\n" for one in lines))
            if ends:
                return

    def close(self, patience_s: float = CLOSE_S) -> None:
        """Writes the lines that wait. What nobody has read after `patience_s` is lost."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join(patience_s)


class LogLines(logging.Handler):
    """Prints what selfopt logs on the present standard error, and clears the live line before it.

    as_json: print each record as one JSON object.
    """

    as_json = False
    _thread: LinesInThread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record on one line, with control characters replaced.

        Ignores a stream that is closed.
        """
        with suppress(OSError, ValueError):
            if LiveLine.current is not None:
                LiveLine.current.clear()
            line = self._line(record)
            if self._thread is not None:
                self._thread.put(line)
            else:
                print(line, file=sys.stderr, flush=True)

    def _line(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info is not None and (error := record.exc_info[1]) is not None:
            text = f"{text}: {type(error).__name__}: {error}"
        text = printable(text[:_LONGEST])
        if self.as_json:
            at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            told = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": text}
            text = json.dumps({**told, **_trace_ids()})
        return inert(text)

    def attach(self, level: int) -> None:
        """Shows what the package logs from this level on."""
        logger = logging.getLogger("selfopt")
        logger.addHandler(self)
        logger.setLevel(level)

    def for_server(self) -> None:
        """From now on no record waits for a reader, warnings of other packages and of Python included."""
        self._thread = LinesInThread(write_lines)
        logging.getLogger("selfopt").removeHandler(self)
        logging.getLogger().addHandler(self)
        logging.captureWarnings(True)

    def detach(self) -> None:
        """Leaves logging as it was found, once what waits is written or nobody has read it in time."""
        if self._thread is not None:
            logging.captureWarnings(False)
            logging.getLogger().removeHandler(self)
            self._thread.close()
            self._thread = None
        logger = logging.getLogger("selfopt")
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)
        LiveLine.current = None


def _trace_ids() -> dict[str, str]:
    """The trace that a message is about; empty without one."""
    from selfopt.records.trace import present_trace

    trace = present_trace.get()
    return {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}
