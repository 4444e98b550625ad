"""The body of a chat request, as far as it has to be understood: everything else is forwarded as it came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from selfopt.records import Phase

from .options import GatewayOptions
from .refusal import Refusal, bad_request

__all__ = ["ChatBody", "read_chat"]

T = TypeVar("T")

MAX_MODEL_LENGTH = 256
_TOOL_ROLES = frozenset({"tool", "function"})
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_OPEN_BRACE = ord("{")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class _MessageHead(msgspec.Struct):
    role: str


_decode_body = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_flag = msgspec.json.Decoder(bool | None).decode
_decode_messages = msgspec.json.Decoder(list[_MessageHead]).decode
_decode_tools = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_encode = msgspec.json.Encoder().encode


class ChatBody:
    """fields: every key of the body with its JSON as it came. phase: by what the conversation holds."""

    __slots__ = ("fields", "model", "n_tools", "phase", "stream")

    def __init__(self, fields: dict[str, msgspec.Raw], model: str, stream: bool, n_tools: int, phase: Phase) -> None:
        self.fields = fields
        self.model = model
        self.stream = stream
        self.n_tools = n_tools
        self.phase = phase

    def forwarded(self, server_model: str) -> bytes:
        """The body for the server behind, under the name that it knows; nothing else is changed."""
        return _encode({**self.fields, "model": server_model})


def read_chat(body: bytes, options: GatewayOptions) -> ChatBody:
    """What a client sent. Refusal (400) says what is wrong and where."""
    try:
        if not body.isascii():
            body.decode("utf-8")
        fields = _decode_body(body)
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is no UTF-8 (byte {error.start})", code="invalid_json") from None
    except RecursionError:
        raise _too_deep(options) from None
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is no JSON object: {error}", code="invalid_json") from None
    if body.count(b"{") + body.count(b"[") > options.max_depth and _deeper_than(body, options.max_depth):
        raise _too_deep(options)
    model = _read(fields, "model", _decode_text, "the name of a model, as text")
    if not model or len(model) > MAX_MODEL_LENGTH or not model.isprintable():
        raise bad_request(f"model must be a name of 1 to {MAX_MODEL_LENGTH} printable characters", "model")
    messages = _read(fields, "messages", _decode_messages, "a list of objects that each have a role")
    if not messages or len(messages) > options.max_messages:
        raise bad_request(f"messages must hold 1 to {options.max_messages} messages, not {len(messages)}", "messages")
    tools = _read(fields, "tools", _decode_tools, "a list of tools") if "tools" in fields else None
    if tools is not None and len(tools) > options.max_tools:
        raise bad_request(f"{len(tools)} tools, at most {options.max_tools} are taken", "tools", "array_above_max_length")
    if tools is not None and any(memoryview(tool)[0] != _OPEN_BRACE for tool in tools):
        raise bad_request("tools must be a list of objects", "tools", "invalid_type")
    stream = _read(fields, "stream", _decode_flag, "true or false") if "stream" in fields else False
    return ChatBody(fields, model, bool(stream), len(tools or ()), _phase_of(messages))


def _read(fields: dict[str, msgspec.Raw], key: str, decode: Callable[[msgspec.Raw], T], what: str) -> T:
    raw = fields.get(key)
    if raw is None:
        raise bad_request(f"{key} is missing: give {what}", key, "missing_required_parameter")
    try:
        return decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"{key} must be {what}: {error}", key, "invalid_type") from None


def _phase_of(messages: list[_MessageHead]) -> Phase:
    """One user turn and no tool results: atomic."""
    turns = 0
    for message in messages:
        if message.role == "user":
            turns += 1
        elif message.role in _TOOL_ROLES:
            return "extended"
    return "atomic" if turns <= 1 else "extended"


def _too_deep(options: GatewayOptions) -> Refusal:
    return bad_request(f"the body is nested more than {options.max_depth} levels deep", code="invalid_json")


def _deeper_than(body: bytes, limit: int) -> bool:
    """Whether valid JSON is nested deeper: without its texts, the innermost brackets are taken away level by level."""
    rest = _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS).replace(b"{", b"[").replace(b"}", b"]")
    for _ in range(limit):
        if not rest:
            return False
        rest = rest.replace(b"[]", b"")
    return bool(rest)
