"""Reads calls as MiniMax M2 writes them without its template: `{tool => "name", args => {--key "value"}}`."""

from __future__ import annotations

import re
from typing import Any

from selfopt.records import ToolCall

from .scan import Body, Scan

_HEAD = re.compile(r"\{\s*+tool\s*+=>\s*+[\"']([^\"'\n]{1,256}+)[\"']\s*+,?\s*+args\s*+=>\s*+\{\s*+")
_KEY = re.compile(r"--([\w\-]{1,128}+)[ \t=]++")
_BARE = re.compile(r"[^\n{}]*?(?=\s--\w|\n|\}|\Z)")
_END = re.compile(r"\s*+\}\s*+\}?+")
_LIMIT = 256  # arguments of one call


def arrows_at(scan: Scan, at: int) -> Body | None:
    """The call here; None if there is none."""
    head = _HEAD.match(scan.text, at) if scan.text.startswith("{", at) else None
    if head is None:
        return None
    name = scan.names.match(head.group(1)) or head.group(1)
    arguments: dict[str, Any] = {}
    at = head.end()
    while (key := _KEY.match(scan.text, at)) is not None and len(arguments) < _LIMIT:
        value: Any
        found = scan.value(key.end()) if scan.text[key.end() : key.end() + 1] in ('"', "'", "{", "[") else None
        if found is not None:
            value, at = found
        else:
            bare = _BARE.match(scan.text, key.end())
            at = bare.end() if bare is not None else key.end()
            value = scan.typed(name, key.group(1), scan.text[key.end() : at].strip())
        arguments[key.group(1)] = value
        at = scan.skip(at)
        at += scan.text.startswith(",", at)
        at = scan.skip(at)
    end = _END.match(scan.text, at)
    if end is None:
        return None
    return Body((ToolCall(name=name, arguments=arguments),), end.end())
