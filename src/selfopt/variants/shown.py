"""How a variant shows the model a conversation: what tools returned, and what follows a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Message

from .options import VariantOptions

AFTER_RESULT = "Answer me from the results. Call a tool only for something else that I asked for and that is still missing."
"""What the model is told behind a tool's result. It is no instruction of the user's, and backs nothing."""

_LARGEST = 200_000  # characters of a result that is written otherwise
_DEEPEST = 6  # levels of a result that become lines; what is deeper stays JSON
_MOST_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was told, and what the model is shown of it."""

    told: Sequence[Message]
    shown: Sequence[Message]


def as_shown(messages: Sequence[Message], options: VariantOptions, *, required: bool = False) -> Sequence[Message]:
    """The conversation that a variant shows. The same object where it shows all of it as it is.

    required: whether the caller demands a call.
    """
    shown: Sequence[Message] = messages
    if options.results != "whole" and any(message.role == "tool" for message in messages):
        shown = tuple(_with_result(message, options) if message.role == "tool" else message for message in messages)
    if options.after_result == "answer" and not required and messages and messages[-1].role == "tool":
        shown = (*shown, Message(role="user", content=AFTER_RESULT))
    # A list stays one: what is rendered from it is not remembered.
    return list(shown) if isinstance(messages, list) and shown is not messages else shown


def latest(messages: Sequence[Message]) -> Sequence[Message]:
    """The system's messages and those from the user's last request on. What a variant itself told the
    model behind a result is no request.
    """
    behind = len(messages) > 1 and messages[-1].content == AFTER_RESULT and messages[-2].role == "tool"
    asked = [place for place, message in enumerate(messages[: -1 if behind else None]) if message.role == "user"]
    first = asked[-1] if asked else 0
    return [message for place, message in enumerate(messages) if place >= first or message.role == "system"]


def _with_result(message: Message, options: VariantOptions) -> Message:
    text = result_lines(message.content) if options.results == "lines" else filled_fields(message.content)
    return message if text == message.content else message.model_copy(update={"content": text})


def result_lines(content: str) -> str:
    """A result that is a JSON object or list as lines such as `guest: Ines` and `stops.2.city: Graz`.

    Text of any other kind stays as it is, and so does what would become too many lines.
    """
    value = _structure(content)
    if value is None:
        return content
    lines = list(_lines(value))
    return "\n".join(lines) if len(lines) <= _MOST_LINES else content


def filled_fields(content: str) -> str:
    """A result that is a JSON object or list without the fields that hold nothing: null, and empty
    texts, lists and objects. 0 and false are values. Text of any other kind stays as it is.
    """
    value = _structure(content)
    left = _filled(value, _DEEPEST) if value is not None else None
    return content if left == value else json.dumps(left, ensure_ascii=False)


def _structure(content: str) -> Any:
    """The object or list that a text is; None for any other text."""
    if len(content) > _LARGEST or content.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value or None


def _lines(value: Any, where: str = "", deep: int = _DEEPEST) -> Iterator[str]:
    if deep and isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _lines(inner, f"{where}.{_plain(key)}" if where else _plain(key), deep - 1)
    elif deep and isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for place, inner in enumerate(value, 1):
            yield from _lines(inner, f"{where}.{place}" if where else str(place), deep - 1)
    else:
        yield f"{where}: {_told(value)}" if where else _told(value)


def _told(value: Any) -> str:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return ", ".join(map(_plain, value))
    return json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """A text in one line: one that has several is written as JSON, so that it can't pass for other fields."""
    return text if text and text.isprintable() else json.dumps(text, ensure_ascii=False)


def _filled(value: Any, deep: int) -> Any:
    if deep and isinstance(value, Mapping):
        return {key: _filled(inner, deep - 1) for key, inner in value.items() if inner not in (None, "", [], {})}
    if deep and isinstance(value, list):
        return [_filled(inner, deep - 1) for inner in value]
    return value
