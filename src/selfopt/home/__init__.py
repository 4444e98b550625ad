"""The home folder: its paths, and how files are read, replaced, appended to and locked.

POSIX only (Linux, macOS).
"""

from .chain import GENESIS_HASH, AuditEvent, AuditFields, ChainedFile, ChainReport
from .files import (
    InputFileError,
    atomic_write_text,
    guarded,
    parse_json_object,
    read_input,
    read_json_file,
    read_model,
    read_text_bounded,
)
from .json_shape import JsonShape, ShapeLimits, TooDeepError, TooFullError, shape_steps
from .key_terms import NO_TERMS, KeyTerms, OnBudget
from .keys import KEY_SCOPES, MAX_KEYS, CheckedKeys, GatewayKey, KeyFile, KeyScope, keys_by_hash, matching_key
from .lock import LockOwner, ProcessLock
from .paths import FoundHome, Home, counts_as_home, find_home, look_for_home
from .redact import SHORTEST_SECRET, RedactedStream, Redactor, is_secret_name, secret_texts
from .segments import (
    MAX_LINE_BYTES,
    SEALED_EVENT,
    SEGMENT_SCHEMA_VERSION,
    Seal,
    SegmentReport,
    SegmentsReport,
    chain_line,
    is_segment_name,
    read_seals,
    segment_name,
    verify_segment,
    verify_segments,
)
from .temporary import clear_temporaries, is_temporary
from .text import counted, escape_control, escape_json, readable_json, spread_json
from .vouched import NOT_MADE_HERE, HomeRegister, TrustedFolder, TrustStore

__all__ = [
    "GENESIS_HASH",
    "KEY_SCOPES",
    "MAX_KEYS",
    "MAX_LINE_BYTES",
    "NOT_MADE_HERE",
    "NO_TERMS",
    "SEALED_EVENT",
    "SEGMENT_SCHEMA_VERSION",
    "SHORTEST_SECRET",
    "AuditEvent",
    "AuditFields",
    "ChainReport",
    "ChainedFile",
    "CheckedKeys",
    "FoundHome",
    "GatewayKey",
    "Home",
    "HomeRegister",
    "InputFileError",
    "JsonShape",
    "KeyFile",
    "KeyScope",
    "KeyTerms",
    "LockOwner",
    "OnBudget",
    "ProcessLock",
    "RedactedStream",
    "Redactor",
    "Seal",
    "SegmentReport",
    "SegmentsReport",
    "ShapeLimits",
    "TooDeepError",
    "TooFullError",
    "TrustStore",
    "TrustedFolder",
    "atomic_write_text",
    "chain_line",
    "clear_temporaries",
    "counted",
    "counts_as_home",
    "escape_control",
    "escape_json",
    "find_home",
    "guarded",
    "is_secret_name",
    "is_segment_name",
    "is_temporary",
    "keys_by_hash",
    "look_for_home",
    "matching_key",
    "parse_json_object",
    "read_input",
    "read_json_file",
    "read_model",
    "read_seals",
    "read_text_bounded",
    "readable_json",
    "secret_texts",
    "segment_name",
    "shape_steps",
    "spread_json",
    "verify_segment",
    "verify_segments",
]
