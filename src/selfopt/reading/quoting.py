"""Follows what is quoted in a text that goes on: code, texts in JSON, arguments between tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_ARGUMENTS = "parameter|param|arg_value|arg_key|longcat_arg_value"
_CALLS = "parameters|invoke|function(?:_calls?)?|tool_calls?|longcat_tool_call|tool_use|arguments|args|tool|call"
_IS_ARGUMENT = re.compile(rf"(?:{_ARGUMENTS})\Z")
_SPACE = r"(?:[｜|‖ ]{0,3}\w{1,12} ?[:｜|‖]{1,2} ?)?"  # a namespace
# Where JSON stands in a call, its texts are followed instead: a closing tag may stand in one.
_ELEMENTS = rf"{_ARGUMENTS}|(?:{_CALLS})(?=\b[^<>\n]{{0,200}}>(?!\s{{0,8}}[\[{{]))"
_OPENING = re.compile(
    "|".join(
        (
            r"^[ \t]{0,8}(?P<fence>```+|~~~+)",
            r"(?P<code>`)",
            r"[{\[(,:=]\s{0,8}(?P<text>[\"'])",
            r"(?P<token><\|\"\|>|<escape>)",
            r"(?P<value><\|tool_arg:value\|>|<\|open\|>argument\b[^<>\n]{0,300}<\|sep\|>)",
            r"(?P<tag><\|open\|>[^<>\n]{0,300}<\|sep\|>)",  # its attributes are no texts
            r"(?P<said>[\"“])",
            rf"<(?P<element>{_SPACE}(?:{_ELEMENTS}))\b(?![｜|])[^<>\n]{{0,200}}>",
            # A call may be written as a tag by the tool's name, alone on its line.
            r"^[ \t]{0,8}<(?!answer>|response>|output>)(?P<alone>[A-Za-z][\w.-]{0,63})>[ \t]*$(?!\s{0,8}[\[{])",
        )
    ),
    re.M,
)
_BESIDE = 16  # characters that a pattern looks at beside what it finds
_NO_TEXT = re.compile(r"(?!)")
FRUITLESS = 32  # quotations without an end that are looked for in one text, so that time stays linear


@dataclass(frozen=True, slots=True)
class _Open:
    """What closes a quotation; `over` ends it without closing it, such as the end of the line."""

    closes: re.Pattern[str]
    over: re.Pattern[str] = _NO_TEXT

    def ends(
        self, text: str, at: int, known: dict[str, re.Match[str] | None]
    ) -> tuple[re.Match[str] | None, re.Match[str] | None]:
        """What closes it, and what is over before. `known`: what closes in this text, by pattern."""
        pattern = self.closes.pattern
        closed = known.get(pattern)
        if pattern not in known or (closed is not None and closed.start() < at):
            closed = known[pattern] = self.closes.search(text, at)
        over = self.over.search(text, at, len(text) if closed is None else closed.end() + _BESIDE)
        return closed, over if over is None or closed is None or over.start() < closed.start() else None


# A quotation mark that opens another text, after which the first is not closed.
_ANOTHER = r"[{{\[(,:=]\s{{0,8}}{0}(?!\s{{0,8}}[,:}}\])])"
_CODE = _Open(re.compile("`"), re.compile(r"\n"))
_SAID = {
    mark: _Open(re.compile(close), re.compile(rf"\n|{_ANOTHER.format(mark)}")) for mark, close in {'"': '"', "“": "”"}.items()
}
_TEXTS = {
    mark: _Open(re.compile(rf"(?<!\\)(?:\\\\)*+{mark}(?=\s{{0,8}}[,:}}\])])"), re.compile(_ANOTHER.format(mark)))
    for mark in "\"'"
}


# Special tokens around an argument, by how the first begins.
_VALUES = {"<|tool_a": _Open(re.compile(r"<\|tool_arg:end\|>")), "<|open|>": _Open(re.compile(r"<\|close\|>argument"))}


@lru_cache(maxsize=256)
def _opened(what: str, mark: str) -> _Open:
    plain: dict[str, Callable[[], _Open]] = {
        "fence": lambda: _Open(re.compile(rf"^[ \t]{{0,8}}{mark}", re.M)),
        "code": lambda: _CODE,
        "text": lambda: _TEXTS[mark],
        "token": lambda: _Open(re.compile(re.escape(mark))),
        "value": lambda: _VALUES[mark[:8]],
        "said": lambda: _SAID[mark],
    }
    if what in plain:
        return plain[what]()
    name = re.escape(mark)
    # Within a call an argument begins, in which the call's own closing tag is text.
    within = "" if what == "alone" or _IS_ARGUMENT.search(mark) else rf"|<{_SPACE}(?:{_ARGUMENTS})\b(?![｜|])[^<>\n]{{0,200}}>"
    return _Open(re.compile(rf"</{name}\b[^<>\n]{{0,16}}>"), re.compile(rf"<{name}\b(?![｜|])[^<>\n]{{0,200}}>{within}"))


class Quoting:
    """Says whether a place of a text stands in a quotation that is closed later.

    Attributes:
        line: the end of the last line that was read.
        awaited: what has to be found in the text that comes, before `end_of` can answer.
    """

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._since = ""
        self._left = FRUITLESS
        self.line = ""
        self.awaited: re.Pattern[str] = _NO_TEXT

    def read(self, text: str) -> None:
        """Go on to read a text."""
        _, newline, last = text.rpartition("\n")
        self.line = (last if newline else self.line + last)[-256:]
        self._read(text)

    def _read(self, text: str) -> None:
        at, known = 0, dict[str, re.Match[str] | None]()
        while at < len(text) and self._left:
            if self._open is None:
                found = _OPENING.search(text, at)
                if found is None:
                    return
                at = found.end()
                if found.lastgroup == "tag":
                    continue
                self._open, self._since = _opened(found.lastgroup or "", found.group(found.lastgroup or 0)), ""
            closed, over = self._open.ends(text, at, known)
            if over is not None:
                at, self._open = over.start(), None
            elif closed is not None:
                at, self._open = closed.end(), None
            else:
                self._since += text[at:]
                return

    def end_of(self, text: str, at: int, *, final: bool) -> int | None:
        """Where the quotation ends that this place stands in.

        Args:
            text: what comes next.
            at: the place in it.
            final: whether nothing comes after the text.

        Returns:
            A place in the text; -1 if no quotation is open there; None if only further text can
            tell: see `awaited`.
        """
        while self._open is not None and self._left:
            closed, over = self._open.ends(text, at, {})
            found = over or closed
            if not final and (found is None or found.end() + _BESIDE > len(text)):
                break
            if closed is not None and over is None:
                self._open = None
                return closed.end()
            self._left -= 1
            since, self._open = self._since, None
            self._read(since)
        else:
            return -1
        self.awaited = re.compile(f"{self._open.closes.pattern}|{self._open.over.pattern}", re.M)
        return None
