"""Reads arguments that stand between marks of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .loose import LooseReader, UnreadableError
from .marks import Parameter
from .scan import BEYOND, Scan

Given = tuple[dict[str, Any], int, str, bool]

_LIMIT = 256  # arguments of one call
_LOOK = 12  # characters that a look at a mark within a value counts for
_DEPTH = 8  # levels of elements within elements
_CHILD = re.compile(r"<([\w.\-]{1,128}+)>")
_CDATA = re.compile(r"\s*+<!\[CDATA\[(.*)\]\]>\s*+", re.S)
_BESIDE = re.compile(r"\bvalue=\"([^\"<>]{0,1024})\"")
_MINIMAX = "]<]minimax[>["
_TAIL = re.compile(r"\]<\]minimax\[>\[\s*+\Z")


def between_marks(scan: Scan, at: int, name: str, key: str = "", begin: int = 0) -> Given | None:
    """Arguments such as `<parameter=key>value</parameter>`.

    Args:
        scan: the text.
        at: where the first mark stands.
        name: the tool.
        key: the first argument, if its mark is damaged. Its value begins at `begin`.
        begin: see `key`.

    Returns:
        The arguments, the position after them, and `parameters`; None if the last one is cut off.
    """
    arguments: dict[str, Any] = {}
    known = scan.properties(name)
    head = scan.parameter(at)
    while (head is not None or key) and len(arguments) < _LIMIT:
        kind, more = (head[0], head[1]["more"]) if head is not None else (_pairs(scan), "")
        if head is not None:
            key, begin = head[1]["key"].strip(), head[1].end()
        end, at, cut = _end_of_value(scan, kind, begin, known.keys() - arguments.keys() - {key})
        raw = scan.text[begin:end]
        if cut and not (kind.framed == "always" and raw.endswith("\n") and raw.strip()):
            return None
        # Where the closing mark is lost, so may be the line break before it.
        raw = _unframed(raw, "always" if end == at and raw.endswith("\n") else kind.framed)
        arguments[key] = _value(scan, name, key, raw, more)
        if cut:
            return arguments, at, "parameters", True
        key, head = "", scan.parameter(scan.skip(at))
    return arguments, at, "parameters", False


def _pairs(scan: Scan) -> Parameter:
    return next(one for one in scan.marks.parameters if "arg_key" in one.opening.pattern)


def _end_of_value(scan: Scan, kind: Parameter, begin: int, others: frozenset[str] | set[str]) -> tuple[int, int, bool]:
    """Where a value ends, where to go on, and whether neither it nor the call has an end.

    It ends at the last closing mark before the next argument or the end of the call. Marks before
    that are text.
    """
    closing, opening, ending = kind.closing, scan.marks.opening, scan.marks.ending
    data = _end_of_data(scan, kind, begin)
    if data is not None:
        return (*data, False)
    last: tuple[int, int] | None = None
    chain, chained = begin, -1  # where the opening marks begin that stand here one behind the other
    at, places = begin, [-1, -1, -1, -1]
    while scan.effort.spend(_LOOK):
        for index, pattern in enumerate((closing, kind.opening, ending, opening)):
            places[index] = places[index] if places[index] >= at else scan.next(pattern, at)
        first = min(places)
        if first == BEYOND:
            return (*last, False) if last else (len(scan.text), len(scan.text), True)
        if first == places[0]:
            after = closing.match(scan.text, first).end()  # type: ignore[union-attr]  # it was found there
            if _is_over(scan, kind, after):
                return first, after, False
            last, at = (first, after), after
        elif first == places[1]:
            head = kind.opening.match(scan.text, first)
            if head is not None and head["key"].strip() in others:
                return first, first, False
            at = first + 1
        elif first == places[2]:
            after = max(scan.past_ends(first, arguments=False), first + 1)
            if not _goes_on(scan, kind, after):
                return (*last, False) if last else (first, first, False)
            at = after
        else:
            mark = opening.match(scan.text, first)
            after = mark.end() if mark is not None else first + 1
            chain = chain if chained == first else first
            chained = scan.skip(after)
            goes_on = _goes_on(scan, kind, after)
            if last is not None and not goes_on:
                return (*last, False)
            if not goes_on and opening.match(scan.text, chained) is None:
                # A whole call within the value, or the next call.
                quoted = scan.parameter(chained) is not None
                after = max(scan.past_ends(min(scan.next(ending, after), len(scan.text)), arguments=False), after)
                if not quoted or not _goes_on(scan, kind, after):
                    return chain, chain, False
            at = after
    return len(scan.text), len(scan.text), True


def _end_of_data(scan: Scan, kind: Parameter, begin: int) -> tuple[int, int] | None:
    """Where an object or a list ends that is the whole value; marks within its strings are text."""
    at = scan.skip(begin)
    scan.loose.repaired = False
    found = scan.value(at) if scan.text.startswith(("{", "["), at) else None
    if scan.loose.repaired:
        return None  # what looks like a text may be the rest of the call
    end = kind.closing.match(scan.text, scan.skip(found[1])) if found is not None else None
    return (end.start(), end.end()) if end is not None and _is_over(scan, kind, end.end()) else None


def _is_over(scan: Scan, kind: Parameter, after: int) -> bool:
    """Whether a closing mark ends the argument, by what follows it."""
    at = scan.skip(after)
    if at >= len(scan.text) or scan.parameter(at) is not None:
        return True
    past = scan.past_ends(at, arguments=False)
    if past == at:
        return scan.marks.opening.match(scan.text, at) is not None and not _goes_on(scan, kind, at)
    if scan.parameter(scan.skip(past)) is not None:
        return True
    return not _goes_on(scan, kind, past)


def _goes_on(scan: Scan, kind: Parameter, at: int) -> bool:
    """Whether the value goes on here: a mark closes an argument before a further one is opened."""
    closing = scan.next(kind.closing, at)
    return closing < BEYOND and scan.next(kind.opening, at) > closing


def _unframed(raw: str, framed: str) -> str:
    """The value without the line breaks that belong to its marks."""
    if framed == "always":
        line = "\r\n" if raw.startswith("\r\n") else "\n"
        return raw.removeprefix(line).removesuffix(line)
    if framed == "both" and len(raw) > 1 and raw[0] == raw[-1] == "\n":
        return raw[1:-1]
    return raw


def _value(scan: Scan, name: str, key: str, raw: str, more: str) -> Any:
    """The value that the text means. `more` is what the mark says of it."""
    data = _CDATA.fullmatch(raw)
    if data is not None:
        return data.group(1)
    if not raw.strip() and (beside := _BESIDE.search(more)) is not None:
        raw = beside.group(1)
    if 'string="true"' in more or 'type="string"' in more:
        return raw
    if 'string="false"' in more or 'type="' in more:
        try:
            value, end = LooseReader(raw).value(len(raw) - len(raw.lstrip()))
        except UnreadableError:
            return scan.typed(name, key, raw)
        return scan.typed(name, key, raw) if raw[end:].strip() else value
    return scan.typed(name, key, raw)


def between_elements(scan: Scan, at: int, name: str) -> Given | None:
    """Arguments such as `<key>value</key>`; None if there are none."""
    known = scan.properties(name)
    arguments: dict[str, Any] = {}
    while len(arguments) < _LIMIT:
        head = _CHILD.match(scan.text, scan.skip(at))
        key = head.group(1) if head is not None else ""
        if head is None or not (key in known or not known):
            break
        end = _end_of_element(scan, head)
        if end < 0:
            break
        raw = scan.text[head.end() : end]
        inner = _TAIL.sub("", raw)
        nested = _nested(inner, _DEPTH) if raw != inner else None
        arguments[key] = scan.typed(name, key, _unframed(inner, "both")) if nested is None else nested
        at = end + len(key) + 3
    return (arguments, at, "parameters", False) if arguments else None


def _end_of_element(scan: Scan, head: re.Match[str]) -> int:
    """Where the closing tag of an element stands: the first one that a tag or the end follows."""
    tag, at, last = f"</{head.group(1)}>", head.end(), -1
    while scan.effort.left > 0:
        found = scan.text.find(tag, at)
        if found < 0:
            scan.effort.spend((len(scan.text) - at) // 16)
            break
        scan.effort.spend(64)
        at = last = found + len(tag)
        after = scan.skip(at)
        if after >= len(scan.text) or scan.text[after] == "<":
            return found
    return last - len(tag) if last >= 0 else -1


def _nested(raw: str, depth: int) -> Any:
    """The object or list that elements within an element write; None if there are none."""
    text = raw.replace(_MINIMAX, "").strip()
    if depth <= 0 or not (raw.lstrip().startswith(_MINIMAX) and _CHILD.match(text)):
        return None
    items: list[tuple[str, Any]] = []
    at = 0
    while (head := _CHILD.match(text, at)) is not None and len(items) < _LIMIT:
        end = text.find(f"</{head.group(1)}>", head.end())
        if end < 0:
            return None
        inner = text[head.end() : end]
        deeper = _nested(_MINIMAX + inner, depth - 1)
        items.append((head.group(1), _literal(inner) if deeper is None else deeper))
        at = end + len(head.group(1)) + 3
        at += len(text[at:]) - len(text[at:].lstrip())
    return [value for _, value in items] if all(key == "item" for key, _ in items) else dict(items)


def _literal(text: str) -> Any:
    try:
        value, end = LooseReader(text).value(0)
    except UnreadableError:
        return text
    return value if end == len(text) and not isinstance(value, Mapping) else text
