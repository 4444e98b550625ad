"""A request of OpenAI's Responses API, as far as routing needs it, and with what it goes on from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import msgspec

from .chat_body import (
    STEP_BYTES,
    BodyLimits,
    ChatBody,
    at_once,
    read_field,
    reading_fields,
    tools_in,
    wants_stream,
)
from .clients import NoWordsError
from .refusal import bad_request
from .responses_fields import Translated, translating_fields
from .responses_items import is_empty, is_text

_NULL = msgspec.Raw(b"null")
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
_WHAT = "a text, or a list of items"


class _Head(msgspec.Struct, gc=False):
    role: str | None = None
    type: str | None = None


class _Reference(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None


_decode_input = msgspec.json.Decoder(str | list[_Head] | None).decode
_decode_flag = msgspec.json.Decoder(bool | None).decode
_decode_name = msgspec.json.Decoder(str | None).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_references = msgspec.json.Decoder(list[_Reference]).decode
_encode = msgspec.json.Encoder().encode


class ResponsesBody(ChatBody):
    """A request of the Responses API. Its translation is made when something first looks at it.

    Attributes:
        fields: what it says in the words of a chat, as far as there are words.
        given: the top-level keys as the client wrote them.
        whole: the same with what it goes on from in its place.
        odd: the first that there are no words for; None if there are for all.
        keeps: whether the answer is kept, so that a later request can name it.
    """

    __slots__ = ("given", "keeps", "odd", "whole")

    given: dict[str, msgspec.Raw]
    odd: NoWordsError | None

    def __init__(self, whole: dict[str, msgspec.Raw], model: str, size: int) -> None:
        # `fields` and `odd` are left out, so that `__getattr__` is asked for them.
        self.given, self.whole, self.model, self.size = whole, whole, model, size
        self.stream, self.n_tools, self.phase, self.calls_tools = False, 0, "atomic", False
        self.keeps = False

    def __getattr__(self, name: str) -> Any:
        if name not in ("fields", "odd"):
            raise AttributeError(name)
        self.take(at_once(translating_fields(self.whole)))
        return getattr(self, name)

    def take(self, told: Translated) -> None:
        """Take its translation."""
        self.fields, self.odd = told.fields, told.odd

    def forwarded(
        self,
        server_model: str,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        streamed: bool = False,
    ) -> bytes:
        """See `ChatBody`."""
        fields = self.whole if finish is None else finish({**self.whole})
        return _encode({**fields, "model": server_model})

    @property
    def wants_keeping(self) -> bool | None:
        """Whether the client wants the answer to be kept; None if it does not say."""
        wanted: bool | None = _decode_flag(self.given.get("store", _NULL))
        return wanted

    def previous(self) -> str | None:
        """The id of the response that the request goes on from."""
        name: str | None = _decode_name(self.given.get("previous_response_id", _NULL))
        return name

    def named_items(self) -> tuple[str, ...]:
        """The ids of items that the request names without holding them."""
        given = self.given.get("input", _NULL)
        if is_text(given) or b"item_reference" not in bytes(given):
            return ()
        try:
            return tuple(one.id for one in _decode_references(given) if one.type == "item_reference" and one.id)
        except msgspec.DecodeError:
            return ()

    def items(self) -> list[msgspec.Raw]:
        """The items of the conversation. A text is one."""
        given = self.whole.get("input", _NULL)
        if is_text(given):
            return [msgspec.Raw(_encode({"type": "message", "role": "user", "content": given}))]
        return [] if given == _NULL else _decode_items(given)


def going_on(
    body: ResponsesBody, before: Sequence[msgspec.Raw], named: Mapping[str, msgspec.Raw], limits: BodyLimits
) -> Generator[None, None, ResponsesBody]:
    """The same request with all that it goes on from.

    Args:
        before: the items before its own.
        named: those that it names, by their ids.
        limits: of a request that holds them all itself.

    Raises Refusal (400) beyond them.
    """
    own = body.items()
    if named:
        ids = [one.id if one.type == "item_reference" else None for one in _decode_references(body.given["input"])]
        own = [raw if name is None else named.get(name, raw) for raw, name in zip(own, ids, strict=True)]
    items = [*before, *own]
    if len(items) > limits.max_messages:
        said = f"with all that it goes on from, input has {len(items)} items, at most {limits.max_messages} are allowed"
        raise bad_request(said, "input", "array_above_max_length")
    whole = {key: raw for key, raw in body.whole.items() if key != "previous_response_id"}
    whole["input"] = msgspec.Raw(_encode(items))
    size = body.size + sum(map(len, before)) + sum(map(len, named.values()))
    found = yield from _reading(whole, body.model, size, limits)
    found.given, found.keeps, found.phase = body.given, body.keeps, body.phase
    return found


def reading_body(body: bytes, limits: BodyLimits) -> Generator[None, None, ResponsesBody]:
    """See `ClientDialect.reading_body`."""
    given, model = yield from reading_fields(body, limits)
    return (yield from _reading(given, model, len(body), limits))


def _reading(given: dict[str, msgspec.Raw], model: str, size: int, limits: BodyLimits) -> Generator[None, None, ResponsesBody]:
    read = ResponsesBody(given, model, size)
    read_field({"store": _NULL, **given}, "store", _decode_flag, "true or false")
    read_field({"instructions": _NULL, **given}, "instructions", _decode_name, "a text")
    read_field({"previous_response_id": _NULL, **given}, "previous_response_id", _decode_name, "the id of a response")
    if read_field({"background": _NULL, **given}, "background", _decode_flag, "true or false"):
        raise bad_request("background must be false: the gateway answers at once", "background", "unsupported_value")
    elsewhere = any(not is_empty(given.get(key, _NULL)) for key in _ELSEWHERE)
    items = read_field({"input": _NULL, **given} if elsewhere else given, "input", _decode_input, _WHAT)
    yield
    if not (items or elsewhere) or (isinstance(items, list) and len(items) > limits.max_messages):
        n_items = len(items or ())
        raise bad_request(f"input must be a text, or 1 to {limits.max_messages} items, not {n_items}", "input")
    read.n_tools = tools_in(given, limits)
    yield
    read.stream = wants_stream(given)
    heads = items if isinstance(items, list) else [_Head("user")]
    kinds = [head.type for head in heads if head.type is not None]
    read.calls_tools = bool(read.n_tools) or any("call" in kind for kind in kinds)
    if elsewhere or any(kind.endswith("_output") for kind in kinds) or sum(head.role == "user" for head in heads) > 1:
        read.phase = "extended"
    if size > STEP_BYTES:
        read.take((yield from translating_fields(given)))
    return read
