"""Reads quoted strings as models write them: any quotes, unlawful escapes, quotes within quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass

BLANKS = "\\s\ufeff\u200b-\u200d\u2060"
_LOOKS = 4096  # quotes in a long text whose surroundings are looked at
_CLOSING = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”“"',
    "”": '”"',
    "„": '“”"',
    "‘": "’'",
    "’": "’'",
    "「": "」",
    "『": "』",
    "«": "»",
    "＂": "＂",
    "＇": "＇",
}
QUOTES = "".join(_CLOSING)
_PLAIN = {
    opening: re.compile(rf"{opening}((?:[^{closing}\\]++|\\.)*+)[{closing}]", re.S) for opening, closing in _CLOSING.items()
}
_MORE = {closing: re.compile(rf"(?:[^{closing}\\]++|\\.)*+[{closing}]", re.S) for closing in {*_CLOSING.values(), '"”“', "'’‘"}}
_TRIPLE = {
    mark: re.compile(rf"{mark}((?:[^{mark[0]}\\]++|\\.|{mark[0]}(?!{mark[1:]}))*+){mark}", re.S) for mark in ('"""', "'''")
}
_RAW = re.compile(r"[rR][bB]?(?:\"([^\"\n]{0,65536})\"|'([^'\n]{0,65536})')|[bBuUfF](?=[\"'])")
# The whole text was encoded once more: its quotes are `\"`, and those within its strings `\\\"`.
_ENCODED = re.compile(r"\\\"((?:[^\"\\]++|\\\\(?:\\.|[^\\])|\\[^\"\\])*+)\\\"", re.S)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|\r\n|.)", re.S)
_LAWFUL = {
    **{"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": "", "\r\n": ""},
    **{one: one for one in ('"', "'", "\\", "/", "`", "“", "”", "‘", "’")},
}
_DRIVE = re.compile(r"(?:[A-Za-z]:|\\)\\(?!\\)")

_KEY = (
    r"(?:\"(?:[^\"\\]|\\.){0,128}+\"|'(?:[^'\\]|\\.){0,128}+'|[“”„‘’「][^“”‘’」:：\n]{0,128}+[“”‘’」\"]|[\w$][\w$.\-]{0,64}+)"
    rf"[{BLANKS}]{{0,16}}+[:：=]"
)
_VALUE = r"(?:[\"'“‘「『\[{(+\-.0-9]|(?:true|false|null|None|True|False)\b)"
_STRING = r"(?:\"[^\"\n]{0,64}+\"|'[^'\n]{0,64}+')"
_GAP = rf"[{BLANKS}]{{0,64}}+"
_REMARK = rf"(?:(?:(?://|#)[^\n]{{0,200}}+\n|/\*[^*]{{0,200}}+\*/){_GAP})?+"
# What follows a string that ends within an object, a list, or a call.
_AFTER = {
    "}": re.compile(
        rf"{_GAP}(?:[,，;]+{_GAP}{_REMARK}(?:{_KEY}|[}}\]]|[\"'][^\"'\n]{{0,64}}+[\"']?{_GAP}\Z|\Z)|{_REMARK}(?=[\"'“‘「]){_KEY}|{_REMARK}\Z)"
    ),
    "]": re.compile(rf"{_GAP}(?:[,，;]+{_GAP}{_REMARK}(?:{_VALUE}|[\]}}]|\Z)|(?<=[{BLANKS}]){_STRING}{_GAP}[,\]]|{_REMARK}\Z)"),
    "=": re.compile(rf"{_GAP}(?:[,，]+{_GAP}{_REMARK}(?:{_KEY}|{_VALUE}|\)|\Z)|(?<=[{BLANKS}]){_STRING}{_GAP}[,)]|{_REMARK}\Z)"),
}
_AFTER[")"] = _AFTER["="]
_AFTER["s"] = _AFTER["]"]  # a set
_AFTER_KEY = re.compile(rf"{_GAP}[:：=]")
_CLOSERS = re.compile(rf"[{BLANKS},]{{0,64}}+([}}\])](?:[{BLANKS}]{{0,64}}+[}}\])]){{0,32}}+)({_GAP})")
_STOPS = ("<", "`", "")


