"""Reads calls as elements that the tool names: <city_weather><city>Graz</city></city_weather>."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from selfopt.reading.schema import resolved, typed_text
from selfopt.records import ToolCall

from .base import Effort
from .keywords import Written
from .loose import UnreadableError, decode_object
from .names import Names
from .shapes import the_only

OPENING = re.compile(
    r"<([^\W\d][\w.\-]{0,127}+)((?:[ \t\r\n]++[\w\-]{1,64}+=(?:\"[^\"<>]{0,1024}+\"|'[^'<>]{0,1024}+')){0,16}+)[ \t\r\n]*+(/?)>"
)
_ATTRIBUTE = re.compile(r"([\w\-]{1,64}+)=(?:\"([^\"]*+)\"|'([^']*+)')")
_CHILD = re.compile(r"\s*+<([\w\-.]{1,128}+)(?:[ \t][^<>]{0,128}+)?>")
_EMPTY_CHILD = re.compile(r"\s*+<([\w\-.]{1,128}+)[ \t]*+/>")
_ITEM = re.compile(r"\s*+<([\w\-.]{1,64}+)>([^<]{0,4096}+)</\1>\s*+")
# An element around all arguments, as in Roo Code.
_AROUND = re.compile(r"\s*+<(args|arguments|parameters|params|input)>")
CDATA = re.compile(r"\s*+<!\[CDATA\[(.*)\]\]>\s*+", re.S)
"""A value that is one section of plain text in XML."""
_FAST = 8  # how much faster the end of an element is looked for than values are read
# Elements of such a name that hold text are found in any document.
_PLAIN_WORD = re.compile(r"[a-z]+|[A-Z]+|[A-Z][a-z]+")
_SPACE = re.compile(r"\s*+")


def read_element(text: str, position: int, names: Names, effort: Effort) -> Written | None:
    """Read the call whose element starts at this position.

    Returns:
        The call; None if the element names no offered tool or holds something else.

    Raises:
        UnreadableError: the element is cut off in a value.
    """
    opening = OPENING.match(text, position)
    name = opening.group(1) if opening is not None else ""
    if opening is None or name not in names.schemas:
        return None
    root = names.schema(name)
    schemas = names.properties(name)
    arguments = {
        one.group(1): typed_text(one.group(2) or one.group(3) or "", schemas.get(one.group(1)), root)
        for one in _ATTRIBUTE.finditer(opening.group(2))
    }
    if any(key not in schemas for key in arguments):
        return None
    required = root.get("required")
    if opening.group(3):
        return Written(ToolCall(name=name, arguments=arguments), opening.end(), True) if arguments or not required else None
    closing = f"</{name}>"
    given = _around(text, opening.end(), closing, root, schemas, effort)
    given = (
        given
        or _children(text, opening.end(), closing, root, schemas, effort)
        or _body(text, opening.end(), closing, name, names)
    )
    if given is None:
        effort.spend((len(text) - opening.end()) // _FAST)
        return None
    more, end, supplied = given
    if not (arguments or more) and required:
        return None
    return Written(ToolCall(name=name, arguments=arguments | more), end, True, supplied=supplied)


def _children(
    text: str, position: int, closing: str, root: Mapping[str, Any], schemas: Mapping[str, Any], effort: Effort
) -> tuple[dict[str, Any], int, bool] | None:
    """The arguments that stand in elements of their own; None if there are none, or other text with them."""
    arguments: dict[str, Any] = {}
    lists: set[str] = set()
    while effort.left > 0:
        if (empty := _EMPTY_CHILD.match(text, position)) is not None and empty.group(1) in schemas:
            arguments[empty.group(1)], position = typed_text("", schemas[empty.group(1)], root), empty.end()
            continue
        child = _CHILD.match(text, position)
        if child is None or not (child.group(1) in schemas or (arguments and not schemas)):
            break
        key = child.group(1)
        end = _end_of_value(text, child.end(), key, closing, schemas, effort)
        value = _typed(_unframed(text[child.end() : end]), schemas.get(key), root)
        if key not in arguments:
            arguments[key] = value
        elif key in lists:
            arguments[key].append(value)
        else:
            arguments[key] = [arguments[key], value]
            lists.add(key)
        position = end + (len(key) + 3 if text.startswith(f"</{key}>", end) else 0)
    after = _SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
    if text.startswith(closing, after):
        return (arguments, after + len(closing), False) if arguments or not schemas else None
    if arguments and after >= len(text):
        return arguments, after, True
    return None


def _around(
    text: str, position: int, closing: str, root: Mapping[str, Any], schemas: Mapping[str, Any], effort: Effort
) -> tuple[dict[str, Any], int, bool] | None:
    """The arguments that one element encloses; None if there is none."""
    around = _AROUND.match(text, position)
    if around is None or around.group(1) in schemas:
        return None
    given = _children(text, around.end(), f"</{around.group(1)}>", root, schemas, effort)
    if given is None or given[2]:
        return given
    after = _SPACE.match(text, given[1]).end()  # type: ignore[union-attr]  # it matches nothing, too
    return (given[0], after + len(closing), False) if text.startswith(closing, after) else None


def _end_of_value(text: str, begin: int, key: str, closing: str, schemas: Mapping[str, Any], effort: Effort) -> int:
    """Where a value ends: before the first closing tag behind which the call goes on or ends.

    Raises UnreadableError if the text ends before.
    """
    tag, at, last = f"</{key}>", begin, -1
    while effort.left > 0:
        found = text.find(tag, at)
        if found < 0:
            break
        effort.spend(64)
        last, at = found, found + len(tag)
        after = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        child = _CHILD.match(text, at)
        if after >= len(text) or text.startswith(closing, after) or (child is not None and child.group(1) in schemas):
            return found
    if last < 0:
        last = text.find(closing, begin)
    if last < 0:
        effort.spend(len(text) - begin)
        raise UnreadableError(len(text))
    return last


def _typed(raw: str, schema: Any, root: Mapping[str, Any]) -> Any:
    if (data := CDATA.fullmatch(raw)) is not None:
        return typed_text(data.group(1), schema, root)
    kind = resolved(schema, root).get("type") if schema is not None else None
    if kind == "array" and raw.lstrip().startswith("<"):
        items, at = [], 0
        while (item := _ITEM.match(raw, at)) is not None:
            items.append(item.group(2))
            at = item.end()
        if at == len(raw):
            inner = resolved(schema, root).get("items")
            return [typed_text(one, inner, root) for one in items]
    return typed_text(raw, schema, root)


def _unframed(raw: str) -> str:
    """The value without the line breaks that set it apart from its tags."""
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == "\n" else raw


def _body(text: str, position: int, closing: str, name: str, names: Names) -> tuple[dict[str, Any], int, bool] | None:
    """The arguments of an element that holds JSON, nothing, or the text of its only argument."""
    end = text.find(closing, position)
    if end < 0:
        return None
    inner = text[position:end]
    properties, only = names.properties(name), the_only(name, names)
    written = inner.strip()
    if written[:1] in ("", "{"):
        arguments = decode_object(written)
        known = arguments is not None and all(key in properties for key in arguments)
        return (arguments or {}, end + len(closing), False) if known else None
    if only is None or "<" in inner or _PLAIN_WORD.fullmatch(name):
        return None
    return {only: typed_text(_unframed(inner), properties[only], names.schema(name))}, end + len(closing), False
