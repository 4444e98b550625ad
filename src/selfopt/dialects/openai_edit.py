"""Puts tool calls into a reply of chat completions, whole or streamed, and leaves everything else as it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from selfopt.reading.readers.names import Names
from selfopt.reading.readers.native import READER as NATIVE
from selfopt.records import ToolCall, ToolDefinition

from .jsontext import write_text
from .parts import Parts, call_of

Fields = dict[str, msgspec.Raw]
_fields = msgspec.json.Decoder(Fields).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
_arguments = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes of a server that are no JSON, or no UTF-8, or too deep."""
MAX_CHOICES = 32
"""Calls are looked for in so many choices of a reply; the others pass as they came."""
_MOVED = ("name", "arguments", "parameters", "input")  # what a call says, wherever a server puts it


class Count(msgspec.Struct):
    """Token counts. prompt_tokens_details: undecoded."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: msgspec.Raw = _NULL

    @property
    def cached_tokens(self) -> int | None:
        """How many prompt tokens came from the server's cache; None where it says nothing readable."""
        try:
            return _read_details(self.prompt_tokens_details).cached_tokens
        except UNREADABLE:
            return None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


_details_decoder = msgspec.json.Decoder(_Details | None)


def _read_details(raw: msgspec.Raw) -> _Details:
    return _details_decoder.decode(raw) or _Details()


class SaidPart(msgspec.Struct):
    """A message, or a piece of one, undecoded."""

    content: msgspec.Raw = _NULL
    tool_calls: msgspec.Raw = _NULL
    function_call: msgspec.Raw = _NULL
    reasoning_content: msgspec.Raw = _NULL
    reasoning: msgspec.Raw = _NULL
    refusal: msgspec.Raw = _NULL

    @property
    def text(self) -> str:
        """Its text, also in parts; empty where it has none."""
        return text_in(self.content)

    @property
    def thinking(self) -> str:
        """Its thinking, where that stands beside the text."""
        return text_in(self.reasoning_content) or text_in(self.reasoning)

    @property
    def reports_calls(self) -> bool:
        """Whether the server itself reports calls in it."""
        return _is_something(self.tool_calls) or _is_something(self.function_call)


class WholeChoice(msgspec.Struct):
    """One choice of a whole reply."""

    message: SaidPart | None = None
    finish_reason: str | None = None


class WholeReply(msgspec.Struct):
    """A whole reply, as far as calls are looked for."""

    choices: list[WholeChoice] = []
    usage: Count | None = None


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _Sound(msgspec.Struct):
    function: _Function
    type: str = "function"


class _FunctionPiece(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct):
    """A piece of a call in an event."""

    index: int
    function: _FunctionPiece | None = None
    id: str | None = None


class PieceChoice(msgspec.Struct):
    """One choice of an event."""

    index: int | None = 0
    delta: SaidPart | None = None
    finish_reason: str | None = None
    message: msgspec.Raw = _NULL

    @property
    def is_odd(self) -> bool:
        """Whether a message stands in the place of the delta or beside it, or there is none."""
        return self.delta is None or (self.message is not _NULL and _start(self.message, 1) == b"{")


class Piece(msgspec.Struct):
    """An event of a streamed reply, as far as calls are looked for."""

    choices: list[PieceChoice] = []


read_whole = msgspec.json.Decoder(WholeReply).decode
read_piece = msgspec.json.Decoder(Piece).decode
_call_pieces = msgspec.json.Decoder(list[CallPiece]).decode
_sound = msgspec.json.Decoder(_Sound).decode


def _is_something(raw: msgspec.Raw) -> bool:
    return raw is not _NULL and _start(raw, 8).translate(None, b" \t\r\n") not in (b"", b"null", b"[]", b"{}", b'""', b"[", b"{")


def text_in(content: msgspec.Raw) -> str:
    """The text of a content, which may be one or parts; empty where it has none."""
    if content is _NULL or _start(content, 1) == b"n":
        return ""
    try:
        value = _value(content)
    except UNREADABLE:
        return ""
    return value if isinstance(value, str) else "".join(map(_text_of, _parts(value)))


