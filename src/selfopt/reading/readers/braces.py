"""Reads calls as Gemma writes them: `call:name{key:<escape>text<escape>,other:5}`."""

from __future__ import annotations

import re
from typing import Any

from selfopt.records import ToolCall

from .base import DEPTH_LIMIT
from .marks import Mark
from .scan import Body, Scan

QUOTES = ("<escape>", '<|"|>')
_HEAD = re.compile(r"(?:call:\s*+)?((?:[\w.\-/]{1,64}+:){0,4}+[\w.\-/]{1,128}+)\s*+([{(])")
_KEY = re.compile(r"""\s*+(?:<escape>|<\|"\|>|["'])?([^:{}\[\]"'<>,=\s]{1,128}+)(?:<escape>|<\|"\|>|["'])?\s*+[:=]\s*+""")
_AFTER = re.compile(r"\s*+[,}\])]|\s*+(?:<end_function_call>|<tool_call\|>)|\s*+\Z")
_BARE = re.compile(r"(?:[^{}\[\]()<,]++|,(?!\s*+[\w.\-]{1,64}+\s*+:)|<(?!end_function_call>|tool_call\|>)|[()\[\]](?![,}]|\Z))*+")
_BARE_KEYWORD = re.compile(
    r"(?:[^{}\[\]()<,]++|,(?!\s*+[\w.\-]{1,64}+\s*+[:=])|<(?!end_function_call>|tool_call\|>)|[(\[\]](?![,}]|\Z))*+"
)
_BARE_ITEM = re.compile(r"[^{}\[\]<,]*+")
_NUMBER = re.compile(r"-?[0-9]{1,300}+(?:\.[0-9]{1,300}+)?+(?:[eE][+\-]?[0-9]{1,4}+)?+")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_SPACES = re.compile(r"\s*+")


class _WrongError(Exception):
    """There are no such braces here."""


def braces(scan: Scan, at: int, mark: Mark) -> Body | None:
    """The call here; None if there is none."""
    head = _HEAD.match(scan.text, at)
    if head is None or (mark.piece != "call:" and not head.group().startswith("call:") and not _is_quoted(scan, head.end())):
        return None
    written = head.group(1)
    name = scan.names.match(written) or scan.names.match(written.rpartition(":")[2])
    if name is None and (not mark.special or head.group(2) == "("):
        return None
    reader = _Braces(scan, name or "", stripped=mark.word or mark.behind, keywords=head.group(2) == "(")
    try:
        arguments, end = reader.pairs(head.end(), DEPTH_LIMIT, "}" if head.group(2) == "{" else ")")
    except _WrongError:
        scan.effort.spend(reader.furthest - at)
        return None
    call = ToolCall(name=name or written.rpartition(":")[2], arguments=arguments)
    return Body((call,), end, "braces", named=True, cut=reader.cut)


def _is_quoted(scan: Scan, at: int) -> bool:
    key = _KEY.match(scan.text, at)
    return key is not None and scan.text.startswith(QUOTES, key.end())


class _Braces:
    def __init__(self, scan: Scan, name: str, *, stripped: bool, keywords: bool) -> None:
        self._value_ends = _BARE_KEYWORD if keywords else _BARE
        self._scan, self._text, self._name, self._stripped = scan, scan.text, name, stripped
        self.furthest = 0
        self.cut = False

    def pairs(self, at: int, depth: int, closer: str, top: bool = True) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while True:
            at = self._skip(at)
            if self._ends(at, closer):
                return found, min(at + self._text.startswith(closer, at), len(self._text))
            if found and self._text.startswith(",", at):
                at = self._skip(at + 1)
                continue
            key = _KEY.match(self._text, at)
            if key is None:
                raise _WrongError
            found[key.group(1)], at = self._value(key.end(), depth, key.group(1) if top else "")

    def _ends(self, at: int, closer: str) -> bool:
        if self._text.startswith(closer, at):
            return True
        if at >= len(self._text):
            self.cut = True
            return True
        return self._text.startswith(("<end_function_call>", "<tool_call|>"), at)

    def _skip(self, at: int) -> int:
        self.furthest = max(self.furthest, at)
        return _SPACES.match(self._text, at).end()  # type: ignore[union-attr]  # it matches nothing, too

    def _value(self, at: int, depth: int, key: str) -> tuple[Any, int]:
        if depth <= 0:
            raise _WrongError
        text = self._text
        for quote in QUOTES:
            if text.startswith(quote, at):
                return self._quoted(at + len(quote), quote)
        if text.startswith("{", at):
            return self.pairs(at + 1, depth - 1, "}", top=False)
        if text.startswith("[", at):
            return self._items(at + 1, depth - 1)
        if text.startswith(('"', "'"), at):
            found = self._scan.value(at)
            if found is not None:
                return found
        return self._bare(at, key)

    def _quoted(self, at: int, quote: str) -> tuple[str, int]:
        start = at
        while True:
            end = self._text.find(quote, at)
            if end < 0:
                raise _WrongError
            at = end + len(quote)
            if _AFTER.match(self._text, at):
                return self._text[start:end], at
            self.furthest = max(self.furthest, at)

    def _items(self, at: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            at = self._skip(at)
            if self._ends(at, "]"):
                return items, min(at + self._text.startswith("]", at), len(self._text))
            if self._text.startswith(",", at):
                at += 1
                continue
            item, after = self._value(at, depth, "[")
            if after == at:
                raise _WrongError
            items.append(item)
            at = after

    def _bare(self, at: int, key: str) -> tuple[Any, int]:
        pattern = _BARE_ITEM if key == "[" else self._value_ends
        end = pattern.match(self._text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        raw = self._text[at:end].strip()
        if end >= len(self._text):
            if raw and any(quote.startswith(raw) for quote in QUOTES):
                raise _WrongError  # the mark before a text is cut off
            self.cut = True
        if self._stripped and key not in ("", "["):
            return self._scan.typed(self._name, key, raw), end
        if raw in _WORDS:
            return _WORDS[raw], end
        if _NUMBER.fullmatch(raw):
            return (int(raw) if raw.lstrip("-").isdigit() else float(raw)), end
        return raw, end
