"""Tool calls between the marks of a family."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from selfopt.reading.families import ROWS
from selfopt.reading.family import Family
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .base import CALL_LIMIT, NOTHING, SAYS_NONE, Effort, Found, clean_text
from .bodies import arguments_at, body_at
from .chains import HARMONY, LOOK_BACK, MarkChain
from .echoes import Echoes, quoted
from .marks import Mark, Marks
from .names import Names
from .rehearsed import rehearsed
from .scan import Body, Scan

_ATTEMPT = 112  # characters that a mark without a call counts for
_EFFORT = 2  # characters that failed attempts may read for each character of the text
# A name, perhaps with an open brace and a key behind it.
_HEAD = re.compile(r"(?<![\w.:/\-])([\w.:/\-]{1,128}+)\s*+(?:\{\s*+\w{1,64}+\s*+:\s*+)?\Z")
_MESSAGE = "<|message|>"
# The beginning of a text that is a value in JSON or in an argument of Python.
_VALUE = re.compile(r"[{\[(,:=]\s{0,8}[\"'][^\"'\n]{0,160}\Z")
_VALUE_BEFORE = 180


@dataclass(frozen=True, slots=True)
class _Element:
    """Calls with the marks around them."""

    start: int
    end: int
    body: Body
    family: Family
    special: bool = False  # whether tokens stand around them that no text holds


class MarkedReader:
    """Reads calls between the marks of some families."""

    version = 1

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def of(self, family: Family) -> MarkedReader:
        """A reader of this family alone."""
        return MarkedReader((family,))

    @cached_property
    def marks(self) -> Marks:
        """The marks that are looked for."""
        return Marks(self._families, ROWS)

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        text = clean_text(content.text)
        first = self.marks.opening.search(text) if self.marks.may_stand_in(text) else None
        if first is None:
            return NOTHING
        scan = Scan(text, Names.of(tools), self.marks, Effort(_EFFORT * len(text) + 1024))
        elements, none = self._elements(scan, first.start())
        spans = [(one.start, one.end) for one in elements]
        told = {index for index in rehearsed(text, spans, marked=True) if not elements[index].special}
        examples = quoted(text, spans) | told
        elements = [
            one
            for index, one in enumerate(elements)
            if index not in examples and (_offered(scan, one) or not _in_value(text, one.start))
        ]
        calls: list[ToolCall] = [call for one in elements for call in one.body.calls]
        if not calls:
            return SAYS_NONE if none else NOTHING
        family = elements[0].family
        spans = [(one.start, one.end) for one in elements]
        return Found(calls, family.title or family.name, spans, family=family.name, supplied=elements[-1].body.cut)

    def _elements(self, scan: Scan, at: int) -> tuple[list[_Element], bool]:
        """The elements with calls in them, and whether one says that no tool is called."""
        elements: list[_Element] = []
        none, count, chain = False, 0, MarkChain()
        echoes = Echoes(scan.text)
        while count <= CALL_LIMIT and scan.effort.left > 0:
            found = scan.marks.opening.search(scan.text, at)
            if found is None:
                break
            echo = echoes.end_of_echo(elements[-1].end if elements else 0, found.start(), after_call=bool(elements))
            if echo is not None:
                at = echo
                continue
            mark = scan.marks.mark(found)
            if chain.end < 0 < found.start() and scan.text[0] not in " \n<":
                headless = _headless(scan, found, mark)
                elements += [headless] if headless is not None else []
            chain.add(scan, found, mark)
            body = self._body(scan, found, mark)
            at = max(found.end(), found.start() + 1)
            if body is None:
                scan.effort.spend(_ATTEMPT)
                continue
            at = max(body.end, at)
            none = none or body.none or not body.calls
            if body.calls:
                end = scan.past_ends(body.end)
                family = chain.family(scan, found, body, end)
                elements.append(_Element(chain.start, max(at, end), body, family, chain.is_special))
                count += len(body.calls)
                at = max(at, end)
        return elements, none or _is_empty(scan, elements, chain)

    def _body(self, scan: Scan, found: re.Match[str], mark: Mark) -> Body | None:
        written = found.group(found.lastindex or 0)
        if mark.behind:
            scan.effort.spend(LOOK_BACK)
            head = _HEAD.search(scan.text, max(0, found.start() - LOOK_BACK), found.start())
            known = head is not None and scan.names.match(head.group(1)) is not None
            return body_at(scan, head.start(), mark) if head is not None and known else None
        if mark.piece == "to=":
            return _harmony(scan, found, mark)
        if mark.word and scan.text[found.start() - 1 : found.start()].isalnum():
            return None
        if mark.named:
            if scan.names.is_no_call(written):
                return Body((), found.end(), none=True)
            return arguments_at(scan, found.end(), written, mark)
        return body_at(scan, found.start() if mark.piece == "call:" else found.end(), mark)


def _offered(scan: Scan, element: _Element) -> bool:
    return any(scan.names.match(call.name) is not None for call in element.body.calls)


def _in_value(text: str, at: int) -> bool:
    """Whether this place stands in a value of another call, where marks are text."""
    return _VALUE.search(text, max(0, at - _VALUE_BEFORE), at) is not None


def _harmony(scan: Scan, found: re.Match[str], mark: Mark) -> Body | None:
    """A message to a tool, if its head says so."""
    text = scan.text
    if found.start() and text[found.start() - 1] not in " >\n":
        return None
    before = HARMONY.search(text, max(0, found.start() - LOOK_BACK), found.start())
    head = before.group() if before is not None else ""
    body = body_at(scan, found.end(), mark)
    if body is None or not body.named or not (body.form == "json" or _MESSAGE in text[found.end() : body.end + 32]):
        return None
    known = all(scan.names.match(call.name) is not None for call in body.calls)
    addressed = text.startswith("functions.", found.end())
    if not (head.strip() or addressed) or not (known or (addressed and "<" in head)):
        return None
    return body


def _headless(scan: Scan, found: re.Match[str], mark: Mark) -> _Element | None:
    """A call that begins the text without its mark, if the mark of the next call follows it."""
    body = body_at(scan, 0, Mark("headless", mark.families))
    if body is None or not body.calls or scan.skip(scan.past_ends(body.end)) != found.start():
        return None
    return _Element(0, scan.past_ends(body.end), body, mark.families[0])


def _is_empty(scan: Scan, elements: Sequence[_Element], chain: MarkChain) -> bool:
    """Whether there are marks and nothing between them."""
    at = scan.skip(chain.end)
    return not elements and scan.past_ends(at) > at and not chain.is_named


READER = MarkedReader(tuple(row for row in ROWS if row.reader == "marked"))