def _parts(content: Any) -> list[Any]:
    """The parts of a content that is no text."""
    return content if isinstance(content, list) else [content] if isinstance(content, dict) else []


def _text_of(part: Any) -> str:
    """The text of a part of a content; empty for thinking, pictures and others."""
    text = part.get("text") if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text") else None
    return text if isinstance(text, str) else ""


def with_less_text(content: msgspec.Raw, text: str) -> Any:
    """Return a content with less of its text. text: its beginning. Parts without text stay."""
    if _start(content, 1) not in (b"[", b"{"):
        return text
    left, kept = len(text), list[Any]()
    for part in _parts(_value(content)):
        own = _text_of(part)
        if own[:left]:
            kept.append({**part, "text": own[:left]})
        elif not own:
            kept.append(part)
        left = max(0, left - len(own))
    return kept if text or kept else text


def _start(raw: msgspec.Raw, size: int) -> bytes:
    return bytes(memoryview(raw)[:size])


def call_pieces(said: SaidPart) -> list[CallPiece]:
    """The pieces of calls in an event; empty where they have another form than clients expect."""
    try:
        return _call_pieces(said.tool_calls)
    except UNREADABLE:
        return []


def mended_arguments(name: str, arguments: str, tools: Sequence[ToolDefinition], *, cut: bool) -> dict[str, Any] | None:
    """Mend the arguments of one call; None if they can't be. cut: whether the token limit cut them off."""
    if cut and not arguments.strip():
        return None  # the arguments had not begun
    parts = Parts()
    parts.add_call(name, arguments, None)
    found = NATIVE.read(parts.content(), tools)
    return found.calls[0].arguments if len(found.calls) == 1 and not (found.supplied and cut) else None


def offered_name(name: str, tools: Sequence[ToolDefinition]) -> str | None:
    """The offered tool that a reported name means with what is around it; None if it is one, or means none."""
    names = Names.of(tools)
    return None if name in names.schemas else names.match(name)


def with_function(body: bytes, at: int, place: int, changes: Mapping[str, str]) -> bytes:
    """Change the name or the arguments in the piece of a call. at, place: the choice's, the call's among its calls."""
    fields = _fields(body)
    calls: list[Any] = list(_list(_fields(_fields(_list(fields["choices"])[at])["delta"])["tool_calls"]))
    call: dict[str, Any] = dict(_fields(calls[place]))
    function: dict[str, Any] = dict(_keys(call.get("function", _NULL)))
    calls[place] = {**call, "function": {**function, **changes}}
    return _with(body, at, "delta", {"tool_calls": calls}, {})


