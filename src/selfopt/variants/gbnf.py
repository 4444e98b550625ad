"""Parts of GBNF grammars: rules for JSON values, literals, choices, ranges and keys.

GBNF: https://github.com/ggml-org/llama.cpp/tree/master/grammars. A count in braces is written out
there, at most 2,000 times, so it is kept small here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

PRIMITIVES: Mapping[str, str] = {
    "string": '"\\"" tail',
    "tail": 'char* "\\""',
    "char": '[^"\\\\\\x00-\\x1F] | escape',
    "escape": '"\\\\" (["\\\\/bfnrt] | "u" hex hex hex hex)',
    "hex": "[0-9a-fA-F]",
    "integer": '"-"? ("0" | [1-9] [0-9]*)',
    "number": 'integer ("." [0-9]+)? ([eE] [-+]? [0-9]+)?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "date": '"\\"" day "\\""',
    "time": '"\\"" clock zone? "\\""',
    "datetime": '"\\"" day [Tt ] clock zone? "\\""',
    "day": '[0-9] [0-9] [0-9] [0-9] "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])',
    "clock": 'minutes (":" ([0-5] [0-9] | "60") ("." [0-9]+)?)?',
    "minutes": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]',
    "zone": "[Zz] | [-+] minutes",
    "free": "string | number | boolean | null | freelist | freeobject",
    "freelist": '"[" (free (", " free)*)? "]"',
    "freeobject": '"{" (freemember (", " freemember)*)? "}"',
    "freemember": 'string ": " free',
    "keyword": '([A-Za-z_] [A-Za-z0-9_]* | string) "="',
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "string": ("tail",),
    "tail": ("char",),
    "char": ("escape",),
    "escape": ("hex",),
    "number": ("integer",),
    "date": ("day",),
    "time": ("clock", "zone"),
    "datetime": ("day", "clock", "zone"),
    "clock": ("minutes",),
    "zone": ("minutes",),
    "free": ("string", "number", "boolean", "null", "freelist", "freeobject"),
    "freelist": ("free",),
    "freeobject": ("freemember",),
    "freemember": ("string", "free"),
    "keyword": ("string",),
}
FORMS: Mapping[str, str] = {"date": "date", "time": "time", "date-time": "datetime"}

_KEY_LIMIT = 100  # of a key that is told apart from others
_FLAT = 24  # more choices than these share their beginnings, because each costs time at every token
_ESCAPED = str.maketrans({chr(code): f"\\x{code:02X}" for code in (*range(0x20), 0x7F)} | {'"': '\\"', "\\": "\\\\", "\n": "\\n"})
_IN_CLASS = _ESCAPED | str.maketrans({"]": "\\]", "[": "\\[", "^": "\\x5E", "-": "\\x2D"})


def quoted(text: str) -> str:
    """A GBNF literal that matches exactly this text. Lone surrogates are replaced."""
    whole = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    return f'"{whole.translate(_ESCAPED)}"'


def choice(texts: Sequence[str]) -> str:
    """One of these texts. Many of them share their beginnings."""
    if len(texts) <= _FLAT:
        return " | ".join(map(quoted, texts))
    return _shared(sorted(texts), 0)


def _shared(texts: Sequence[str], at: int) -> str:
    """One of these sorted texts, which are alike up to `at`."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[at : at + 1], []).append(text)
    parts = []
    for start, group in groups.items():
        if not start or len(group) == 1:
            parts.append(quoted(group[0][at:]))
            continue
        end = at + 1
        while len({text[end : end + 1] for text in group}) == 1 and group[0][end : end + 1]:
            end += 1
        parts.append(f"{quoted(group[0][at:end])} ({_shared(group, end)})")
    return " | ".join(parts)


def other_keys(keys: Sequence[str]) -> str:
    """The rest of a JSON string, after its opening mark, that is none of these keys as they are commonly written."""
    return _others([json.dumps(key, ensure_ascii=False)[1:-1] for key in keys if len(key) <= _KEY_LIMIT], 0)


def _others(keys: Sequence[str], at: int) -> str:
    groups: dict[str, list[str]] = {}
    ends = False
    for key in keys:
        if len(key) == at:
            ends = True
        else:
            groups.setdefault(key[at], []).append(key)
    plain = [start for start in groups if start != "\\"]
    parts = [f'[^"\\\\\\x00-\\x1F{"".join(plain).translate(_IN_CLASS)}] tail', "escape tail"]
    parts += [f"{quoted(start)} ({_others(groups[start], at + 1)})" for start in plain]
    if not ends:
        parts.append('"\\""')
    return " | ".join(parts)


def whole_numbers(low: int | None, high: int | None) -> str:
    """The whole numbers from low to high, both included; None: without bound."""
    parts = []
    if low is None or low < 0:
        nearest = 1 if high is None or high >= 0 else -high
        parts += [f'"-" ({_range(nearest, None if low is None else -low)})']
    if high is None or high >= 0:
        parts += [_range(max(low or 0, 0), high)]
    return " | ".join(parts)


def _range(low: int, high: int | None) -> str:
    """The numbers from low to high, which are not negative."""
    if high is None:
        if low <= 1:
            return '"0" | [1-9] [0-9]*' if low == 0 else "[1-9] [0-9]*"
        digits = len(str(low))
        return f"{_range(low, 10**digits - 1)} | [1-9] {' '.join(['[0-9]'] * digits)} [0-9]*"
    parts = []
    while len(str(low)) < len(str(high)):
        edge = 10 ** len(str(low)) - 1
        parts.append(_alike(str(low), str(edge)))
        low = edge + 1
    parts.append(_alike(str(low), str(high)))
    return " | ".join(parts)


def _alike(low: str, high: str) -> str:
    """The numbers from low to high, which have the same number of digits."""
    if not low:
        return ""
    if low[0] == high[0]:
        rest = _alike(low[1:], high[1:])
        return f"{quoted(low[0])} {_grouped(rest)}".rstrip()
    if len(low) == 1:
        return f"[{low}-{high}]"
    free, parts = " ".join(["[0-9]"] * (len(low) - 1)), []
    first, last = int(low[0]), int(high[0])
    if set(low[1:]) != {"0"}:
        parts.append(f"{quoted(low[0])} {_grouped(_alike(low[1:], '9' * (len(low) - 1)))}")
        first += 1
    ending = ""
    if set(high[1:]) != {"9"}:
        ending = f"{quoted(high[0])} {_grouped(_alike('0' * (len(low) - 1), high[1:]))}"
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] {free}")
    return " | ".join([*parts, ending] if ending else parts)


def _grouped(body: str) -> str:
    return f"({body})" if " | " in body else body
