"""Reads the body of a chat request as far as routing needs it. The rest is forwarded unchanged."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from selfopt.home import ShapeLimits, TooDeepError, TooFullError, shape_steps
from selfopt.records import Phase

from .refusal import bad_request

T = TypeVar("T")

STEP_BYTES = 262_144
"""The bytes that are read in one step. Counting their brackets takes at most ten milliseconds."""

MAX_MODEL_LENGTH = 256
_TOOL_ROLES = frozenset({"tool", "function"})


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits on the body of a chat.

    Attributes:
        max_depth: levels of nesting.
        max_containers: lists and objects in total.
        max_values: values in all of these.
        max_fields: keys at the top level.
        max_tools: tools.
        max_messages: messages.
    """

    max_depth: int = 64
    max_containers: int = 250_000
    max_values: int = 1_000_000
    max_fields: int = 1000
    max_tools: int = 512
    max_messages: int = 10_000


def at_once(steps: Generator[None, None, T]) -> T:
    """Run all steps and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


_NULL = msgspec.Raw(b"null")


class _MessageHead(msgspec.Struct, gc=False):
    role: str
    tool_calls: msgspec.Raw = _NULL


class _Object(msgspec.Struct, gc=False):
    """Any object. Its content is dropped."""


_decode_body = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_flag = msgspec.json.Decoder(bool | None).decode
_decode_messages = msgspec.json.Decoder(list[_MessageHead]).decode
_decode_objects = msgspec.json.Decoder(list[_Object] | None).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, eq=False)
class ChatBody:
    """A client's request, as far as routing needs it.

    Attributes:
        fields: the top-level keys with their JSON, undecoded.
        model: the client's name of the model.
        stream: whether the client wants a stream.
        n_tools: how many tools it offers.
        calls_tools: whether it offers tools or its history has calls of tools.
        phase: `atomic` or `extended`, depending on the messages.
        size: the size of the body in bytes.
    """

    fields: dict[str, msgspec.Raw]
    model: str
    stream: bool
    n_tools: int
    phase: Phase
    size: int
    calls_tools: bool = True

    def forwarded(
        self,
        server_model: str,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        streamed: bool = False,
    ) -> bytes:
        """The body with the server's name of the model.

        Nothing else is changed, but by `finish`, if there is one. streamed: asks for a stream
        with token counts.
        """
        fields = self.fields if finish is None else finish({**self.fields})
        more = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
        return _encode({**fields, **more, "model": server_model})


def reading_fields(body: bytes, limits: BodyLimits) -> Generator[None, None, tuple[dict[str, msgspec.Raw], str]]:
    """Read the fields of a request and the model that it names, in steps. See `reading_body`."""
    yield from _shaped(body, limits)
    try:
        if not body.isascii():
            body.decode("utf-8")
            yield
        fields = _decode_body(body)
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8 (byte {error.start})", code="invalid_json") from None
    except RecursionError:
        raise bad_request(f"the body is nested more than {limits.max_depth} levels deep", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is not a JSON object: {error}", code="invalid_json") from None
    yield
    if len(fields) > limits.max_fields:
        raise bad_request(f"the body has {len(fields)} keys at the top level, at most {limits.max_fields} are allowed")
    model = read_field(fields, "model", _decode_text, "the name of a model, as text")
    if not model or len(model) > MAX_MODEL_LENGTH or not model.isprintable():
        raise bad_request(f"model must be a name of 1 to {MAX_MODEL_LENGTH} printable characters", "model")
    return fields, model


def reading_body(body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
    """Read a client's request in steps. No step takes 50 ms for any body within the limits.

    Raises:
        Refusal: 400, with what is wrong and where.
    """
    fields, model = yield from reading_fields(body, limits)
    what = "a list of objects that each have a role"
    # In a large body, count the messages first: decoded, they take far more memory.
    n_messages = len(read_field(fields, "messages", _decode_objects, what) or ()) if len(body) > STEP_BYTES else 1
    if n_messages <= limits.max_messages:
        yield
        messages = read_field(fields, "messages", _decode_messages, what)
        n_messages = len(messages)
    if not 1 <= n_messages <= limits.max_messages:
        raise bad_request(f"messages must hold 1 to {limits.max_messages} messages, not {n_messages}", "messages")
    yield
    n_tools = tools_in(fields, limits)
    yield
    stream = wants_stream(fields)
    used = any(m.role in _TOOL_ROLES or _holds(m.tool_calls) for m in messages)
    calls_tools = bool(n_tools) or used or _holds(fields.get("functions", _NULL))
    return ChatBody(fields, model, stream, n_tools, _phase_of(messages), len(body), calls_tools)


def tools_in(fields: dict[str, msgspec.Raw], limits: BodyLimits) -> int:
    """How many tools are offered. Raises Refusal (400)."""
    tools = read_field(fields, "tools", _decode_objects, "a list of objects") if "tools" in fields else None
    if tools is not None and len(tools) > limits.max_tools:
        raise bad_request(f"{len(tools)} tools, at most {limits.max_tools} are allowed", "tools", "array_above_max_length")
    return len(tools or ())


def wants_stream(fields: dict[str, msgspec.Raw]) -> bool:
    """Say whether the client wants a stream. Raises Refusal (400)."""
    return bool(read_field(fields, "stream", _decode_flag, "true or false")) if "stream" in fields else False


def _shaped(body: bytes, limits: BodyLimits) -> Generator[None, None, None]:
    """Refuse a body that is too deep or too large, before decoding it."""
    if len(body) <= STEP_BYTES and body.count(b"{") + body.count(b"[") <= limits.max_depth:
        return
    try:
        yield from shape_steps(body, ShapeLimits(limits.max_depth, limits.max_containers, limits.max_values, limits.max_fields))
    except (TooDeepError, TooFullError) as error:
        what = "is" if isinstance(error, TooDeepError) else "has"
        raise bad_request(f"the body {what} {error}", code="invalid_json") from None


def read_field(fields: dict[str, msgspec.Raw], key: str, decode: Callable[[msgspec.Raw], T], what: str) -> T:
    """One field, decoded. what: what it has to be. Raises Refusal."""
    raw = fields.get(key)
    if raw is None:
        raise bad_request(f"{key} is missing: give {what}", key, "missing_required_parameter")
    try:
        return decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"{key} must be {what}: {error}", key, "invalid_type") from None


def _holds(raw: msgspec.Raw) -> bool:
    """Whether a list holds anything."""
    return bytes(raw) not in (b"null", b"[]")


def _phase_of(messages: list[_MessageHead]) -> Phase:
    """`atomic` for one user turn without tool results, else `extended`."""
    roles = [message.role for message in messages]
    return "extended" if roles.count("user") > 1 or not _TOOL_ROLES.isdisjoint(roles) else "atomic"
