"""Tool calls between marks.

Such as <tool_call>{json}</tool_call>, <function=name><parameter=...> and <invoke name="...">.
The rows of `tagged` say which marks there are.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfopt.reading.families import Family
from selfopt.reading.readers.base import CALL_LIMIT, NOTHING, SAYS_NONE, TEXT_LIMIT, Effort, Found, Offered, Segment, clean_text
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .json_text import json_calls
from .literals import LiteralReader, UnreadableError, decode_object
from .tagged import TAGGED

# Models mix the ways of writing a parameter, whatever the marks of the call.
_PARAMETER = re.compile(
    r"<(parameter|param|arg|argument)(?:=[ \t]*([^<>\n]{1,256})|[ \t]+name=[\"']([^\"'<>\n]{1,256})[\"'][^<>\n]{0,64})>"
)
# How marks are read: with either quote, any blanks, and a name up to the next delimiter.
_TOLERANT = (
    (r'"\{\}">', r"""["']([^"'<>\n]{1,256})["'][ \t]*/?>"""),
    (r"\{\}>", r"([^<>\n]{1,256})>"),
    (r"\{\}<", r"([^<>\n]{1,256})<"),
    (r"\{\}", r"([\w.:/\-]{1,256})"),
    ("\\ ", r"[ \t]+"),
    ("\\\n", r"\s*"),
)
_JSON = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"\s*+,?\s*+")


def _pattern(mark: str) -> str:
    """A regular expression for a mark. Its one group is the name in the mark."""
    pattern = re.escape(mark.replace("{name}", "{}").replace("{key}", "{}"))
    for plain, tolerant in _TOLERANT:
        pattern = pattern.replace(plain, tolerant)
    return pattern if "{" in mark else f"{pattern}()"


class TagReader:
    """Reads elements between the marks of some families: JSON, or a name and parameters."""

    version = 1

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families
        self._signs = {family.marks[0][:1] for family in families}
        self._opening = re.compile("|".join(_pattern(family.marks[0]) for family in families))

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        return self._read(clean_text(content.text), tools)

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """See `GrowingReader.certain`. Stops at the first element that further text may change."""
        return self._read(clean_text(content.text), tools, growing=True).calls

    def _read(self, text: str, tools: Sequence[ToolDefinition], *, growing: bool = False) -> Found:
        openings = list(self._opening.finditer(text)) if any(map(text.__contains__, self._signs)) else []
        if not openings:
            return NOTHING
        offered, effort, says_none, form = Offered.of(tools), Effort(), False, ""
        calls: list[ToolCall] = []
        spans: list[tuple[int, int]] = []
        for opening, body, end, closed in self._elements(text, openings, effort):
            if growing and not closed:
                break
            family, written = self._family(opening), opening.group(opening.lastindex or 0)
            name = written.strip()
            if not written:
                shape = json_calls(Segment(body), offered, effort)
                new = shape.calls
                says_none = says_none or shape.no_call or offered.is_no_call(body)
            elif offered.is_no_call(name):
                new, says_none = [], True
            else:
                new = [ToolCall(name=offered.match(name) or name, arguments=_arguments(family, body, name, offered))]
            if new:
                calls += new
                spans.append((opening.start(), end))
                form = form or f"{family.marks[1].replace('</', '<')} tags"
            if len(calls) > CALL_LIMIT or effort.left <= 0:
                break
        return Found(calls, form, spans) if calls else SAYS_NONE if says_none else NOTHING

    def _family(self, opening: re.Match[str]) -> Family:
        return self._families[(opening.lastindex or 1) - 1]

    def _elements(
        self, text: str, openings: Sequence[re.Match[str]], effort: Effort
    ) -> Iterator[tuple[re.Match[str], str, int, bool]]:
        """Find the elements of calls.

        A body ends at its closing tag or at the next element, whichever comes first. So a missing
        closing tag does no harm, and the time stays linear. Tags inside JSON strings don't count.

        Yields:
            (opening, body, end, closed). `closed` tells whether no further text can change it.
        """
        index = 0
        while index < len(openings):
            opening = openings[index]
            begin = opening.end()
            past = _past_json(text, begin, effort)
            index += 1
            while index < len(openings) and openings[index].start() < past:
                index += 1
            limit = openings[index].start() if index < len(openings) else len(text)
            closing = self._family(opening).marks[1]
            end = text.find(closing, past, limit)
            if end < 0:
                yield opening, text[begin:limit], past if past > begin else limit, False
            else:
                data = text[_skip(text, begin)] in "{["
                yield opening, text[begin:end], end + len(closing), not data or (past > begin and end == _skip(text, past))


def _skip(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too


def _past_json(text: str, position: int, effort: Effort) -> int:
    """The position after the complete JSON objects and lists that start here, if there are any."""
    while effort.left > 0:
        start = _skip(text, position)
        if text[start : start + 1] not in ("{", "["):
            break
        try:
            position = _JSON.raw_decode(text, start)[1]
        except json.JSONDecodeError as error:
            effort.spend(error.pos - start)
            break
        except (ValueError, RecursionError):
            effort.spend(TEXT_LIMIT)
            break
    return position


def _arguments(family: Family, body: str, name: str, offered: Offered) -> dict[str, Any]:
    """Read the parameters between marks. Without marks, the body is one JSON object."""
    own = not _PARAMETER.match(family.parameter[0])
    marks = list((re.compile(_pattern(family.parameter[0])) if own else _PARAMETER).finditer(body))
    if not marks:
        return decode_object(body.strip()) or {}
    properties = offered.properties(offered.match(name) or name)
    arguments: dict[str, Any] = {}
    for index, mark in enumerate(marks):
        limit = marks[index + 1].start() if index + 1 < len(marks) else len(body)
        end = body.find(family.parameter[1] if own else f"</{mark.group(1)}>", mark.end(), limit)
        key = (mark.group(1) if own else mark.group(2) or mark.group(3) or "").strip().strip("\"'")
        arguments[key] = _typed(body[mark.end() : end if end >= 0 else limit], properties.get(key))
    return arguments


def _typed(raw: str, schema: Any) -> Any:
    """Read a parameter as a literal.

    It stays text if its schema says string, or if it is no literal.
    """
    text = html.unescape(raw.strip())
    wanted = schema.get("type") if isinstance(schema, Mapping) else None
    if wanted == "string":
        return text.encode("utf-8", "replace").decode("utf-8")
    try:
        value, end = LiteralReader(text).value(0)
    except UnreadableError:
        return text
    return value if end == len(text) else text


READER = TagReader(TAGGED)