def looks_of(text: str) -> int:
    """How many quotes of a text are looked at."""
    return min(_LOOKS, 128 + len(text) // 8)


@dataclass(slots=True)
class Quoted:
    """Reads the strings of one text.

    A quote closes a string only where the notation can go on, so that `"say "hi" now"` is one
    string. How many quotes are looked at in one text is limited.
    """

    text: str
    looks: int

    def starts(self, position: int) -> bool:
        """Whether a string starts here, perhaps behind a prefix as in Python."""
        char = self.text[position : position + 1]
        if char == "\\":
            return self.text.startswith('\\"', position)
        return char != "" and (char in QUOTES or (char in "rRbBuUfF" and _RAW.match(self.text, position) is not None))

    def read(self, position: int, within: str = "", *, key: bool = False) -> tuple[str, int] | None:
        """Read the string that starts here.

        Args:
            position: where its quote is.
            within: the brackets that are open, by their closing ones; `=` is that of a call, `s` of a set.
            key: whether the string is the key of an object.

        Returns:
            The string and the position after it; None if it has no end.
        """
        text, opening = self.text, self.text[position]
        if opening not in _CLOSING:
            return self._prefixed(position, within, key)
        triple = _TRIPLE.get(text[position : position + 3])
        if triple is not None and (match := triple.match(text, position)) is not None:
            return unescaped(match.group(1)), match.end()
        first = _PLAIN[opening].match(text, position)
        if first is not None and (not within or self._ends(position, first.end(), within, key)):
            return unescaped(first.group(1)), first.end()
        closings = [_CLOSING[opening]] + [more for one, more in (('"', '"”“'), ("'", "'’‘")) if one == opening]
        for closing in closings if within else ():
            end = self._further(closing, position + 1, within, key)
            if end:
                return unescaped(text[position + 1 : end - 1]), end
        return (unescaped(first.group(1)), first.end()) if first is not None else None

    def _prefixed(self, position: int, within: str, key: bool) -> tuple[str, int] | None:
        """Read a string in `\\"`, or one behind a prefix as in Python."""
        if self.text[position] == "\\":
            encoded = _ENCODED.match(self.text, position)
            return (unescaped(unescaped(encoded.group(1))), encoded.end()) if encoded else None
        raw = _RAW.match(self.text, position)
        if raw is None:
            return None
        if raw.group(1) is None and raw.group(2) is None:
            return self.read(raw.end(), within, key=key)
        return raw.group(1) if raw.group(1) is not None else raw.group(2), raw.end()

    def _further(self, closing: str, position: int, within: str, key: bool) -> int:
        """The position after the first quote that can close the string; 0 if none can."""
        more, start = _MORE[closing], position
        while self.looks > 0 and (quote := more.match(self.text, position)) is not None:
            self.looks -= 1
            if "=" in within and "\n" in self.text[position : quote.end()]:
                return 0  # programs have no line breaks within such strings
            position = quote.end()
            if self._ends(start, position, within, key):
                return position
            if key:
                return 0  # a key has no quotes within
        return 0

    def _ends(self, start: int, position: int, within: str, key: bool) -> bool:
        """Whether the notation can go on here, after a string."""
        if key:
            return _AFTER_KEY.match(self.text, position) is not None
        if _AFTER[within[-1]].match(self.text, position) is not None:
            return True
        closers = _CLOSERS.match(self.text, position)
        if closers is None:
            return self.text.startswith("</", position) or self.text.startswith("\n```", position)
        count = sum(char in "}])" for char in closers.group(1))
        if ")" in closers.group(1) and not (")" in within or "=" in within):
            return False
        after = self.text[closers.end() : closers.end() + 1]
        if after in (",", "，", *_STOPS) or "\n" in closers.group(2):
            return True
        # The brackets may belong to the string. Text on the same line says so, if brackets are open in it.
        body = self.text[max(start, position - 256) : position]
        return count >= len(within) and body.count("{") <= body.count("}")


def unescaped(body: str) -> str:
    """Decode the escapes of JSON and Python. Others stay as they are written."""
    if "\\" not in body:
        return body
    if _DRIVE.match(body) and any(len(code) == 1 and code not in _LAWFUL for code in _ESCAPE.findall(body)):
        return body  # a path of Windows whose backslashes were not escaped
    plain = _ESCAPE.sub(_one_escape, body)
    # Two \u escapes of a surrogate pair become one character, a lone one the replacement character.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _one_escape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _LAWFUL:
        return _LAWFUL[code]
    if len(code) == 1:
        return f"\\{code}"
    number = int(code[1:], 16)
    return chr(number) if number <= 0x10FFFF else f"\\{code}"
