"""What is read of a request in Anthropic's Messages, and of the reply to it, that is passed on unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from .clients import Counted
from .kinds import PASSED_PATHS
from .openai_edit import UNREADABLE
from .passed_chat import error_in

API_VERSION = "2023-06-01"
"""The version of the API where a client names none."""
_VERSION, _BETA = b"anthropic-version", b"anthropic-beta"
_PATH = PASSED_PATHS["anthropic"].encode()
_encode = msgspec.json.Encoder().encode
LAST_BYTES = 512


class _Tokens(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Kind(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    usage: _Tokens | None = None


class _Event(msgspec.Struct):
    message: _Message | None = None
    usage: _Tokens | None = None


_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')
_read_any = msgspec.json.Decoder(list[dict[str, Any]]).decode
_read_kind = msgspec.json.Decoder(_Kind).decode
_read_message = msgspec.json.Decoder(_Message).decode
_read_event = msgspec.json.Decoder(_Event).decode


def error_type(status: int) -> str:
    """The type of an error with this status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
TYPES = frozenset({*_TYPES.values(), "invalid_request_error", "api_error"})


def error_body(kind: str, message: str, request_id: str | None = None) -> bytes:
    """An error in the form that clients expect."""
    text = message.encode("utf-8", "replace").decode("utf-8")
    return _encode({"type": "error", "error": {"type": kind, "message": text}, "request_id": request_id})


class PassedMessages:
    """See `PassedOn`."""

    watched = False

    def addressed(self, headers: Mapping[bytes, bytes], query: bytes) -> tuple[bytes, bytes]:
        """See `PassedOn`: the server gets the version and the beta features that the client names."""
        version = headers.get(_VERSION) or API_VERSION.encode()
        lines = b"%s: %s\r\n" % (_VERSION, version)
        beta = headers.get(_BETA)
        if beta:
            lines += b"%s: %s\r\n" % (_BETA, beta)
        return (_PATH + b"?beta=true" if query == b"beta=true" else _PATH), lines

    def counted(self, body: bytes) -> Counted | None:
        """See `PassedOn`."""
        try:
            usage = _read_message(body).usage
        except UNREADABLE:
            return None
        return None if usage is None else _counted(usage)

    def counted_in(self, first: bytes, last: bytes) -> Counted | None:
        """See `PassedOn`: the event that begins a stream counts the request, and one at its end the reply."""
        begun, ended = _usage_in(first, first.find(b'"message_start"')), _usage_in(last, last.rfind(b'"message_delta"'))
        if begun is None or ended is None:
            told = begun or ended
            return None if told is None else _counted(told)
        for name in _Tokens.__struct_fields__:
            if getattr(ended, name) is None:
                setattr(ended, name, getattr(begun, name))
        return _counted(ended)

    def ended(self, last: bytes) -> bool:
        """See `PassedOn`."""
        return b'"message_stop"' in last[-LAST_BYTES:]

    def error(self, body: bytes) -> bytes | None:
        """See `PassedOn`. Another dialect's error is told in Anthropic's form."""
        error = error_in(body)
        if error is None:
            return None
        kind = str(error.get("type"))
        if kind in TYPES and _is_own(body):
            return body
        return error_body(kind if kind in TYPES else "invalid_request_error", str(error["message"]))


def without_unsigned(fields: dict[str, Any]) -> dict[str, Any]:
    """A request without the thinking that no server signed: another model thought it, and Anthropic's refuse it."""
    raw = fields.get("messages")
    if not isinstance(raw, msgspec.Raw) or _UNSIGNED.search(bytes(raw)) is None:
        return fields
    turns = _read_any(raw)
    for turn in turns:
        if isinstance(turn.get("content"), list):
            turn["content"] = [block for block in turn["content"] if not _is_unsigned(block)]
    return {**fields, "messages": [turn for turn in turns if turn.get("content") != []]}


def _is_own(body: bytes) -> bool:
    try:
        return _read_kind(body).type == "error"
    except UNREADABLE:
        return False


def _is_unsigned(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def _counted(usage: _Tokens) -> Counted:
    fresh, cached, kept = usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    asked = None if fresh is None else fresh + (cached or 0) + (kept or 0)
    return Counted(asked, usage.output_tokens, cached)


def _usage_in(data: bytes, at: int) -> _Tokens | None:
    """The token counts of the event that this place is in."""
    start = data.rfind(b"data:", 0, at) if at >= 0 else -1
    if start < 0:
        return None
    try:
        event = _read_event(data[start + 5 :].partition(b"\n")[0])
    except UNREADABLE:
        return None
    return event.message.usage if event.message is not None else event.usage
