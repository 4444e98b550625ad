"""Reads the variables of a `.env`, in the form that the tools of most languages agree on.

`NAME=value`, with `export` before it or not. A value is plain up to a comment, which begins with
` #`, or in quotes, and may then have several lines. Between single quotes everything is as it is
written; between double quotes a backslash escapes as in C. Nothing is looked up: a `$` is a `$`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selfopt.errors import SettingsError

_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^\s=#'\"]+)[ \t]*=[ \t]*")
_MEANT = re.compile(r"[ \t]*(?:export[ \t]+)?SELFOPT_\w*")
_QUOTED = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)}
_AFTER = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}


def variables_of(text: str, label: str) -> dict[str, str]:
    """Returns the variables of a text. Of two lines for one variable the last counts.

    Lines of other programs that cannot be read are passed over. Raises SettingsError for one that
    names a variable of selfopt. The message gives the number of the line, and never its value.
    """
    return {name: value for name, value, _ in _assignments(text.removeprefix("\ufeff"), label)}


def _assignments(text: str, label: str) -> Iterator[tuple[str, str, int]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    place, number = 0, 1
    never_closed: set[str] = set()
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        line = text[place:end]
        head = _HEAD.match(line)
        after, problem = end + 1, ""
        if head is None:
            problem = "has no NAME=value"
        else:
            start = place + head.end()
            quote = text[start : start + 1]
            value = _COMMENT.sub("", text[start:end]).rstrip()
            if quote in _QUOTED:
                found = _QUOTED[quote].match(text, start) if quote not in never_closed else None
                closed = _AFTER.match(text, found.end()) if found is not None else None
                if found is None:
                    never_closed.add(quote)  # and no later one is: looking again to the end would take long
                    problem = "has a quote that is not closed"
                elif closed is None:
                    problem = "goes on behind its closing quote"
                else:
                    value = found[1] if quote == "'" else _ESCAPE.sub(lambda one: _ESCAPED.get(one[1], one[1]), found[1])
                    after = closed.end()
            if not problem or not head["name"].startswith("SELFOPT_"):
                yield head["name"], value, number
        if problem and _MEANT.match(line):
            raise SettingsError(
                f"{label}: line {number} {problem}; write SELFOPT_SECTION__KEY=value, with quotes around or without"
            )
        number += text.count("\n", place, after)
        place = after
