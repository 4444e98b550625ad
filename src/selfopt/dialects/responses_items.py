"""Translates the items of OpenAI's Responses API into the messages of chat completions."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from .chat_body import STEP_BYTES
from .clients import NoWordsError, PassReason

MAX_PARTS = 4096
"""The most parts of one item."""

_NULL = msgspec.Raw(b"null")
_EMPTY = (b"null", b"[]", b'""')
_NO_DETAIL = (_NULL, msgspec.Raw(b'"auto"'))
_QUOTE = ord('"')
_LEAST_BYTES = 256  # what a short item counts for in a step
_ROLES = frozenset({"user", "assistant", "system", "developer"})
_SAID_BY_API = frozenset({"id", "status", "phase", "type", "role", "created_by"})
"""Fields that the API writes into the items of its answers for its own use. They come back with the conversation."""


class _Item(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An item of a form that can be translated."""

    type: str = "message"
    role: str = ""
    content: msgspec.Raw = _NULL
    call_id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = _NULL
    output: msgspec.Raw = _NULL
    summary: msgspec.Raw = _NULL
    encrypted_content: msgspec.Raw = _NULL
    id: msgspec.Raw = _NULL
    status: msgspec.Raw = _NULL
    phase: msgspec.Raw = _NULL
    created_by: msgspec.Raw = _NULL


class _Part(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: str
    text: msgspec.Raw = _NULL
    refusal: msgspec.Raw = _NULL
    image_url: msgspec.Raw = _NULL
    fineness: msgspec.Raw = msgspec.field(default=_NULL, name="detail")
    file_id: msgspec.Raw = _NULL
    annotations: msgspec.Raw = _NULL  # about a text that stands beside them
    logprobs: msgspec.Raw = _NULL


class _Object(msgspec.Struct, gc=False):
    """Any object. Its content is dropped."""


class _Kind(msgspec.Struct, gc=False):
    type: str = "message"


_decode_objects = msgspec.json.Decoder(list[_Object] | None).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None).decode
_encode = msgspec.json.Encoder().encode
Fields = dict[str, Any]


def translating(given: msgspec.Raw, instructions: msgspec.Raw | None) -> Generator[None, None, Messages]:
    """Translate an input, a few items a step.

    Args:
        given: a text, null, or items, each of which was seen to be an object.
        instructions: what stands before it.
    """
    found = Messages()
    if instructions is not None and not is_empty(instructions):
        found.add({"role": "system", "content": instructions})
    if is_text(given):
        found.add({"role": "user", "content": given})
        return found
    read = 0
    for place, raw in enumerate(_decode_list(given) if given != _NULL else ()):
        found.take(raw, place)
        read += max(len(raw), _LEAST_BYTES)
        if read > STEP_BYTES:
            read = 0
            yield
    return found


class Messages:
    """Messages as they come about.

    What the model said in one turn is several items, and one message with its calls.

    Attributes:
        odd: the first that no message can express; None if there is nothing of the kind.
    """

    def __init__(self) -> None:
        self.odd: NoWordsError | None = None
        self._done: list[Fields] = []
        self._turn: Fields | None = None  # the model's last one, while items may belong to it

    def add(self, message: Fields) -> None:
        """Add a message. What the model said before it is over."""
        self._turn = None
        self._done.append(message)

    def written(self) -> msgspec.Raw:
        """The list of messages, as JSON."""
        return msgspec.Raw(_encode(self._done))

    def take(self, raw: msgspec.Raw, place: int) -> None:
        """Take the next item."""
        try:
            self._take(_item(raw, place), place)
        except NoWordsError as odd:
            self.odd = self.odd or odd
            self._turn = None

    def _take(self, item: _Item, place: int) -> None:
        kind = item.type
        if kind == "message":
            self._say(item, place)
        elif kind == "function_call":
            if not item.name or not item.call_id:
                raise no_words("history", f"input[{place}]", "a function_call needs call_id and name")
            function = {"name": item.name, "arguments": _text(item.arguments, f"input[{place}].arguments")}
            call = {"id": item.call_id, "type": "function", "function": function}
            self._of_model().setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            if not item.call_id:
                raise no_words("history", f"input[{place}].call_id", "the id of the call is missing")
            result = {"role": "tool", "tool_call_id": item.call_id, "content": _content(item.output, f"input[{place}].output")}
            self.add(result if item.name is None else {**result, "name": item.name})
        elif kind == "reasoning":
            self._think(item, place)
        else:
            raise _unknown(kind, place)

    def _say(self, item: _Item, place: int) -> None:
        if item.role not in _ROLES:
            raise no_words("role", f"input[{place}].role", f"the role {item.role[:40]!r} is not known")
        content = _content(item.content, f"input[{place}].content")
        if item.role != "assistant":
            self.add({"role": item.role, "content": content})
            return
        turn = self._turn
        if turn is not None and "content" in turn:
            if "tool_calls" not in turn:
                turn = self._turn = None
            else:  # results have to follow the message with the calls at once
                turn["content"] = [*_as_parts(turn["content"]), *_as_parts(content)]
                return
        self._of_model()["content"] = content

    def _think(self, item: _Item, place: int) -> None:
        where = f"input[{place}]"
        thought = _thoughts(item.content, f"{where}.content") or _thoughts(item.summary, f"{where}.summary")
        sealed = item.encrypted_content
        turn = self._of_model()
        if "content" in turn or "tool_calls" in turn:  # it begins the next turn
            self._turn = None
            turn = self._of_model()
        if thought:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thought
        if not is_empty(sealed):
            # As routers of chats carry what only the server that sealed it can read.
            detail = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "data": _text(sealed, where)}
            turn.setdefault("reasoning_details", []).append(detail)

    def _of_model(self) -> Fields:
        """The message of the model's turn."""
        if self._turn is None:
            self._turn = {"role": "assistant"}
            self._done.append(self._turn)
        return self._turn


