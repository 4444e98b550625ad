"""The home folder: where things are, how a file is replaced, appended to, read, and locked. POSIX (Linux, macOS)."""

from .chain import GENESIS_HASH, AuditEvent, AuditFields, ChainedFile, ChainReport
from .files import (
    InputFileError,
    atomic_write_text,
    guarded,
    parse_json_object,
    read_input,
    read_json_file,
    read_text_bounded,
)
from .lock import LockOwner, ProcessLock
from .paths import Home, find_home
from .text import escape_control

__all__ = [
    "GENESIS_HASH",
    "AuditEvent",
    "AuditFields",
    "ChainReport",
    "ChainedFile",
    "Home",
    "InputFileError",
    "LockOwner",
    "ProcessLock",
    "atomic_write_text",
    "escape_control",
    "find_home",
    "guarded",
    "parse_json_object",
    "read_input",
    "read_json_file",
    "read_text_bounded",
]
