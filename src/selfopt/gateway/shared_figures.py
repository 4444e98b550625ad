"""Lets each of several serving processes show the figures of all of them."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Iterable
from zlib import crc32

PLACE = 1 << 20
WANTED_S = 300.0
_ASKED = struct.Struct("=d")
_HEAD = struct.Struct("=II")
_BEGIN = mmap.PAGESIZE


class SharedFigures:
    """The figures of processes that are forked after this was made, in memory that they share.

    A process writes its own every few seconds, as long as anybody reads them. Nothing outlives the
    processes.
    """

    def __init__(self, processes: int) -> None:
        """processes: how many there are."""
        self._processes = processes
        self._memory = mmap.mmap(-1, _BEGIN + processes * PLACE)

    def ask(self) -> None:
        """Note that somebody reads the figures."""
        self._memory[: _ASKED.size] = _ASKED.pack(time.monotonic())

    @property
    def wanted(self) -> bool:
        """Whether anybody read them lately."""
        (asked,) = _ASKED.unpack(self._memory[: _ASKED.size])
        return bool(time.monotonic() - asked < WANTED_S)

    def write(self, number: int, text: bytes) -> None:
        """Put a process's figures in its place. What is too large for it is left out."""
        begin = _BEGIN + number * PLACE
        if len(text) <= PLACE - _HEAD.size:
            self._memory[begin + _HEAD.size : begin + _HEAD.size + len(text)] = text
            self._memory[begin : begin + _HEAD.size] = _HEAD.pack(len(text), crc32(text))

    def read(self, number: int) -> bytes:
        """Return a process's figures; empty before it wrote any, and while it writes."""
        begin = _BEGIN + number * PLACE
        size, check = _HEAD.unpack(self._memory[begin : begin + _HEAD.size])
        text = self._memory[begin + _HEAD.size : begin + _HEAD.size + min(size, PLACE)]
        return text if crc32(text) == check else b""

    def others(self, number: int) -> list[bytes]:
        """Return the figures of all processes but one."""
        return [self.read(other) for other in range(self._processes) if other != number]


def merged(texts: Iterable[bytes]) -> bytes:
    """Put texts of figures together: all series of a metric below its one head."""
    heads: dict[bytes, list[bytes]] = {}
    series: dict[bytes, list[bytes]] = {}
    for text in texts:
        name = b""
        new = False
        for line in text.splitlines(keepends=True):
            if line.startswith(b"# HELP "):
                name = line.split(b" ", 3)[2]
                new = name not in heads
                heads.setdefault(name, [])
                series.setdefault(name, [])
            if not line.startswith(b"#"):
                series[name].append(line)
            elif new:
                heads[name].append(line)
    return b"".join(line for name, lines in heads.items() for line in (*lines, *series[name]))
