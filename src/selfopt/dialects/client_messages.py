"""Reads the messages of a client of OpenAI's chat completions, in every form that clients send."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import msgspec

from selfopt.records import Message, ToolCall

from .chat_body import STEP_BYTES
from .clients import NoWordsError, PassReason

MAX_ARGUMENTS = 2_000_000
MAX_BESIDE = 262_144  # bytes of keys that no record knows
MAX_PARTS = 4096  # and calls, of one message
Role = Literal["system", "user", "assistant", "tool"]
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",  # of before there were lists of calls
}
_NULL = msgspec.Raw(b"null")
_BLANK, _NO_CALL = Message(role="user"), ToolCall(name="")  # what is read by its type needs no validation
PLAIN_BYTES = 65_536


class _TextPart(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _PlainFunction(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    arguments: str


class _PlainCall(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    function: _PlainFunction
    id: str | None = None
    type: Literal["function"] | None = None
    index: int | None = None


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A message as most are."""

    role: Role
    content: str | None = None
    tool_calls: list[_PlainCall] | None = None
    tool_call_id: str | None = None


class _OddPart(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: msgspec.Raw = _NULL


class _Picture(msgspec.Struct):
    url: str


class _CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: msgspec.Raw = _NULL
    parsed_arguments: msgspec.Raw = _NULL  # OpenAI's SDK says the arguments again in what it read, which clients send back


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    function: _CalledFunction
    id: str | None = None
    type: Literal["function"] | None = None
    index: int | None = None


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """A message, as far as records can express it.

    Fields are decoded by their type, so that decoding stops at the first wrong value: a million
    numbers in place of a text cost no more than one.
    """

    role: str
    content: msgspec.Raw = _NULL
    tool_calls: msgspec.Raw = _NULL
    function_call: msgspec.Raw = _NULL
    tool_call_id: str | None = None
    name: msgspec.Raw = _NULL
    refusal: msgspec.Raw = _NULL
    audio: msgspec.Raw = _NULL


_decode = msgspec.json.Decoder().decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_plain = msgspec.json.Decoder(list[_Plain]).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_content = msgspec.json.Decoder(str | list[_TextPart] | None).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_part = msgspec.json.Decoder(_OddPart).decode
_decode_picture = msgspec.json.Decoder(_Picture | str).decode
_decode_calls = msgspec.json.Decoder(list[_Call] | None).decode
_decode_call = msgspec.json.Decoder(_CalledFunction).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_name = msgspec.json.Decoder(str | None).decode
_encode = msgspec.json.Encoder().encode


def plain_messages(raw: msgspec.Raw) -> list[Message] | None:
    """Read a list of messages in one step.

    Returns:
        The same as `reading_message` of each; None if the list is large, or one of its messages has
        another form than most.
    """
    if len(raw) > PLAIN_BYTES:
        return None
    try:
        return [_plain(said) for said in _decode_plain(raw)]
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None


def _plain(said: _Plain) -> Message:
    update: dict[str, Any] = {"role": said.role, "content": said.content or "", "tool_call_id": said.tool_call_id}
    if said.tool_calls:
        update["tool_calls"] = tuple(map(_plain_call, said.tool_calls))
    return _BLANK.model_copy(update=update)


def _plain_call(call: _PlainCall) -> ToolCall:
    written = call.function.arguments
    arguments = _decode_object(written) if written.strip() else {}
    return _NO_CALL.model_copy(update={"name": call.function.name, "arguments": arguments, "id": call.id})


def reading_message(raw: msgspec.Raw, place: int) -> Generator[None, None, tuple[Message, PassReason | None]]:
    """Read one message. What is large in it takes steps of its own.

    Returns:
        The message, and what no variant has words for in it.

    Raises:
        NoWordsError: no record can express it.
    """
    said, beside = _said(raw, place)
    large = len(raw) > STEP_BYTES
    if large:
        yield
    if said.role not in _ROLES:
        raise NoWordsError("role", f"messages[{place}]: the role {said.role[:40]!r} is not known", "messages")
    text, pictures, beyond = _content(said.content, place)
    if large:
        yield
    if said.refusal != _NULL or said.audio != _NULL:
        text, beyond = _refusal(said, text, place), "content"
    calls: list[ToolCall] = []
    if said.tool_calls != _NULL or said.function_call != _NULL:
        calls = yield from _calls(said, place, large=large)
    role = _ROLES[said.role]
    update: dict[str, Any] = {"role": role, "content": text, "tool_calls": tuple(calls), "tool_call_id": said.tool_call_id}
    if said.name != _NULL:
        name = _name(said.name, place)
        if role == "tool":
            update["name"] = name
        elif name is not None:
            beside = {**beside, "name": name}
    if pictures or beside:
        update |= {"pictures": tuple(pictures), "beside": beside}
    return _BLANK.model_copy(update=update), beyond


def _name(raw: msgspec.Raw, place: int) -> str | None:
    try:
        name: str | None = _decode_name(raw)
        return name
    except msgspec.DecodeError as error:
        raise NoWordsError("history", f"messages[{place}]: {error}", "messages") from None


def _said(raw: msgspec.Raw, place: int) -> tuple[_Said, dict[str, Any]]:
    """The message, and its keys that no record has a word for."""
    try:
        return _decode_said(raw), {}
    except msgspec.DecodeError:
        pass
    try:
        keys = _decode_keys(raw)
        if sum(len(value) for key, value in keys.items() if key not in _Said.__struct_fields__) > MAX_BESIDE:
            raise NoWordsError("size", f"messages[{place}]: keys of more than {MAX_BESIDE} bytes", "messages")
        known = _decode_said(_encode({key: value for key, value in keys.items() if key in _Said.__struct_fields__}))
        others = {key: _decode(keys[key]) for key in keys if key not in _Said.__struct_fields__}
    except msgspec.DecodeError as error:
        raise NoWordsError("history", f"messages[{place}]: {error}", "messages") from None
    return known, {key: value for key, value in others.items() if value is not None}


def _content(raw: msgspec.Raw, place: int) -> tuple[str, list[str], PassReason | None]:
    """The text of a content, and its pictures."""
    try:
        content = _decode_content(raw)
    except msgspec.DecodeError:
        return (*_odd_content(raw, place), "content")
    if isinstance(content, list):
        return "\n".join(piece.text for piece in content), [], None
    return content or "", [], None


def _odd_content(raw: msgspec.Raw, place: int) -> tuple[str, list[str]]:
    texts: list[str] = []
    pictures: list[str] = []
    try:
        listed = _decode_list(raw)
        if len(listed) > MAX_PARTS:
            raise NoWordsError("content", f"messages[{place}]: more than {MAX_PARTS} parts", "messages")
        for part in map(_decode_part, listed):
            text = part.text if part.text is not None else part.refusal
            if part.type in ("text", "input_text", "output_text", "refusal") and text is not None:
                texts.append(text)
            elif part.type in ("image_url", "input_image"):
                picture = _decode_picture(part.image_url)
                pictures.append(picture if isinstance(picture, str) else picture.url)
            else:
                raise NoWordsError(
                    "content", f"messages[{place}]: no part of type {part.type[:40]!r} can be sent there", "messages"
                )
    except msgspec.DecodeError as error:
        raise NoWordsError("content", f"messages[{place}].content: {error}", "messages") from None
    return "\n".join(texts), pictures


def _refusal(said: _Said, text: str, place: int) -> str:
    try:
        if said.audio == _NULL:
            return text or _decode_text(said.refusal)
    except msgspec.DecodeError:
        pass
    raise NoWordsError("content", f"messages[{place}]: audio and odd refusals cannot be sent there", "messages")


def _calls(said: _Said, place: int, *, large: bool) -> Generator[None, None, list[ToolCall]]:
    calls: list[ToolCall] = []
    try:
        if large and said.tool_calls != _NULL and len(_decode_list(said.tool_calls)) > MAX_PARTS:
            raise NoWordsError("size", f"messages[{place}]: more than {MAX_PARTS} tool_calls", "messages")
        listed = [(call.function, call.id) for call in _decode_calls(said.tool_calls) or ()]
        if not listed and said.function_call != _NULL:
            listed = [(_decode_call(said.function_call), None)]
        for function, call_id in listed:
            # Large arguments get a step of their own. Decoded JSON needs no validation.
            if large:
                yield
                arguments = _arguments(function.arguments, place)
                calls.append(ToolCall(name=function.name, id=call_id).model_copy(update={"arguments": arguments}))
            else:
                calls.append(ToolCall(name=function.name, arguments=_arguments(function.arguments, place), id=call_id))
    except (ValueError, RecursionError, msgspec.DecodeError):
        said_where = f"messages[{place}].tool_calls holds a call that cannot be read"
        raise NoWordsError("history", said_where, "messages") from None
    return calls


def _arguments(raw: msgspec.Raw, place: int) -> dict[str, Any]:
    """The arguments of a call: an object, or the text of one. Nothing stands for none.

    Raises ValueError for anything else.
    """
    if len(raw) > MAX_ARGUMENTS:
        raise NoWordsError("size", f"messages[{place}].tool_calls: arguments of more than {MAX_ARGUMENTS} bytes", "messages")
    text = bytes(raw).lstrip()
    if text == b"null":
        return {}
    if text.startswith(b"{"):
        return _decode_object(text)
    written = _decode_text(text)
    return _decode_object(written) if written.strip() else {}
