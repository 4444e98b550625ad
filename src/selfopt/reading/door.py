"""The public function `read`: a reply in, tool calls out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from selfopt.errors import UsageError, VariantError
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .chain import LATEST, ask, chain_of, says_none
from .families import FAMILIES, ROWS, Family
from .readers import READERS
from .readers.base import CALL_LIMIT
from .signs import sign_of_call
from .thinking import split_thinking

_EMPTY_FENCE = re.compile(r"^[ \t]{0,8}(```+|~~~+)[^\n`]{0,200}\n\s*+\1[ \t]*+$\n?", re.M)
_OPEN_FENCE = re.compile(r"```[^\s`]{0,32}+\s*+\Z")
_BETWEEN = " \t\r\n;,"
_WRAPPED = 4  # how many layers of marks are removed around a call


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model wrote.

    Attributes:
        tool_calls: the calls in order, at most 64.
        text: the rest of the reply, for a person to read.
        thinking: the model's thinking.
        unread: the family (or else the reader) of a call that the text seems to hold but that is
            cut off or can't be read. None if there is no such call.
    """

    tool_calls: tuple[ToolCall, ...]
    text: str
    thinking: str
    unread: str | None


def read(text: str, tools: Sequence[ToolDefinition | Mapping[str, Any]], *, thinking_opened: bool = False) -> Reading:
    """Split a model's reply into tool calls, text and thinking.

    Asks every built-in reader, like a variant that names them all. Searches the first 262,144
    characters for calls, in bounded time on any text.

    Args:
        text: the reply as the model wrote it.
        tools: the tools that the model was offered, as in a request to OpenAI or as records.
        thinking_opened: whether the chat template opened the thinking block before the reply.

    Raises:
        UsageError: a tool has another form. No text raises anything.

    Example:
        >>> tools = [{"type": "function", "function": {"name": "city_weather"}}]
        >>> got = read('Sure. <tool_call>{"name": "city_weather", "arguments": {"city": "Graz"}}</tool_call>', tools)
        >>> got.tool_calls[0].arguments, got.text
        ({'city': 'Graz'}, 'Sure.')
    """
    offered = tuple(_definition(tool, place) for place, tool in enumerate(tools))
    answer, thinking = split_thinking(text, opened=thinking_opened)
    content = ReplyContent.model_construct(
        text=answer, thinking=thinking, tool_calls=(), broken_tool_calls=(), finish_reason="unknown"
    )
    name, found = ask(chain_of((LATEST,)).readers, content, offered)
    calls, spans = tuple(found.calls[:CALL_LIMIT]), list(found.spans)
    unread = found.family or name if found.unread else None
    if not calls and not says_none(answer, offered):
        unread = _unread(content, offered, unread)
    return Reading(calls, _without(answer, spans) if spans else answer, thinking, unread)


def _definition(tool: Any, place: int) -> ToolDefinition:
    if isinstance(tool, ToolDefinition):
        return tool
    given = tool.get("function", tool) if isinstance(tool, Mapping) else None
    fields = given if isinstance(given, Mapping) else {}
    known = {key: fields[key] for key in ToolDefinition.model_fields if fields.get(key) is not None}
    try:
        return ToolDefinition.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        form = '{"type": "function", "function": {"name": ..., "parameters": {...}}}'
        raise UsageError(f"tools[{place}]: {where}: {first['msg']}; a tool is {form}") from None


def _marks(families: Iterable[Family], side: int) -> tuple[str, ...]:
    """The marks before (0) or after (1) the calls of families, but for code fences.

    Opening marks end where the tool's name begins.
    """
    marks = (mark.strip() for one in families for mark in (one.around[side], one.marks[side].partition("{name}")[0]))
    return tuple(dict.fromkeys(mark for mark in marks if mark and not mark.startswith("```")))


@cache
def _of_table() -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _marks(ROWS, 0), _marks(ROWS, 1)


def _known_marks() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The marks before and after calls, those of installed families included."""
    more = FAMILIES.added().values()
    before, after = _of_table()
    return before + _marks(more, 0), after + _marks(more, 1)


def opening_marks() -> tuple[str, ...]:
    """The marks before calls, but for code fences."""
    return _known_marks()[0]


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Remove these spans, the marks around them, and the code fences that are empty afterwards."""
    opening, closing = _known_marks()
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    kept = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    for _ in range(_WRAPPED):
        for index, part in enumerate(kept):
            before, after = part.rstrip(), part.lstrip()
            if index < len(spans) and before.endswith(opening):
                kept[index] = before[: -len(next(mark for mark in opening if before.endswith(mark)))]
            elif index and after.startswith(closing):
                kept[index] = after[len(next(mark for mark in closing if after.startswith(mark))) :]
    for index, (start, end) in enumerate(spans, 1):
        # A code fence that begins within the marks of a call ends behind it.
        inside = text.count("```", start, end) % 2 and not _OPEN_FENCE.search(kept[index - 1])
        if inside and kept[index].lstrip().startswith("```"):
            kept[index] = kept[index].lstrip()[3:]
    between = {family.between.strip() for family in FAMILIES.all().values()}
    kept[1:-1] = [part if part.strip(_BETWEEN) and part.strip() not in between else "" for part in kept[1:-1]]
    return _EMPTY_FENCE.sub("", "".join(kept)).strip()


def _unread(content: ReplyContent, tools: Sequence[ToolDefinition], stopped: str | None) -> str | None:
    """Name who might read a call that the built-in readers can't.

    That is the family whose call the text seems to hold, or the reader that a broken call stopped,
    or else an installed reader.
    """
    seen = sign_of_call(content.text, tools)
    if seen and (stopped is None or seen in FAMILIES.builtin):
        return seen
    if stopped is not None:
        return stopped
    with suppress(VariantError):
        return ask(READERS.added(), content, tools)[0] or None
    return None
