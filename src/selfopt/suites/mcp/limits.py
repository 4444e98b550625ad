"""What a server of tools may send, and what is said of one that sends something else."""

from __future__ import annotations

from selfopt.errors import SuiteError

MAX_BYTES = 4_000_000
MAX_PAGES = 100
MAX_TOOLS = 1000
SAID = 300


class Intake:
    """Counts what a server sends, and keeps the first thing that is wrong with it, which is told in place of what follows from it.

    Attributes:
        who: what messages call the server.
        fault: the first thing that is wrong.
        over: whether a started server has closed its output.
    """

    def __init__(self, who: str) -> None:
        self.who = who
        self.fault: SuiteError | None = None
        self.over = False
        self._read_bytes = 0

    def count(self, size: int) -> bool:
        """Add a number of bytes. Returns whether the server has sent too much."""
        self._read_bytes += size
        if self._read_bytes > MAX_BYTES:
            self.fail(f"sent more than {MAX_BYTES} bytes; it floods, or lists too many tools")
        return self._read_bytes > MAX_BYTES

    def fail(self, what: str) -> SuiteError:
        """Keep what is wrong, unless something was before, and return it."""
        self.fault = self.fault or SuiteError(f"{self.who}: {what}")
        return self.fault
