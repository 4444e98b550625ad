"""Tool calls in XML tags: <tool_call>{json}</tool_call>, <function=name><parameter=...>, <invoke name="...">."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfopt.records import ParsedReply, ReplyContent, ToolCall, ToolDefinition

from .base import CALL_LIMIT, TEXT_LIMIT, Budget, Offered, clean_text, found, nothing
from .json_text import calls_in_json
from .literals import LiteralReader, UnreadableError, decode_object

__all__ = ["XmlParser"]

_OPEN = re.compile(
    r"<(tool_call|tool_calls|function_call|function_calls|tools|tool|call)>"
    r"|<function=([^<>\n]{1,256})>"
    r"|<(invoke|function|tool|call)[ \t]+name=[\"']([^\"'<>\n]{1,256})[\"'][ \t]*/?>"
)
_PARAMETER = re.compile(
    r"<(parameter|param|arg|argument)(?:=[ \t]*([^<>\n]{1,256})|[ \t]+name=[\"']([^\"'<>\n]{1,256})[\"'][^<>\n]{0,64})>"
)
_JSON = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"\s*+,?\s*+")


class XmlParser:
    """Reads tags that hold a call as JSON, or that spell name and parameters out."""

    name = "xml"

    def parse(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply:
        """The calls, or none."""
        text = clean_text(content.text)
        return self._parse(text, tools) if "<" in text else nothing()

    def certain(self, text: str, tools: Sequence[ToolDefinition]) -> tuple[ToolCall, ...]:
        """The calls with which any reply that begins with this text begins, as `parse` reads it: of the elements up to the first
        that has no closing tag, or something between its JSON and that."""
        text, end = clean_text(text), 0
        while (opening := _OPEN.search(text, end)) is not None:
            closed = _closed(text, opening)
            if closed is None:
                break
            end = closed
        return self._parse(text[:end], tools).tool_calls if end else ()

    def _parse(self, text: str, tools: Sequence[ToolDefinition]) -> ParsedReply:
        offered, budget, no_call, tag = Offered.of(tools), Budget(), False, ""
        calls: list[ToolCall] = []
        for name, label, body in _elements(text, budget):
            if name is None:
                shape = calls_in_json(body, offered, budget)
                calls += shape.calls
                no_call = no_call or shape.no_call or offered.is_no_call(body)
            elif offered.is_no_call(name):
                no_call = True
            else:
                calls.append(ToolCall(name=offered.match(name) or name, arguments=_arguments(body, name, offered)))
            tag = tag if not calls or tag else label
            if len(calls) > CALL_LIMIT or budget.left <= 0:
                break
        if calls:
            return found(self.name, calls, f"<{tag}> tags")
        return nothing("explicit none") if no_call else nothing()


def _elements(text: str, budget: Budget) -> Iterator[tuple[str | None, str, str]]:
    """(name or None, tag, body) of each call element. The body ends at its closing tag or at the next call element,
    whichever is first, so that a missing closing tag does no harm and the time stays linear. Tags within the texts of JSON are none."""
    openings, index = list(_OPEN.finditer(text)), 0
    while index < len(openings):
        opening = openings[index]
        past = _past_json(text, opening.end(), budget)
        index += 1
        while index < len(openings) and openings[index].start() < past:
            index += 1
        limit = openings[index].start() if index < len(openings) else len(text)
        tag = _tag(opening)
        end = text.find(f"</{tag}>", past, limit)
        name = opening.group(2) or opening.group(4)
        body = text[opening.end() : end if end >= 0 else limit]
        yield (name.strip() if name else None), tag, body


def _past_json(text: str, position: int, budget: Budget) -> int:
    """Where the whole JSON objects and lists that stand here end; the position itself where there are none."""
    while budget.left > 0:
        start = _SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        if text[start : start + 1] not in ("{", "["):
            break
        try:
            position = _JSON.raw_decode(text, start)[1]
        except json.JSONDecodeError as error:
            budget.spend(error.pos - start)
            break
        except (ValueError, RecursionError):
            budget.spend(TEXT_LIMIT)
            break
    return position


def _closed(text: str, opening: re.Match[str]) -> int | None:
    """Where the element ends that is opened here, when nothing that follows can change that."""
    closing, past = f"</{_tag(opening)}>", opening.end()
    start = _SPACE.match(text, past).end()  # type: ignore[union-attr]  # it matches nothing, too
    if text[start : start + 1] in ("{", "["):
        try:
            past = _JSON.raw_decode(text, start)[1]
        except (ValueError, RecursionError):
            return None
        past = _SPACE.match(text, past).end()  # type: ignore[union-attr]
        return past + len(closing) if text.startswith(closing, past) else None
    end, other = text.find(closing, past), _OPEN.search(text, past)
    return None if end < 0 or (other is not None and other.start() < end) else end + len(closing)


def _tag(opening: re.Match[str]) -> str:
    return opening.group(1) or opening.group(3) or "function"


def _arguments(body: str, name: str, offered: Offered) -> dict[str, Any]:
    """Parameters spelled out as tags, else the body as one JSON object."""
    marks = list(_PARAMETER.finditer(body))
    if not marks:
        return decode_object(body.strip()) or {}
    properties = offered.properties(offered.match(name) or name)
    arguments: dict[str, Any] = {}
    for index, mark in enumerate(marks):
        limit = marks[index + 1].start() if index + 1 < len(marks) else len(body)
        end = body.find(f"</{mark.group(1)}>", mark.end(), limit)
        key = (mark.group(2) or mark.group(3) or "").strip().strip("\"'")
        arguments[key] = _typed(body[mark.end() : end if end >= 0 else limit], properties.get(key))
    return arguments


def _typed(raw: str, schema: Any) -> Any:
    """The text of a parameter as its schema's type says; text where it says string or nothing that helps."""
    text = html.unescape(raw.strip())
    wanted = schema.get("type") if isinstance(schema, Mapping) else None
    if wanted == "string":
        return text.encode("utf-8", "replace").decode("utf-8")
    try:
        value, end = LiteralReader(text).value(0)
    except UnreadableError:
        return text
    return value if end == len(text) else text
