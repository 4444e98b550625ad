"""Reads what a writer answered. Its reply is hostile: bounded here, and believed in nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.records import DropReason, ToolCall

from .drafts import Draft

MAX_REPLY = 200_000
MAX_ITEMS = 40
MAX_TEXT, MIN_TEXT = 600, 4
_MARKS = ("```", "<tool", "</", "<|", "[tool", "{", "function_call", "tool_call")


def tool_drafts(reply: str, tool: str) -> tuple[list[Draft], Counter[DropReason]]:
    """The drafts in a reply about one tool, and how much of it is none."""
    body, dropped = _object_in(reply), Counter[DropReason]()
    if body is None:
        return [], Counter({"unreadable": 1})
    drafts: list[Draft] = []
    for item in _items(body, "requests"):
        arguments = item.get("arguments") if isinstance(item, dict) else None
        if not isinstance(arguments, dict):
            dropped["unreadable"] += 1
            continue
        call = ToolCall(name=tool, arguments=arguments)
        drafts += [Draft("direct", text, (call,), tool) for text in _texts(item, "texts", dropped)]
    drafts += [Draft("near miss", text, (), tool) for text in _texts(body, "near_misses", dropped)]
    drafts += [Draft("needed detail missing", text, (), tool) for text in _texts(body, "missing_detail", dropped)]
    if not drafts and not dropped:
        dropped["unreadable"] += 1
    return drafts, dropped


def pair_drafts(reply: str) -> tuple[list[Draft], Counter[DropReason]]:
    """The drafts in a reply about two things at once, and how much of it is none."""
    body, dropped = _object_in(reply), Counter[DropReason]()
    if body is None:
        return [], Counter({"unreadable": 1})
    drafts: list[Draft] = []
    for item in _items(body, "pairs"):
        calls = _calls(item.get("calls")) if isinstance(item, dict) else None
        if calls is None:
            dropped["unreadable"] += 1
            continue
        for text in _texts({"text": [item.get("text")]}, "text", dropped):
            drafts.append(Draft("two at once", text, calls, calls[0].name))
    return drafts, dropped


def _object_in(reply: str) -> dict[str, Any] | None:
    """The JSON object from the first brace to the last one. None if there is none, or if it is too large."""
    start, end = reply.find("{"), reply.rfind("}")
    if start < 0 or end < start or len(reply) > MAX_REPLY:
        return None
    try:
        body = read_plain_json(reply[start : end + 1])
    except PlainJsonError:
        return None
    return body if isinstance(body, dict) else None


def _items(body: dict[str, Any], key: str) -> Iterator[Any]:
    found = body.get(key)
    return islice(found if isinstance(found, list) else (), MAX_ITEMS)


def _texts(body: dict[str, Any], key: str, dropped: Counter[DropReason]) -> Iterator[str]:
    """The usable texts of a list. Counts the others."""
    for text in _items(body, key):
        clean = " ".join(text.split()) if isinstance(text, str) else ""
        if not MIN_TEXT <= len(clean) <= MAX_TEXT or not clean.isprintable() or not any(map(str.isalpha, clean)):
            dropped["bad_text"] += 1
        elif any(mark in clean.casefold() for mark in _MARKS):
            dropped["markup"] += 1
        else:
            yield clean


def _calls(found: Any) -> tuple[ToolCall, ...] | None:
    """Exactly two calls. None if it is something else."""
    if not isinstance(found, list) or len(found) != 2:
        return None
    pairs = [(one.get("name"), one.get("arguments")) for one in found if isinstance(one, dict)]
    if len(pairs) != 2 or not all(isinstance(name, str) and isinstance(given, dict) for name, given in pairs):
        return None
    return tuple(ToolCall(name=str(name), arguments=dict(given or {})) for name, given in pairs)
