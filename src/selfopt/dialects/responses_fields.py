"""Translates a request of OpenAI's Responses API into the fields of chat completions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from .carrying import TABLES
from .clients import NoWordsError, PassReason
from .responses_items import no_words, translating

KEPT_TOOLS_BYTES = 65_536
MAX_SMALL_BYTES = 1_000_000
"""A field that is decoded has so many bytes at most."""
SAME = frozenset(
    [
        "model",
        "stream",
        "temperature",
        "top_p",
        "parallel_tool_calls",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
    ]
)
"""Fields that both APIs have under one name."""

MOVED: Mapping[str, str] = {
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
}
"""What a client calls the fields that have another name there. The names of chats come first."""

OF_CHATS = frozenset(TABLES["ollama"].goes) - {"max_tokens", "max_completion_tokens", "reasoning", "response_format", "options"}
"""Fields that servers of chats know beyond OpenAI's. Clients send them as they do with a chat."""

ANSWERED = frozenset({"metadata", "store", "stream_options"})
"""Fields that the gateway deals with itself."""

_INCLUDED_IF_ANY = frozenset(
    [
        "reasoning.encrypted_content",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    ]
)
"""More of items that an answer may hold. Those of chats never have it, and nothing is missing."""

_NULL = msgspec.Raw(b"null")
_NO_CHANGE = (b"null", b"false", b"[]", b"{}")
Odd = tuple[PassReason, str, str]
"""What `no_words` takes. Errors themselves are never kept: each holds the frames that it went through."""


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    format: msgspec.Raw = _NULL
    verbosity: msgspec.Raw = _NULL


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    name: msgspec.Raw = _NULL
    schema: msgspec.Raw = _NULL
    strict: msgspec.Raw = _NULL
    description: msgspec.Raw = _NULL


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    effort: msgspec.Raw = _NULL
    summary: str | None = None
    generate_summary: str | None = None


class _Function(msgspec.Struct, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Named(msgspec.Struct):
    type: str
    name: str = ""


class _Choice(msgspec.Struct):
    type: str
    name: str = ""
    mode: str = "auto"
    tools: list[_Named] = []


_decode_text = msgspec.json.Decoder(_Text | None).decode
_decode_format = msgspec.json.Decoder(_Format | None).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning | None).decode
_decode_choice = msgspec.json.Decoder(_Choice | str | None).decode
_decode_function = msgspec.json.Decoder(_Function).decode
_decode_names = msgspec.json.Decoder(list[str] | None).decode
_decode_number = msgspec.json.Decoder(int | float | None).decode
_decode_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None).decode
_encode = msgspec.json.Encoder().encode
Fields = dict[str, msgspec.Raw]
Convert = Callable[[msgspec.Raw, Fields], None]
"""Writes a field of a client into those of a chat. Raises NoWordsError, or DecodeError."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in the words of chat completions.

    Attributes:
        fields: as far as there are words.
        odd: the first field that there are none for; None if there are for all.
    """

    fields: Fields
    odd: NoWordsError | None


def translating_fields(given: Mapping[str, msgspec.Raw]) -> Generator[None, None, Translated]:
    """Translate a request whose `input` and `tools` were seen to be lists of objects, or a text.

    No field is lost: each has a place in a chat, is answered by the gateway, says nothing, or is named in `odd`.
    """
    messages = yield from translating(given.get("input", _NULL), given.get("instructions"))
    found: Fields = {"messages": messages.written()}
    odd = messages.odd
    for key, raw in given.items():
        if raw == _NULL or key in ("input", "instructions") or key in ANSWERED:
            continue
        if key in SAME:
            found[key] = raw
            continue
        try:
            _translate(key, raw, found)
        except NoWordsError as error:
            odd = odd or error
    return Translated(found, odd)


def _translate(key: str, raw: msgspec.Raw, found: Fields) -> None:
    convert = _CONVERSIONS.get(key)
    if convert is None:
        if key not in OF_CHATS:
            raise no_words("fields", key[:80], "chats have no such field")
        found[key] = raw
        return
    if len(raw) > MAX_SMALL_BYTES:
        raise no_words("size", key, f"{len(raw)} bytes, at most {MAX_SMALL_BYTES} can be translated")
    try:
        convert(raw, found)
    except (msgspec.DecodeError, RecursionError) as error:
        raise no_words("fields", key, str(error)) from None


def _tools(raw: msgspec.Raw, found: Fields) -> None:
    found["tools"] = raw  # whatever becomes of them, they are offered
    text = bytes(raw)
    written, odd = _known_tools(text) if len(text) <= KEPT_TOOLS_BYTES else _read_tools(text)
    found["tools"] = msgspec.Raw(written)
    if odd is not None:
        raise no_words(*odd)


def _read_tools(text: bytes) -> tuple[bytes, Odd | None]:
    """The tools as chats offer them. What is no function stays as it came, so that it still counts as a tool."""
    odd: Odd | None = None
    written: list[Any] = []
    for place, entry in enumerate(_decode_tools(text) or ()):
        found = _function(entry, place)
        if isinstance(found, tuple):
            odd = odd or found
            written.append(entry)
        else:
            written.append(found)
    return _encode(written), odd


