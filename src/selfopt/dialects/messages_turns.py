"""Translates the turns of Anthropic's Messages into messages of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import msgspec

from .chat_body import STEP_BYTES
from .client_messages import MAX_ARGUMENTS, MAX_PARTS
from .clients import NoWordsError
from .jsontext import as_dict, as_list
from .messages_fields import NAME, Fields

ERROR_MARK = "Error: "
"""Stands before the result of a tool that failed, where the server has no word for that."""
LEAST_BYTES = 512
_NULL = msgspec.Raw(b"null")
_TEXT, _LIST = b'"', b"["


class _Turn(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: msgspec.Raw = _NULL


class _Head(msgspec.Struct, gc=False):
    type: str = ""


_decode_turns = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_turn = msgspec.json.Decoder(_Turn).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_block = msgspec.json.Decoder(dict[str, Any]).decode
_decode_blocks = msgspec.json.Decoder(list[dict[str, Any]]).decode
_encode = msgspec.json.Encoder().encode


def translating(own: Fields, server: str) -> Generator[None, None, msgspec.Raw]:
    """The messages for a server of this dialect, in steps. Raises NoWordsError."""
    messages: list[Any] = []
    system = own.get("system", _NULL)
    if system != _NULL:
        blocks = yield from _reading_blocks(system, "system")
        for block in blocks:
            _whole(block, "system")
        texts = [_text_of(block, "system") for block in blocks]
        messages.append({"role": "system", "content": "\n\n".join(texts), **_cached(blocks, server)})
    read = 0
    for place, raw in enumerate(_decode_turns(own["messages"])):
        messages += yield from _translating(raw, f"messages[{place}]", server)
        read += max(len(raw), LEAST_BYTES)
        if read > STEP_BYTES:
            read = 0
            yield
    return msgspec.Raw(_encode(messages))


def _translating(raw: msgspec.Raw, where: str, server: str) -> Generator[None, None, Iterable[Any]]:
    try:
        turn = _decode_turn(raw)
    except msgspec.DecodeError as error:
        raise NoWordsError("history", f"{where}: {error}", "messages") from None
    if turn.role not in ("user", "assistant"):
        raise NoWordsError("role", f"{where}: the role {turn.role[:40]!r} is not known", "messages")
    if bytes(memoryview(turn.content)[:1]) == _TEXT:
        return (raw,)  # a text is the same in both dialects
    blocks = yield from _reading_blocks(turn.content, where)
    return _said(blocks, where, server) if turn.role == "assistant" else _asked(blocks, where, server)


def _reading_blocks(raw: msgspec.Raw, where: str) -> Generator[None, None, list[dict[str, Any]]]:
    """The blocks of a turn. Those of a large one are read in steps of their own."""
    first = bytes(memoryview(raw)[:1])
    try:
        if first == _TEXT:
            return [{"type": "text", "text": msgspec.json.decode(raw)}]
        if first == _LIST and len(raw) <= STEP_BYTES // 4:
            return _decode_blocks(raw)
        if first == _LIST:
            return (yield from _reading_large(raw, where))
    except (msgspec.DecodeError, RecursionError) as error:
        raise NoWordsError("content", f"{where}: {error}", _field(where)) from None
    raise NoWordsError("content", f"{where} must be a text or a list of blocks", _field(where))


# What a block may hold beside what is read of it; all else has to be nothing.
_WORDS = "type text source tool_use_id content is_error id name input thinking signature data cache_control caller"
_KNOWN = frozenset(_WORDS.split())
_EMPTY = frozenset({"citations", "toolset_name", "transformations"})
"""What answers hold though it says nothing, so that clients send it back."""


def _whole(block: dict[str, Any], where: str) -> None:
    """Raise NoWordsError for a block with a key that would be lost."""
    for key in block.keys() - _KNOWN:
        if key not in _EMPTY or block[key]:
            raise NoWordsError("content", f"{where}: no {key[:60]!r} can be sent there in a block", _field(where))


def _reading_large(raw: msgspec.Raw, where: str) -> Generator[None, None, list[dict[str, Any]]]:
    listed = _decode_turns(raw)
    if len(listed) > MAX_PARTS:
        raise NoWordsError("size", f"{where}: more than {MAX_PARTS} blocks", _field(where))
    blocks: list[dict[str, Any]] = []
    read = 0
    for one in listed:
        if len(one) > MAX_ARGUMENTS and _decode_head(one).type not in ("text", "image"):  # those two are one long text
            raise NoWordsError("size", f"{where}: a block of more than {MAX_ARGUMENTS} bytes", _field(where))
        read += max(len(one), LEAST_BYTES)
        if read > STEP_BYTES:
            read = 0
            yield
        blocks.append(_decode_block(one))
    return blocks


def _field(where: str) -> str:
    """The field of the request that a place is in."""
    return where.partition("[")[0]


def _odd(block: dict[str, Any], where: str) -> NoWordsError:
    return NoWordsError("content", f"{where}: no block of type {str(block.get('type'))[:60]!r} can be sent there", _field(where))


def _text_of(block: dict[str, Any], where: str) -> str:
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str):
        raise _odd(block, where)
    return text


def _cached(blocks: list[dict[str, Any]], server: str) -> dict[str, Any]:
    """The last wish to keep what was read so far. Other servers keep it by themselves."""
    if server != NAME:
        return {}
    marks = [block["cache_control"] for block in blocks if block.get("cache_control") is not None]
    return {"cache_control": marks[-1]} if marks else {}


def _asked(blocks: list[dict[str, Any]], where: str, server: str) -> list[dict[str, Any]]:
    """A turn of the user: results of tools are messages of their own, in the order of the blocks."""
    messages: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("type") != "tool_result":
            said.append(block)
            continue
        if said:
            messages.append(_user(said, where, server))
            said = []
        messages.append(_result(block, where, server))
    if said or not messages:
        messages.append(_user(said, where, server))
    return messages


def _user(blocks: list[dict[str, Any]], where: str, server: str) -> dict[str, Any]:
    return {"role": "user", "content": _content(blocks, where), **_cached(blocks, server)}


def _content(blocks: list[dict[str, Any]], where: str) -> Any:
    """Texts as one text; with pictures among them, a list of parts."""
    for block in blocks:
        _whole(block, where)
    if all(block.get("type") == "text" for block in blocks):
        return "\n".join(_text_of(block, where) for block in blocks)
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("type") == "image":
            parts.append({"type": "image_url", "image_url": {"url": _picture(block, where)}})
        else:
            parts.append({"type": "text", "text": _text_of(block, where)})
    return parts


def _picture(block: dict[str, Any], where: str) -> str:
    source = as_dict(block.get("source"))
    kind, media, data, url = (source.get(key) for key in ("type", "media_type", "data", "url"))
    if kind == "base64" and isinstance(media, str) and isinstance(data, str):
        return f"data:{media};base64,{data}"
    if kind == "url" and isinstance(url, str):
        return url
    raise NoWordsError("content", f"{where}: a picture must be base64 or a url there", _field(where))


def _result(block: dict[str, Any], where: str, server: str) -> dict[str, Any]:
    _whole(block, where)
    content = block.get("content")
    if isinstance(content, list):
        content = _content([as_dict(inner) for inner in as_list(content)], where)
    elif content is not None and not isinstance(content, str):
        raise NoWordsError("content", f"{where}: the content of a tool_result must be a text or a list of blocks", _field(where))
    message = {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": content or "", **_cached([block], server)}
    if block.get("is_error") is not True:
        return message
    if server == NAME:
        return {**message, "is_error": True}
    told = message["content"]
    parts = [{"type": "text", "text": ERROR_MARK.strip()}, *told] if isinstance(told, list) else f"{ERROR_MARK}{told}"
    return {**message, "content": parts}


def _said(blocks: list[dict[str, Any]], where: str, server: str) -> list[dict[str, Any]]:
    """A turn of the model."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[dict[str, Any]] = []
    for block in blocks:
        _whole(block, where)
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(_call(block, where))
        elif kind in ("thinking", "redacted_thinking"):
            thoughts.append(block)
        else:
            texts.append(_text_of(block, where))
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts), **_cached(blocks, server)}
    if calls:
        message["tool_calls"] = calls
    if thoughts and server == NAME:
        message["thinking_blocks"] = thoughts
    elif thoughts:
        # What only its maker can read is no use to another model.
        thought = "\n".join(text for block in thoughts if isinstance(text := block.get("thinking"), str) and text)
        message |= {"reasoning_content": thought} if thought else {}
    return [message]


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    name, given = block.get("name"), block.get("input", {})
    if not isinstance(name, str) or not isinstance(given, dict):
        raise NoWordsError("history", f"{where}: a tool_use needs a name and an object as its input", _field(where))
    function = {"name": name, "arguments": _encode(given).decode()}
    return {"id": block.get("id"), "type": "function", "function": function}
