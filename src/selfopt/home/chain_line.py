"""One line of the audit trail: its event, how it is written, and how it is checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec

from selfopt.records import canonical_json, sha256_hex

from .text import clean_unicode

MAX_LINE_BYTES = 4_000_000

_ascii_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
_BEFORE_HASH = b',"hash":"'


class BadLineError(Exception):
    """A line cannot be part of the chain; the message says why."""


class AuditFields(TypedDict, total=False):
    """The fields of an audit record that its writer chooses, apart from the name of the event."""

    original_model: str | None
    fallback: str | None
    phase: str | None
    reason: str
    rule_id: str | None
    config_version: int | None
    evidence: tuple[str, ...]
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event to append. Its `details` hold JSON values."""

    event: str
    fields: AuditFields = field(default_factory=AuditFields)


def event_body(event: AuditEvent, timestamp: str, previous_hash: str, told: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of an event as JSON. told: what the file says about itself in `details`."""
    fields = event.fields
    details = {**fields.get("details", {}), **told}
    return sealed_body(
        {
            "timestamp": timestamp,
            "event": event.event,
            "original_model": fields.get("original_model"),
            "fallback": fields.get("fallback"),
            "phase": fields.get("phase"),
            "reason": fields.get("reason", ""),
            "rule_id": fields.get("rule_id"),
            "config_version": fields.get("config_version"),
            "evidence": list(fields.get("evidence", ())),
            "details": details,
            "previous_hash": previous_hash,
        }
    )


def sealed_body(body: dict[str, Any]) -> dict[str, Any]:
    """Returns a record's fields, made valid UTF-8, with their hash.

    ValueError when they are not JSON.
    """
    body = _clean(body)
    body["hash"] = _hash(body)
    return body


def written(body: dict[str, Any]) -> bytes:
    """Returns the line of a record, with its newline."""
    return _ascii_encode(body).encode() + b"\n"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_unicode(value)
    if isinstance(value, dict):
        return {clean_unicode(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _hash(body: dict[str, Any]) -> str:
    return sha256_hex(canonical_json({key: value for key, value in body.items() if key != "hash"}))


def parse_line(line: bytes) -> dict[str, Any]:
    """Returns the JSON object that a line holds. BadLineError when it holds anything else."""
    if len(line) > MAX_LINE_BYTES:
        raise BadLineError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise BadLineError("not JSON") from None
    if not isinstance(body, dict):
        raise BadLineError("not a JSON object")
    return body


def check_line(line: bytes) -> tuple[str, str]:
    """Check that a line's hash fits and that its bytes are the canonical form. Returns
    (previous_hash, hash).

    Raises BadLineError otherwise.
    """
    return _checked_quickly(line) or _checked(line)


def _checked(line: bytes) -> tuple[str, str]:
    body = parse_line(line)
    if not isinstance(body.get("hash"), str) or not isinstance(body.get("previous_hash"), str):
        raise BadLineError("it has no hash")
    try:
        if _hash(body) != body["hash"]:
            raise BadLineError("its hash does not fit its content")
        if _ascii_encode(body).encode() != line:
            raise BadLineError("its text is not the canonical form")
    except (ValueError, RecursionError):
        raise BadLineError("not canonical JSON") from None
    return body["previous_hash"], body["hash"]


def _plain_float(text: str) -> float:
    """Returns the number. ValueError when Python would write it in another form."""
    value = float(text)
    if repr(value) != text:
        raise ValueError(text)
    return value


_decode = msgspec.json.Decoder(float_hook=_plain_float).decode
_encode = msgspec.json.Encoder(order="sorted").encode


def _checked_quickly(line: bytes) -> tuple[str, str] | None:
    """Do what `_checked` does, without building the canonical JSON. Returns None when in doubt.

    It can tell only for a line without character escapes: its hash is that of its own bytes, the
    hash left out.
    """
    if len(line) > MAX_LINE_BYTES or b"\\u" in line or not line.isascii():
        return None
    try:
        body = _decode(line)
        if _encode(body) != line:
            return None
        previous, found = body["previous_hash"], body["hash"]
        cut = line.rfind(_BEFORE_HASH)
        end = cut + len(_BEFORE_HASH) + 65
        if cut < 0 or line[cut:end] != b'%s%s"' % (_BEFORE_HASH, found.encode()):
            return None
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    if hashlib.sha256(line[:cut] + line[end:]).hexdigest() != found or not isinstance(previous, str):
        return None
    return previous, found
