"""Standard streams that a command can rely on."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _UntilGone(io.FileIO):
    """A stream whose reader may go away (`selfopt ... | head`). What is left is then discarded, and the command goes on.

    A gate has to end with its own exit code, whoever reads its page.
    """

    gone = False

    def write(self, data: ReadableBuffer) -> int:
        """Writes, or discards. Raises OSError of any other kind."""
        if not self.gone:
            try:
                return super().write(data)
            except BrokenPipeError:
                self.gone = True
        return memoryview(data).nbytes


def make_streams_usable() -> None:
    """Opens closed streams on the null device, so that no file opened later gets their number.

    On standard output, characters that the encoding lacks become question marks.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.flush()
            made = io.TextIOWrapper(
                io.BufferedWriter(_UntilGone(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors="replace" if name == "stdout" else stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, made)


def write_while_read(text: str) -> None:
    """Writes to standard output. Raises BrokenPipeError once nobody reads it: what follows would be made for nothing."""
    sys.stdout.write(text)
    if getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "gone", False):
        raise BrokenPipeError
