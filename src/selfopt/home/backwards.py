"""Reading the lines of a file from its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

_BLOCK_BYTES = 1 << 16


def lines_backwards(descriptor: int, size: int, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line without its newline) of the complete lines among the first `size` bytes, the last line first.

    What follows the last newline is left out. A line of more than max_line_bytes is yielded cut (its end), and is the last.
    """
    start, rest, end_seen = size, b"", False
    while start > 0:
        step = min(_BLOCK_BYTES, start)
        start -= step
        block = os.pread(descriptor, step, start)
        if not end_seen:
            cut = block.rfind(b"\n")
            if cut < 0:
                continue
            block, end_seen = block[:cut], True
        block += rest
        parts = block.split(b"\n")
        offset = start + len(block)
        for line in reversed(parts[1:]):
            offset -= len(line)
            yield offset, line
            offset -= 1
        rest = parts[0]
        if len(rest) > max_line_bytes:
            yield start, rest
            return
    if end_seen:
        yield 0, rest