def written(call: ToolCall, call_id: str) -> dict[str, Any]:
    """Write a call. call_id: the id of one that has none."""
    arguments = write_text(call.arguments)
    return {"id": call.id or call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def mended_calls(said: SaidPart, tools: Sequence[ToolDefinition], ids: str, *, cut: bool) -> tuple[list[msgspec.Raw], int]:
    """Mend the calls that a server reported, each by itself.

    Args:
        said: the message.
        tools: the tools that were offered.
        ids: the beginning of an id for a call that has none.
        cut: whether the token limit cut the reply off.

    Returns:
        The calls, and how many of them were mended. A call that is sound, or that can't be mended,
        stays as it came.
    """
    calls: list[msgspec.Raw] = []
    mended = 0
    reported = _reported(said)
    for number, raw in enumerate(reported):
        new = _mended(raw, tools, f"{ids}_{number}", cut=cut and number == len(reported) - 1)
        mended += new is not None
        calls.append(raw if new is None else new)
    if _start(said.tool_calls, 1) == b"[":
        return calls, mended
    # In another place or form than a list: mended as soon as every call is in the form of a list's.
    return (calls, len(calls)) if mended or _is_something(said.tool_calls) else ([], 0)


def _reported(said: SaidPart) -> list[msgspec.Raw]:
    """The calls as reported: a list, one call or calls by their index in its place, or the older field."""
    try:
        if not _is_something(said.tool_calls):
            return [said.function_call]
        if _start(said.tool_calls, 1) == b"[":
            return _list(said.tool_calls)
        given = _fields(said.tool_calls)
    except UNREADABLE:
        return []
    return [said.tool_calls] if "function" in given or "name" in given else list(given.values())


def _mended(raw: msgspec.Raw, tools: Sequence[ToolDefinition], call_id: str, *, cut: bool) -> msgspec.Raw | None:
    """Mend a call. Returns None if nothing is to be mended or it can't be."""
    with suppress(*UNREADABLE):
        function = _sound(raw).function
        if function.name in Names.of(tools).schemas and _arguments(function.arguments) is not None:
            return None
    try:
        given = _value(raw)
    except UNREADABLE:
        return None
    if not isinstance(given, dict) or given.get("type", "function") not in ("function", None, ""):
        return None
    parts = Parts()
    parts.add_calls({"tool_calls": [given]})
    found = NATIVE.read(parts.content(), tools)
    if len(found.calls) != 1 or (found.supplied and cut) or _is_sound(given, found.calls[0]):
        return None
    if cut and call_of(given)[1] in (None, ""):
        return None  # its arguments had not begun
    own = {key: value for key, value in given.items() if key not in _MOVED}
    new = written(found.calls[0], call_id)
    if isinstance(own.get("function"), dict):
        new["function"] = {**{key: value for key, value in own["function"].items() if key not in _MOVED}, **new["function"]}
    return msgspec.Raw(_encode({**own, **new}))


def _is_sound(given: Mapping[str, Any], call: ToolCall) -> bool:
    """Whether a call says just this, in the form that clients expect."""
    function = given.get("function")
    if not isinstance(function, Mapping) or function.get("name") != call.name or not isinstance(function.get("arguments"), str):
        return False
    try:
        return _arguments(function["arguments"]) == call.arguments
    except UNREADABLE:
        return False


def with_message(body: bytes, place: int, changes: Mapping[str, Any], *, cut: bool = False) -> bytes:
    """Change the message of a choice in a whole reply, which then ends with calls.

    place: among the choices; cut: whether it keeps the reason that it ended for.
    """
    return _with(body, place, "message", changes, {} if cut else {"finish_reason": "tool_calls"})


def finished_by_calls(body: bytes, place: int) -> bytes:
    """Return the event that ends a choice, as one that ends it with calls."""
    return _with(body, place, "delta", {}, {"finish_reason": "tool_calls"})


def with_text(body: bytes, place: int, text: str) -> bytes | None:
    """Return an event with another text in the delta of a choice; None if it says nothing then."""
    fields = _fields(body)
    choices = _list(fields["choices"])
    choice = _fields(choices[place])
    content = with_less_text(_fields(choice["delta"])["content"], text)
    if not content and len(choices) == 1 and not _is_something(fields.get("usage", _NULL)):
        more = (choice.get(key, _NULL) for key in choice if key not in ("index", "delta"))
        if _fields(choice["delta"]).keys() <= {"content"} and not any(map(_is_something, more)):
            return None
    return _with(body, place, "delta", {"content": content}, {})


def only_delta(body: bytes, index: int, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    """Return an event like this one, with one delta of one choice. Token counts are left out."""
    fields = _fields(body)
    fields.pop("usage", None)
    return _encode({**fields, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})


def _keys(raw: msgspec.Raw) -> Fields:
    """The fields of an object; none of what is no object, such as null."""
    return _fields(raw) if _start(raw, 1) == b"{" else {}


def _with(body: bytes, place: int, part: str, changes: Mapping[str, Any], choice: Mapping[str, Any]) -> bytes:
    fields = _fields(body)
    choices: list[Any] = list(_list(fields["choices"]))
    own = _fields(choices[place])
    inner = {**_keys(own.get(part, _NULL)), **changes}
    choices[place] = {**own, part: inner, **choice}
    return _encode({**fields, "choices": choices})
