"""Opens a ledger that cannot be written: of another user, on a mounted image, in a backup."""

from __future__ import annotations

import os
from pathlib import Path


def is_read_only(path: Path) -> bool:
    """Returns whether there is a file that may be read, while it or its folder may not be written.

    sqlite needs both to write: its journal stands beside the file.
    """
    return path.is_file() and os.access(path, os.R_OK) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def read_only_uri(path: Path) -> str:
    """Returns how sqlite is asked to open a file and to write nothing, not even beside it.

    A file without a journal has no writer, and sqlite then has to be told that it does not change:
    it could not make the memory that it shares with writers.
    """
    alone = is_read_only(path) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
