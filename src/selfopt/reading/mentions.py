"""Tells the mention of a tool from a call that could not be read."""

from __future__ import annotations

import re
from bisect import bisect_right

from .readers.names import Names

_LINE = 400  # characters of a line that are looked at on either side
_FENCE = re.compile(r"^[ \t]{0,8}+(?:```+|~~~+)[ \t]*+([^\s`]{0,32}+)", re.M)
# Code in other languages is an answer.
_MAY_CALL = frozenset(
    {
        "",
        "json",
        "json5",
        "python",
        "py",
        "tool_code",
        "tool_call",
        "tool_calls",
        "tool",
        "xml",
        "text",
        "plaintext",
        "function_call",
    }
)
_WORD = re.compile(r"\w")
_FIRST = re.compile(r"[^\w\n]*+(\w)")
_STATED = (":", "：", "=", ">", "(")
_VALUE = re.compile(r"[\"'0-9]")
_LISTED = re.compile(r"[\"']?\s{0,8}(?:/>|>\s{0,8}<description)|</\w{1,32}>\s{0,8}<description")
_CHILD = re.compile(r"[^<>]{0,200}>\s{0,8}(?:<([\w.\-]{1,64})|(\{)|\Z)|[^<>]{0,200}\Z")


class Mentions:
    """Tells where a text only mentions tools: in sentences, signatures, documents and programs."""

    def __init__(self, text: str, names: Names) -> None:
        self._text, self._names = text, names
        fences = [(one.end(), one.group(1).lower()) for one in _FENCE.finditer(text)]
        self._places = [place for place, _ in fences]
        self._languages = [language for _, language in fences]

    def has(self, found: re.Match[str]) -> bool:
        """Whether a name with an opening behind it is a mention. `found` is as `signs` looks for it."""
        index = bisect_right(self._places, found.start())
        if index % 2 and self._languages[index - 1] not in _MAY_CALL:
            return True
        name = found.group(found.lastgroup or 0)
        if found.lastgroup in ("tag", "element", "label"):
            return self._is_element(found, name)
        text = self._text
        before = text[max(0, found.start() - _LINE) : found.start()].rpartition("\n")[2]
        begin = found.end()
        line = text[begin : begin + _LINE].partition("\n")[0]
        if not found.group().endswith("("):
            return _WORD.search(before) is not None and found.group().endswith("{") and ":" in found.group()
        close = line.rfind(")")
        if close < 0 and begin + len(line) >= len(text):
            return False  # it is cut off
        inner, after = (line[:close], line[close + 1 :]) if close >= 0 else (line, "")
        if inner.strip() and not _VALUE.search(inner):
            return True  # a signature
        first = _FIRST.match(after)
        if (first is not None and not first.group(1).isupper()) or before.lstrip().startswith(("#", "//")):
            return True
        return _WORD.search(before) is not None and not before.rstrip().endswith(_STATED)

    def _is_element(self, found: re.Match[str], name: str) -> bool:
        if _LISTED.match(self._text, found.end()):
            return True
        if found.group() != f"<{name}" or not name.isalpha():
            return False
        # An element of any document, unless the tool's arguments stand in it.
        child = _CHILD.match(self._text, found.end())
        inner = child.group(1) if child is not None else None
        return child is None or (inner is not None and inner not in self._names.properties(name))
