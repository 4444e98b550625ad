"""A small GBNF reader and matcher, enough for the grammars that the builder writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(\[(?:[^\]\\]|\\.)*\])|([A-Za-z][\w-]*)|(\{\d+,\d*\})|([()|?*+]))')
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def unescape(body: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if code[0] == "x" and len(code) == 3 else ESCAPES.get(code, code)

    return re.sub(r"\\(x[0-9A-Fa-f]{2}|.)", one, body)


class Grammar:
    """Parsed rules; `accepts` says whether a text matches `root`, `undefined` names rules that are used and missing."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, Any] = {}
        for line in text.rstrip("\n").split("\n"):
            name, body = line.split(" ::= ", 1)
            assert re.fullmatch(r"[a-z][a-z0-9-]*", name), name
            assert name not in self.rules
            self.tokens = self._tokens(body)
            self.rules[name] = self._alternatives()
            assert not self.tokens, f"left over in {name}: {self.tokens[:3]}"

    def _tokens(self, body: str) -> list[tuple[str, str]]:
        out, position = [], 0
        while body[position:].strip():
            match = TOKEN.match(body, position)
            assert match, f"no token at {body[position : position + 40]!r}"
            kind = ("literal", "class", "name", "count", "sign")[(match.lastindex or 1) - 1]
            out.append((kind, match.group(match.lastindex or 1)))
            position = match.end()
        return out

    def _alternatives(self) -> Any:
        options = [self._sequence()]
        while self.tokens and self.tokens[0][1] == "|" and self.tokens[0][0] == "sign":
            self.tokens.pop(0)
            options.append(self._sequence())
        return ("alt", options)

    def _sequence(self) -> Any:
        items = []
        while self.tokens and not (self.tokens[0][0] == "sign" and self.tokens[0][1] in "|)"):
            kind, body = self.tokens.pop(0)
            if kind == "sign":
                assert body == "("
                item = self._alternatives()
                assert self.tokens.pop(0) == ("sign", ")")
            else:
                item = (kind, unescape(body[1:-1]) if kind == "literal" else body)
            if self.tokens and (self.tokens[0][0] == "count" or self.tokens[0] in (("sign", c) for c in "?*+")):
                mark = self.tokens.pop(0)[1]
                low, high = {"?": (0, 1), "*": (0, 10**6), "+": (1, 10**6)}.get(mark) or self._count(mark)
                item = ("repeat", item, low, high)
            items.append(item)
        return ("seq", items)

    @staticmethod
    def _count(mark: str) -> tuple[int, int]:
        low, high = mark[1:-1].split(",")
        return int(low), int(high or 10**6)

    def undefined(self) -> set[str]:
        missing: set[str] = set()

        def walk(node: Any) -> None:
            if node[0] == "name" and node[1] not in self.rules:
                missing.add(node[1])
            elif node[0] in ("alt", "seq"):
                for part in node[1]:
                    walk(part)
            elif node[0] == "repeat":
                walk(node[1])

        for rule in self.rules.values():
            walk(rule)
        return missing

    def accepts(self, text: str) -> bool:
        return any(end == len(text) for end in self._match(("name", "root"), text, 0))

    def _match(self, node: Any, text: str, at: int) -> Iterator[int]:
        kind = node[0]
        if kind in ("literal", "class"):
            yield from self._terminal(kind, node[1], text, at)
        elif kind == "name":
            yield from self._match(self.rules[node[1]], text, at)
        elif kind == "alt":
            seen: set[int] = set()
            for option in node[1]:
                for end in self._match(option, text, at):
                    if end not in seen:
                        seen.add(end)
                        yield end
        elif kind == "seq":
            ends = {at}
            for part in node[1]:
                ends = {after for end in ends for after in self._match(part, text, end)}
            yield from ends
        else:
            yield from self._repeated(node, text, at)

    @staticmethod
    def _terminal(kind: str, body: str, text: str, at: int) -> Iterator[int]:
        if kind == "literal" and text.startswith(body, at):
            yield at + len(body)
        elif kind == "class" and at < len(text) and re.fullmatch(body, text[at], re.S):
            yield at + 1

    def _repeated(self, node: Any, text: str, at: int) -> Iterator[int]:
        _, part, low, high = node
        ends, count = {at}, 0
        if low == 0:
            yield at
        while ends and count < high:
            ends = {after for end in ends for after in self._match(part, text, end) if after > end}
            count += 1
            if count >= low:
                yield from ends
