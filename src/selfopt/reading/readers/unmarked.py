"""Tool calls without the marks of a family: JSON, programs, elements, and a name before its arguments."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .base import CALL_LIMIT, NOTHING, SAYS_NONE, Effort, Found, clean_text
from .echoes import Echoes, told
from .elements import read_element
from .keywords import Written, read_head, read_list
from .labelled import read_labelled, read_named, read_slashed
from .loose import LooseReader, UnreadableError
from .names import Names
from .programs import TARGET, read_block, read_line
from .quoted import BLANKS
from .rehearsed import rehearsed
from .shapes import Shape, shape_of

_EFFORT = 2  # characters that failed attempts may read for each character of the text
_LOOKS = 16  # characters that the look at a place costs besides
_READS = 64  # characters that reading costs there besides
_ATTEMPT = 48  # characters that an attempt which fails costs besides
_LINE = 400  # characters of a line that are looked at on either side of a call
_CUT = "a call that is broken or cut off"
_SIGNS = re.compile(r"[{(\[<:：/]")
_CANDIDATE = re.compile(
    r"(?P<fence>^[ \t]{0,8}+(?:```+|~~~+)[ \t]*+(?P<language>[^\s`]{0,32}+)[^\n`]{0,200}+$)"
    rf"|(?P<json>(?![\[{{]{{12}})(?:\{{(?=[{BLANKS}]{{0,64}}+(?:[\"'“‘「`{{\\\w/#$]|\Z))|\[(?=[{BLANKS}]{{0,64}}+(?:[{{\[]|[^\W\d]))))"
    r"|(?P<line>(?:^|(?<=[|>]>))(?:[ \t]*+(?:[-*>•][ \t]++|[0-9]{1,3}[.)][ \t]++)?+(?:<code>|<tool_code>)?[*#]{0,3}+`{0,3}+[ \t]*+(?=[^\W\d]|/[^\W\d])))"
    r"|(?P<element><(?=[^\W\d]))",
    re.M,
)
_PLACE = re.compile(r"[{\[<\n]|(?<=[|>])>")
# What a call needs that a line begins with: a bracket or a colon behind its first words, or on the next line.
_GOES_ON = re.compile(r"[^\r\n(){:：]{0,600}+([({:：]|\r?\n[ \t]*+(?:\{|```))")
_FENCE = re.compile(r"^[ \t]{0,8}+(?:```+|~~~+)[ \t]*+$", re.M)
_DATA = frozenset(
    {
        *(
            "",
            "json",
            "json5",
            "jsonc",
            "jsonl",
            "ndjson",
            "tool_call",
            "tool_calls",
            "tool",
            "tools",
            "text",
            "txt",
            "plaintext",
        ),
        *("function_call", "function", "action", "xml", "html", "yaml", "yml"),
    }
)
_CALLS = frozenset({"tool_code", "tool_call", "tool_calls", "tool", "tools", "function_call"})
# Other programs that name a tool are answers.
_PROGRAMS = frozenset({"python", "py", "python3", "javascript", "js", "typescript", "ts", "code", "pythonic", "plain"})
MAY_CALL = _DATA | _CALLS | _PROGRAMS
"""The languages of code fences in which a call may stand."""
_BARE = re.compile(r"\s*+(?:(?:```+|~~~+)[ \t]*+[^\s`]{0,32}+[ \t]*+\n\s*+)?+\Z")
_BARE_AFTER = re.compile(r"[\s}\])]*+(?:(?:```+|~~~+)\s*+)?+\Z")
_OPENED = re.compile(r"(?:\bAction:[ \t]*+)?```[\w]{0,16}+\s*+\Z")
_CLOSED = re.compile(r"\s*+```(?!\w)")
_EXTRA = re.compile(r"[ \t]{0,4}+[}\])]{1,8}+")
# The line of a program that a traceback shows.
_TRACED = re.compile(r"\n[ \t]{1,8}File \"[^\"\n]{1,200}\", line [0-9]{1,9}[^\n]{0,64}\n\Z")
_OBSERVED = re.compile(r"(?:^|\n)[ \t*]*+(?:Observation|Tool[ _](?:result|response|output))[ \t*]*+[:：][\s*]*+\Z", re.I)
_NAMED = re.compile(
    r"[\"'“`]?(?:name|function|tool|tool_name|func|action|recipient_name|toolName)[\"'”`]?\s{0,8}+[:：=]\s{0,8}+\\?[\"'“`]([^\"'”`\n\\]{1,128}+)"
)
_FIRST = re.compile(r"[{\[\s]{1,8}[\"'“]([^\"'”\n]{1,128}+)[\"'”]\s{0,8}+[:：]")


@dataclass(slots=True)
class _Piece:
    """Calls at one place of the text."""

    start: int
    end: int
    calls: Sequence[ToolCall]
    form: str
    family: str
    supplied: bool = False


class UnmarkedReader:
    """Reads calls that no marks enclose."""

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        text = clean_text(content.text)
        if not _SIGNS.search(text):
            return NOTHING
        search = _Search(text, Names.of(tools))
        pieces = search.run()
        if not pieces:
            if search.unread is not None:
                return Found(unread=_CUT, family=search.unread)
            return SAYS_NONE if search.none or text.strip() == "[]" else NOTHING
        return Found(
            [call for piece in pieces for call in piece.calls],
            pieces[0].form,
            [(piece.start, piece.end) for piece in pieces],
            unread="" if search.unread is None else _CUT,
            family=pieces[0].family,
            supplied=pieces[-1].supplied,
        )


class _Search:
    """One search through a text, from its beginning to its end."""

    def __init__(self, text: str, names: Names) -> None:
        self._text, self._names = text, names
        self._reader = LooseReader(text)
        self._effort = Effort(_EFFORT * len(text) + 1024)
        self._echoes = Echoes(text)
        self._pieces: list[_Piece] = []
        self._closings = [one.start() for one in _FENCE.finditer(text)] if "```" in text or "~~~" in text else []
        self._fence: str | None = None  # the language of the code fence around
        self._named_at_all: bool | None = None  # whether any tool is named in the text
        self.none = False
        self.unread: str | None = None  # the family of a call that can't be read; "" if none is known

    def run(self) -> list[_Piece]:
        """Find the calls. Sets `none` and `unread`."""
        position, count = 0, 0
        while count <= CALL_LIMIT and self._effort.spend(_LOOKS):
            found = self._candidate(position)
            if found is None:
                break
            since = self._pieces[-1].end if self._pieces else 0
            echo = self._echoes.end_of_echo(since, found.start(), after_call=bool(self._pieces))
            if echo is not None:
                position = max(echo, found.start() + 1)
                continue
            before = len(self._pieces)
            position = max(self._take(found), found.end(), found.start() + 1)
            count += sum(len(piece.calls) for piece in self._pieces[before:])
        spans = [(piece.start, piece.end) for piece in self._pieces]
        examples = told(self._text, spans) | rehearsed(self._text, spans)
        return [piece for index, piece in enumerate(self._pieces) if index not in examples]

    def _candidate(self, position: int) -> re.Match[str] | None:
        """The next candidate. Looks only where one can begin, which is much faster than at every character."""
        found = _CANDIDATE.match(self._text, position)
        while found is None:
            place = _PLACE.search(self._text, position)
            if place is None:
                return None
            position = place.end()
            found = _CANDIDATE.match(self._text, place.start() if place.group() in "{[<" else position)
        return found

    def _take(self, found: re.Match[str]) -> int:
        """Read what stands at a place. Returns where to go on."""
        if found.group("fence") is not None:
            return self._in_fence(found)
        if found.group("json") is not None:
            return self._json(found.start())
        if found.group("element") is not None:
            return self._written(found.start(), "elements", "cline", self._element)
        return self._line(found)

    def _in_fence(self, found: re.Match[str]) -> int:
        """Go past a code fence. Reads a block that is nothing but calls; other code holds none."""
        language = found.group("language").lower()
        if self._fence is not None and not language:
            self._fence = None
            return found.end()
        self._fence = language
        index = bisect_right(self._closings, found.end())
        end = self._closings[index] if index < len(self._closings) else len(self._text)
        start = self._reader.skip(found.end())
        body = self._text[start : start + 1]
        if self._text.startswith("<?xml", start):
            return end  # a document
        if body in ("{", "[", "<") and language not in ("python", "py"):
            return found.end()
        if language not in _PROGRAMS and language not in _CALLS and language not in _DATA:
            return end
        try:
            calls = read_block(self._reader, found.end(), end, self._names, lenient=language in _CALLS)
        except UnreadableError as stopped:
            self._fail(start, stopped.position, "python")
            calls = None
        if calls is not None:
            self._add(start, max(calls[-1].end, len(self._text[:end].rstrip())), calls, "fenced Python calls", "python")
            return end
        if language in _DATA or body in ("{", "["):
            return found.end()
        return end

    def _element(self, position: int) -> list[Written]:
        self._effort.spend(_READS)
        call = read_element(self._text, position, self._names, self._effort)
        return [call] if call is not None else []

    def _written(self, start: int, form: str, family: str, read: Callable[[int], list[Written]], begin: int = -1) -> int:
        """Add the calls that are read at a place, which belong to a line that begins at `begin`.

        Returns:
            The position after them; -1 if there are none.
        """
        try:
            calls = read(start)
        except UnreadableError as stopped:
            self._fail(start, stopped.position, family)
            return -1
        if not calls:
            return -1
        end = calls[-1].end
        self._add(start if begin < 0 else begin, end, calls, form, family)
        return end

    def _add(self, start: int, end: int, calls: Sequence[Written], form: str, family: str) -> None:
        last = calls[-1]
        supplied = last.supplied and last.end >= len(self._text)
        self._pieces.append(_Piece(start, end, [one.call for one in calls], form, family, supplied))

    def _fail(self, start: int, position: int, family: str) -> None:
        """Count a failed attempt. One that the end of the text stopped is a call that is cut off."""
        self._effort.spend(position - start + _ATTEMPT)
        if position >= len(self._text) and self.unread is None:
            self.unread = family

    def _line(self, found: re.Match[str]) -> int:
        """Read what a line begins with: a command, a label, a name and an object, or a call of a program."""
        text, start = self._text, found.end()
        if self._fence is not None and self._fence not in _DATA:
            return start
        if self._named_at_all is None:
            self._named_at_all = self._names.may_stand_in(text)
        goes_on = _GOES_ON.match(text, start)
        sign = "/" if text.startswith("/", start) else goes_on.group(1) if goes_on is not None else ""
        # A label may also say that no tool is called.
        if sign == "" or not (self._named_at_all or sign in ":：") or self._is_traced(found.start()):
            return start
        self._effort.spend(_READS)
        self._reader.supplied = False
        if sign == "/":
            return self._written(start, "a command", "", self._slashed, found.start())
        for form, family, read in (
            ()
            if sign == "("
            else (
                ("labelled calls", "react", self._labelled),
                ("names before objects", "name_json", self._named),
            )
        ):
            end = self._written(start, form, family, read, found.start())
            if end > 0:
                return end
        target = TARGET.match(text, start)
        head = read_head(text, target.end() if target is not None else start, self._names) or read_head(text, start, self._names)
        if head is None or head[1] is None:
            return start
        return max(start, self._written(start, "Python calls", "python", self._statements, found.start()))

    def _is_traced(self, position: int) -> bool:
        return _TRACED.search(self._text, max(0, position - _LINE), position) is not None

    def _slashed(self, position: int) -> list[Written]:
        call = read_slashed(self._text, position, self._names)
        return [call] if call is not None else []

    def _statements(self, position: int) -> list[Written]:
        return read_line(self._reader, position, self._names)

    def _labelled(self, position: int) -> list[Written]:
        call = read_labelled(self._reader, position, self._names)
        if isinstance(call, str):
            self.none = True
            return []
        return [call] if call is not None else []

    def _named(self, position: int) -> list[Written]:
        """Names with objects behind them, one after the other."""
        calls: list[Written] = []
        while len(calls) <= CALL_LIMIT and (call := read_named(self._reader, position, self._names)) is not None:
            calls.append(call)
            position = self._reader.skip(call.end)
        return calls

    def _json(self, start: int) -> int:
        """Read an object, or a list of objects or of calls."""
        text, reader = self._text, self._reader
        self._effort.spend(_READS)
        reader.supplied = False
        if text[start] == "[" and (head := read_head(text, reader.skip(start + 1), self._names)) is not None:
            whole = _BARE.match(text[:start]) is not None if head[1] is None else False
            if head[1] is None and not whole:
                return start + 1
            return self._list(start)
        try:
            value, end = reader.value(start)
        except UnreadableError as stopped:
            if stopped.position >= len(text) and not self._names_tool(start):
                self._effort.spend(stopped.position - start)
            else:
                self._fail(start, stopped.position, "plain_json")
            return start + 1
        if not isinstance(value, (dict, list)) or _OBSERVED.search(text, max(0, start - 40), start):
            return end
        shape = shape_of(value, self._names)
        calls = self._counting(shape, start, end)
        if calls and reader.supplied and end >= len(text) and not calls[-1].arguments and text.rstrip()[-1:] not in ("}", "l"):
            self.unread = "plain_json"  # the arguments had not begun
            return end
        self.none = self.none or shape.no_call
        if shape.unread and not calls:
            self.unread = "plain_json" if self.unread is None else self.unread
        if calls:
            extra = _EXTRA.match(text, end)
            end = extra.end() if extra is not None else end
            form = "bare JSON" if self._fence is None else "fenced JSON"
            opening, closing = _OPENED.search(text, max(0, start - _LINE), start), _CLOSED.match(text, end)
            if self._fence is None and opening is not None and closing is not None:
                # A code fence that begins within a line.
                start, end, form = opening.start(), closing.end(), "fenced JSON"
            supplied = reader.supplied and end >= len(text)
            form += ", closing bracket supplied" if supplied else ""
            self._pieces.append(_Piece(start, end, calls, form, "plain_json", supplied))
        return end

    def _counting(self, shape: Shape, start: int, end: int) -> list[ToolCall]:
        """The calls that count. Those of other tools do only where they are the whole reply."""
        if len(shape.everything) == len(shape.calls):
            return shape.calls
        text = self._text
        whole = _BARE.match(text[max(0, start - 400) : start]) is not None and (start < 400 or not text[: start - 400].strip())
        if not whole or _BARE_AFTER.match(text, end) is None or (self._fence is not None and not shape.clear):
            return shape.calls
        return shape.everything

    def _list(self, start: int) -> int:
        """Read calls of programs within brackets. Those of other tools count only as the whole reply."""
        text = self._text
        try:
            calls, end = read_list(self._reader, start + 1, self._names)
        except UnreadableError as stopped:
            self._fail(start, stopped.position, "pythonic")
            return start + 1
        strange = [call for call in calls if not call.offered]
        if strange:
            whole = not text[:start].strip() and not text[end:].strip()
            if not whole or not all(call.keywords and call.call.arguments for call in strange):
                return start + 1
        self._add(start, end, calls, "bracketed calls", "pythonic")
        return end

    def _names_tool(self, start: int) -> bool:
        """Whether the value that begins here names an offered tool."""
        begun = self._text[start : start + 512]
        first = _FIRST.search(begun)
        # A key that is only like the name of a tool may be any key.
        if first is not None and first.group(1) in self._names.schemas:
            return True
        return any(self._names.match(one.group(1)) is not None for one in _NAMED.finditer(begun))


READER = UnmarkedReader()
