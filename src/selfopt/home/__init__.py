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
from .keys import KEY_SCOPES, GatewayKey, KeyFile, KeyScope, matching_key
from .lock import LockOwner, ProcessLock
from .paths import Home, find_home
from .segments import (
    SEALED_EVENT,
    SEGMENT_SCHEMA_VERSION,
    Seal,
    SegmentReport,
    SegmentsReport,
    chain_line,
    read_seals,
    segment_name,
    verify_segment,
    verify_segments,
)
from .text import escape_control, escape_json, readable_json

__all__ = [
    "GENESIS_HASH",
    "KEY_SCOPES",
    "SEALED_EVENT",
    "SEGMENT_SCHEMA_VERSION",
    "AuditEvent",
    "AuditFields",
    "ChainReport",
    "ChainedFile",
    "GatewayKey",
    "Home",
    "InputFileError",
    "KeyFile",
    "KeyScope",
    "LockOwner",
    "ProcessLock",
    "Seal",
    "SegmentReport",
    "SegmentsReport",
    "atomic_write_text",
    "chain_line",
    "escape_control",
    "escape_json",
    "find_home",
    "guarded",
    "matching_key",
    "parse_json_object",
    "read_input",
    "read_json_file",
    "read_seals",
    "read_text_bounded",
    "readable_json",
    "segment_name",
    "verify_segment",
    "verify_segments",
]