_known_tools = lru_cache(maxsize=64)(_read_tools)


def _function(entry: Fields, place: int) -> dict[str, Any] | Odd:
    kind = bytes(entry.get("type", _NULL))
    if kind != b'"function"':
        return (
            "tools",
            f"tools[{place}].type",
            f"only functions can be called there, not {kind[:80].decode('utf-8', 'replace')}",
        )
    if "function" in entry:  # as a chat offers it
        return dict(entry)
    try:
        function = _decode_function(_encode({key: raw for key, raw in entry.items() if key in _Function.__struct_fields__}))
    except msgspec.DecodeError as error:
        return ("tools", f"tools[{place}]", str(error))
    for key, value in entry.items():
        if key != "type" and key not in _Function.__struct_fields__ and bytes(value) not in _NO_CHANGE:
            return ("tools", f"tools[{place}].{key[:80]}", "functions of chats have no such field")
    return {"type": "function", "function": function}


def _tool_choice(raw: msgspec.Raw, found: Fields) -> None:
    choice = _decode_choice(raw)
    if isinstance(choice, str):
        found["tool_choice"] = raw
    elif choice is not None and choice.type == "function" and choice.name:
        found["tool_choice"] = _written(_called(choice.name))
    elif choice is not None and choice.type == "allowed_tools":
        odd = next((number for number, tool in enumerate(choice.tools) if tool.type != "function" or not tool.name), None)
        if odd is not None:
            raise no_words("tool_choice", f"tool_choice.tools[{odd}].type", "only functions can be called there")
        tools = [_called(tool.name) for tool in choice.tools]
        found["tool_choice"] = _written({"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}})
    elif choice is not None:
        raise no_words("tool_choice", "tool_choice.type", "chats can demand functions only")


def _called(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _written(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _text(raw: msgspec.Raw, found: Fields) -> None:
    told = _decode_text(raw) or _Text()
    if told.verbosity != _NULL:
        found["verbosity"] = told.verbosity
    form = _decode_format(told.format)
    if form is None or form.type == "text":
        return
    if form.type == "json_object":
        found["response_format"] = msgspec.Raw(b'{"type":"json_object"}')
        return
    parts = {name: getattr(form, name) for name in ("name", "description", "schema", "strict")}
    schema = {name: value for name, value in parts.items() if value != _NULL}
    found["response_format"] = _written({"type": "json_schema", "json_schema": schema})


def _reasoning(raw: msgspec.Raw, found: Fields) -> None:
    told = _decode_reasoning(raw) or _Reasoning()
    if told.effort != _NULL:
        found["reasoning_effort"] = told.effort
    for key in ("summary", "generate_summary"):
        # `auto` wants the best that there is, and here that is the thinking itself.
        if getattr(told, key) not in (None, "auto"):
            raise no_words("fields", f"reasoning.{key}", "servers of chats write no summaries: say auto, or leave it out")


def _include(raw: msgspec.Raw, found: Fields) -> None:
    for number, name in enumerate(_decode_names(raw) or ()):
        if name == "message.output_text.logprobs":
            found["logprobs"] = msgspec.Raw(b"true")
        elif name not in _INCLUDED_IF_ANY:
            raise no_words("fields", f"include[{number}]", f"no answer of a chat has {name[:80]!r}")


def _top_logprobs(raw: msgspec.Raw, found: Fields) -> None:
    if _decode_number(raw):
        found |= {"logprobs": msgspec.Raw(b"true"), "top_logprobs": raw}


def _limit(raw: msgspec.Raw, found: Fields) -> None:
    found["max_tokens"] = raw


def _only(key: str, value: bytes, why: str) -> Convert:
    """A field that says nothing with this value, and has no place with another."""

    def check(raw: msgspec.Raw, found: Fields) -> None:
        if bytes(raw) != value:
            raise no_words("fields", key, why)

    return check


def _kept_elsewhere(key: str) -> Convert:
    def refuse(raw: msgspec.Raw, found: Fields) -> None:
        raise no_words("history", key, "what it names is not kept here: send the whole conversation as input")

    return refuse


_CONVERSIONS: Mapping[str, Convert] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "text": _text,
    "reasoning": _reasoning,
    "include": _include,
    "top_logprobs": _top_logprobs,
    "truncation": _only("truncation", b'"disabled"', "servers of chats shorten nothing: say disabled, or leave it out"),
    "background": _only("background", b"false", "nothing is answered later"),
    "max_output_tokens": _limit,
    **{key: _kept_elsewhere(key) for key in ("previous_response_id", "conversation", "prompt")},
}
FIELDS = frozenset({"input", "instructions", "max_tool_calls", *SAME, *ANSWERED, *_CONVERSIONS})
"""The fields of the Responses API that are looked at."""