def _item(raw: msgspec.Raw, place: int) -> _Item:
    try:
        return _decode_item(raw)
    except msgspec.DecodeError:
        pass
    try:
        kind = _decode_kind(raw).type
        if kind not in _FIELDS:
            raise _unknown(kind, place)
        keys = {key: value for key, value in _decode_keys(raw).items() if not is_empty(value)}
        strange = next((key for key in keys if key not in _FIELDS[kind] and key not in _SAID_BY_API), None)
        if strange is not None:
            raise no_words("history", f"input[{place}].{strange[:80]}", "chats have no such field")
        return _decode_item(_encode({key: value for key, value in keys.items() if key in _Item.__struct_fields__}))
    except msgspec.DecodeError as error:
        raise no_words("history", f"input[{place}]", str(error)) from None


_FIELDS: dict[str, frozenset[str]] = {
    "message": frozenset({"content"}),
    "function_call": frozenset({"call_id", "name", "arguments"}),
    "function_call_output": frozenset({"call_id", "name", "output"}),
    "reasoning": frozenset({"summary", "content", "encrypted_content"}),
}


def _unknown(kind: str, place: int) -> NoWordsError:
    if kind == "item_reference":
        why = "the gateway does not keep that item: send the items themselves, as SDKs do with store=false"
        return no_words("history", f"input[{place}]", why)
    return no_words("history", f"input[{place}].type", f"chats have no items of type {kind[:80]!r}")


def _content(raw: msgspec.Raw, where: str) -> Any:
    """A content for a message: text as it came, or parts."""
    if is_text(raw):
        return raw
    try:
        _count(raw, where)
        parts = _decode_parts(raw)
    except msgspec.DecodeError as error:
        raise _odd_part(raw, where) or no_words("content", where, str(error)) from None
    written = [_part(part, where, number) for number, part in enumerate(parts)]
    if len(written) == 1 and written[0]["type"] == "text":
        return written[0]["text"]
    return written or ""


def _count(raw: msgspec.Raw, where: str) -> None:
    """Raise NoWordsError for too many parts, before they are decoded: that takes far more time. Raises DecodeError."""
    if len(raw) > MAX_PARTS and len(_decode_objects(raw) or ()) > MAX_PARTS:
        raise no_words("size", where, f"more than {MAX_PARTS} parts")


def _odd_part(raw: msgspec.Raw, where: str) -> NoWordsError | None:
    """What is wrong with the first part of a type that no chat can express."""
    try:
        kinds = [_decode_kind(part).type for part in _decode_list(raw)]
    except msgspec.DecodeError:
        return None
    number = next((number for number, kind in enumerate(kinds) if kind not in _PARTS), None)
    return None if number is None else _unknown_part(f"{where}[{number}]", kinds[number])


def _unknown_part(where: str, kind: str) -> NoWordsError:
    return no_words("content", f"{where}.type", f"chats have no parts of type {kind[:80]!r}")


_PARTS = frozenset({"input_text", "output_text", "text", "refusal", "input_image"})


def _part(part: _Part, where: str, number: int) -> Fields:
    where = f"{where}[{number}]"
    if part.type in ("input_text", "output_text", "text"):
        return {"type": "text", "text": _text(part.text, f"{where}.text")}
    if part.type == "refusal":
        return {"type": "refusal", "refusal": _text(part.refusal, f"{where}.refusal")}
    if part.type != "input_image":
        raise _unknown_part(where, part.type)
    if not is_empty(part.file_id):
        raise no_words("content", f"{where}.file_id", "the gateway keeps no files: give image_url")
    if part.fineness not in _NO_DETAIL:
        raise no_words("content", f"{where}.detail", "only auto can be asked for")
    return {"type": "image_url", "image_url": {"url": _text(part.image_url, f"{where}.image_url")}}


def _text(raw: msgspec.Raw, where: str) -> msgspec.Raw:
    """A text as it came. Raises NoWordsError for anything else."""
    if not is_text(raw):
        raise no_words("content", where, "it must be a text")
    return raw


def _thoughts(raw: msgspec.Raw, where: str) -> str:
    """The text of thinking, or of a summary of it."""
    try:
        _count(raw, where)
        return "\n".join(_decode_text(part["text"]) for part in _decode_texts(raw) or () if "text" in part)
    except msgspec.DecodeError as error:
        raise no_words("history", where, str(error)) from None


def _as_parts(content: Any) -> list[Fields]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def no_words(reason: PassReason, where: str, why: str) -> NoWordsError:
    """What no chat can express. where: the client's field."""
    return NoWordsError(reason, f"{where}: {why}", where)


def is_text(raw: msgspec.Raw) -> bool:
    """Whether it is a text."""
    return memoryview(raw)[0] == _QUOTE


def is_empty(raw: msgspec.Raw) -> bool:
    """Whether it says nothing: null, or an empty text or list."""
    return len(raw) <= 4 and bytes(raw) in _EMPTY
