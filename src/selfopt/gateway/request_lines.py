"""Reads the files of live requests line by line, from where it stopped before."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from selfopt.home import MAX_LINE_BYTES, escape_control, is_segment_name
from selfopt.home.files import open_private

log = logging.getLogger("selfopt.gateway")
_BUFFER_BYTES = 1 << 20


class RequestLines:
    """The complete lines of all files in a folder, each once.

    What follows the last newline of a file is read once it is complete. A file that can't be read is
    named in the log, and its lines are left out: `selfopt audit verify` judges the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self._left: set[str] = set()

    def new(self, *, since: float = 0.0, but: Mapping[str, int] | None = None) -> Iterator[bytes]:
        """Yield the lines that were not read before.

        Args:
            since: files that were last written before this are left out, in seconds since 1970.
            but: writers whose files are left out for good, from that number on.
        """
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return
        for name in names:
            if name in self._left or not is_segment_name(name):
                continue
            writer, _, number = name.removesuffix(".jsonl").rpartition("-")
            if but and writer in but and int(number) >= but[writer]:
                self._left.add(name)
                continue
            try:
                yield from self._lines(name, since)
            except OSError as error:
                self._left.add(name)
                log.warning("%s is left out of what keys have spent: %s", escape_control(name, 80), error.strerror)

    def _lines(self, name: str, since: float) -> Iterator[bytes]:
        begin = self._read.get(name, 0)
        found = os.stat(self._folder / name, follow_symlinks=False)
        if found.st_size <= begin or found.st_mtime < since:
            return
        with open(open_private(self._folder / name, os.O_RDONLY), "rb", buffering=_BUFFER_BYTES) as file:
            file.seek(begin)
            left = found.st_size - begin
            while left > 0 and (line := file.readline(min(left, MAX_LINE_BYTES + 1))):
                left -= len(line)
                if not line.endswith(b"\n"):
                    if len(line) > MAX_LINE_BYTES:
                        self._left.add(name)
                    return
                self._read[name] = self._read.get(name, 0) + len(line)
                yield line
