"""Reads messages and tool calls in OpenAI's form."""

from __future__ import annotations

from collections import Counter
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}
_KNOWN = frozenset({"role", "content", "tool_calls", "tool_call_id", "name", "function_call"})
# Keys whose absence changes what is asked. Others, such as reasoning, are left out and counted.
_REFUSED = ("audio", "images", "image_url")


def conversation_data(items: list[Any], where: str, left_out: Counter[str] | None = None) -> list[dict[str, Any]]:
    """Convert the messages of a conversation to the form that suites have.

    Understands OpenAI's `function_call` and role `function` too, which have no ids: calls get ids,
    and results get those of the calls that they answer.

    Args:
        items: the messages.
        where: what messages of errors call the conversation.
        left_out: counts the keys of messages that were left out.
    """
    pending: list[dict[str, Any]] = []
    messages = []
    for index, item in enumerate(items):
        message = message_data(item, f"{where}: messages[{index}]", left_out)
        if message["role"] == "tool":
            _answer(message, pending)
        for number, call in enumerate(message.get("tool_calls", ()), 1):
            call.setdefault("id", f"call_{index + 1}_{number}")
            pending.append(call)
        messages.append(message)
    return messages


def _answer(message: dict[str, Any], pending: list[dict[str, Any]]) -> None:
    """Take the call that a result answers off the pending ones, by id, else by name, else in order."""
    wanted, name = message.get("tool_call_id"), message.get("name")
    found = [call for call in pending if call["id"] == wanted] if wanted is not None else pending
    if wanted is None and name is not None:
        found = [call for call in pending if call["name"] == name]
    if found:
        message["tool_call_id"] = found[0]["id"]
        pending.remove(found[0])


def message_data(item: Any, where: str, left_out: Counter[str] | None = None) -> dict[str, Any]:
    """Convert a message to the form that suites have.

    Joins text parts. Counts other keys in `left_out`. Raises SuiteError for images and audio.
    """
    if not isinstance(item, dict):
        raise SuiteError(f"{where}: is {printable(repr(item))}; write a mapping with role and content")
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise SuiteError(f"{where}: role {printable(repr(item.get('role')))} is unknown; known are {', '.join(_ROLES)}")
    refused = next((key for key in _REFUSED if item.get(key)), None)
    if refused is not None:
        raise SuiteError(f"{where}: {refused} cannot be imported, only text can; remove it")
    if left_out is not None:
        left_out.update(key for key in item if key not in _KNOWN and item[key] not in (None, "", []))
    message: dict[str, Any] = {"role": role, "content": text_of(item.get("content"), f"{where}: content")}
    calls = item.get("tool_calls") or ([item["function_call"]] if item.get("function_call") else None)
    if calls:
        if not isinstance(calls, list):
            raise SuiteError(f"{where}: tool_calls is no list; correct it")
        message["tool_calls"] = [call_data(call, f"{where}: tool_calls[{i}]") for i, call in enumerate(calls)]
        if not message["content"]:
            del message["content"]
    if role == "tool":
        for key in ("tool_call_id", "name"):
            if item.get(key) is not None:
                message[key] = item[key]
    return message


def text_of(content: Any, where: str) -> str:
    """The text of a message's content, which is text, a list of text parts, or null."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise SuiteError(f"{where}: is {printable(repr(content))}; write text, or a list of parts of type text")
    return "\n".join(_text_of_part(part, where) for part in content)


def _text_of_part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else part
    if kind not in ("text", "input_text", "output_text") or not isinstance(part, dict) or not isinstance(part.get("text"), str):
        raise SuiteError(f"{where}: a part of type {printable(repr(kind))}; only text can be imported")
    return str(part["text"])


def call_data(item: Any, where: str) -> dict[str, Any]:
    """Convert a call to the form that suites have, with its id if it has one.

    Accepts `{name, arguments}` and OpenAI's `{function: {name, arguments}}`, with the arguments as
    an object or as its JSON text.
    """
    inner = item.get("function", item) if isinstance(item, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise SuiteError(f"{where}: is {printable(repr(item))}; write {{name, arguments}} or {{function: {{name, arguments}}}}")
    given = inner.get("arguments", {})
    if isinstance(given, str):
        given = data_of(given, f"{where}: arguments", as_json=True) if given.strip() else {}
    if not isinstance(given, dict):
        raise SuiteError(f"{where}: arguments is {printable(repr(given))}; write an object, or its JSON text")
    call = {"name": inner["name"], "arguments": given}
    return {"id": item["id"], **call} if isinstance(item.get("id"), str) else call


def exactly(call: dict[str, Any]) -> dict[str, Any]:
    """Expect exactly this call: each argument has one accepted value."""
    return {"name": call["name"], "arguments": {name: [value] for name, value in call["arguments"].items()}}
