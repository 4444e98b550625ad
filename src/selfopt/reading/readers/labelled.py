"""Reads calls whose name comes before their arguments: `name {...}`, and labels such as `Action:`."""

from __future__ import annotations

import re
from typing import Any

from selfopt.reading.schema import typed_text
from selfopt.records import ToolCall

from .definitions import is_schema
from .keywords import Written, read_call
from .loose import LooseReader, UnreadableError
from .names import Names
from .shapes import arguments_of, the_only

# An argument as Continue asks for it, where a server has no tools.
_ENCLOSED = re.compile(r"\s*+BEGIN_ARG:[ \t]*+([\w\-]{1,128}+)[ \t]*+\n")
_END_ARGUMENT = "END_ARG"
_LIMIT = 256  # arguments of one call
_STRONG = r"[*_]{0,3}+"
_NAME_LABEL = re.compile(
    rf"[#>\-]{{0,3}}+[ \t]*+{_STRONG}(?:action|(?:(?:using|calling|use)[ \t])?(?:tool|function|api)(?:[ _](?:name|call|use))?|call)"
    rf"{_STRONG}[ \t]*+[:：]{_STRONG}[ \t]*+(?:\n[ \t]*+)?+(?=[^\W\d]|[`\"'*_])",
    re.I,
)
_WRITTEN = re.compile(r"[`\"'*_]{0,3}+([^\s`\"'(){}\[\]:：,;|*][^\n`\"'(){}\[\]:：,;|*]{0,127}+)[`\"'*_]{0,3}+[ \t]*+")
_ARGUMENTS_LABEL = re.compile(
    rf"[,;]?\s*+{_STRONG}(?:(?:action|tool|function|call)[ _])?(?:inputs?|arguments?|args|parameters?|params){_STRONG}[ \t]*+[:：=]{_STRONG}[ \t]*+",
    re.I,
)
_FENCE = re.compile(r"\s*+```[\w]{0,16}+[ \t]*+\n?\s*+")
_AFTER_FENCE = re.compile(r"\s*+```(?!\w)")
# What comes after the input of an action.
_NEXT_LABEL = re.compile(
    rf"\n[ \t]*+{_STRONG}(?:observation|thought|action|question|final answer|result|pause|user|assistant)\b|\n\s*+\n|<[|/]", re.I
)
# Of a list of things, of which no model writes one behind an action.
_OTHER_LABEL = re.compile(
    r"\n[ \t]*+(?!(?:observation|thought|action|question|final|result|pause|user|assistant|human|tool|input|answer)\b)[A-Za-z][\w ]{0,24}+:",
    re.I,
)
_HEAD = re.compile(r"([^\W\d][\w.\-/:]{0,255}?)(?:[ \t]*+[:=]?[ \t]*+(?=\{)|[ \t]*+\r?\n[ \t]*+(?=\{|```[\w]{0,16}\s*+\{))")
_IN_BRACKETS = re.compile(r"\[([^\[\]\n]{1,1024})\][ \t]*+(?=\n|\Z)")
_INDEX = re.compile(r":[0-9]{1,6}\Z")
_SLASHED = re.compile(
    r"/([^\W\d][\w.\-]{0,255}+)((?:[ \t]++[\w\-]{1,64}=(?:\"[^\"\n]{0,1024}+\"|'[^'\n]{0,1024}+'|[^\s\"']{1,1024}+)){0,16}+)[ \t]*+(?=\n|\Z)"
)
_ASSIGNED = re.compile(r"([\w\-]+)=(?:\"([^\"]*+)\"|'([^']*+)'|(\S++))")


def read_named(reader: LooseReader, position: int, names: Names) -> Written | None:
    """Read an offered name with an object behind it, on its line or on the next one, perhaps fenced.

    Returns:
        The call; None if something else stands here.

    Raises:
        UnreadableError: the object can't be read.
    """
    text = reader.text
    head = _HEAD.match(text, position)
    if head is None:
        return None
    # DeepSeek's notation has the word before the name, if its special tokens are lost.
    name = _named_exactly(head.group(1), names) or _named_exactly(head.group(1).removeprefix("function"), names)
    if name is None:
        return None
    begin, fence = head.end(), _FENCE.match(text, head.end())
    if fence is not None:
        begin = fence.end()
    value, end = reader.value(begin)
    properties = names.properties(name)
    if not isinstance(value, dict) or is_schema(value, properties) or not all(key in properties for key in value):
        return None
    if fence is not None and (closing := _AFTER_FENCE.match(text, end)) is not None:
        end = closing.end()
    return Written(ToolCall(name=name, arguments=value), end, True, supplied=reader.supplied and end >= len(text))


def _named_exactly(written: str, names: Names) -> str | None:
    """The tool of this very name: words before an object may be anything."""
    name = names.match(written)
    written = _INDEX.sub("", written)
    return name if name is not None and written.endswith((name, name.replace(".", "_"))) else None


def read_labelled(reader: LooseReader, position: int, names: Names) -> Written | str | None:
    """Read `Action: name` with `Action Input: ...` on the next line, and what is like it.

    Returns:
        The call; the name if it means that no tool is called; None if something else stands here.

    Raises:
        UnreadableError: the tool is offered, but its arguments can't be read.
    """
    text = reader.text
    label = _NAME_LABEL.match(text, position)
    written = _WRITTEN.match(text, label.end()) if label is not None else None
    if label is None or written is None:
        return None
    called = written.group(1).strip()
    name = names.match(called)
    if name is None:
        return called if names.is_no_call(called) and label is not None else None
    after, at = text[written.end() : written.end() + 1], written.end()
    if after == "(":
        return read_call(reader, text.rindex(called, label.end(), at), names)
    if after == "[" and (inner := _IN_BRACKETS.match(text, at)) is not None:
        arguments = arguments_of(inner.group(1), name, names)
        return Written(ToolCall(name=name, arguments=arguments), inner.end(), True) if arguments is not None else None
    if (enclosed := _ENCLOSED.match(text, at)) is not None:
        return _enclosed(text, enclosed, name, names)
    given = _ARGUMENTS_LABEL.match(text, at)
    if given is not None:
        return _labelled_arguments(reader, given.end(), name, names)
    if after == "{":
        return _labelled_arguments(reader, at, name, names)
    rest = text[at : at + 1]
    if rest not in ("", "\n", "\r") or names.schema(name).get("required"):
        return None
    if _OTHER_LABEL.match(text, at):
        return None
    return Written(ToolCall(name=name), at, True)


def _enclosed(text: str, found: re.Match[str] | None, name: str, names: Names) -> Written:
    """Read the arguments between BEGIN_ARG and END_ARG. Raises UnreadableError if one has no end."""
    arguments: dict[str, Any] = {}
    end = 0
    while found is not None and len(arguments) < _LIMIT:
        key, begin = found.group(1), found.end()
        end = text.find(_END_ARGUMENT, begin)
        if end < 0:
            raise UnreadableError(len(text))
        raw = text[begin:end].rstrip(" \t").removesuffix("\n")
        arguments[key] = typed_text(raw, names.properties(name).get(key), names.schema(name))
        end += len(_END_ARGUMENT)
        found = _ENCLOSED.match(text, end)
    return Written(ToolCall(name=name, arguments=arguments), end, True)


def _labelled_arguments(reader: LooseReader, position: int, name: str, names: Names) -> Written:
    """Read the arguments behind their label: an object, perhaps fenced, or the text of the only argument."""
    text = reader.text
    fence = _FENCE.match(text, position)
    begin = reader.skip(fence.end() if fence is not None else position)
    value: Any
    if text[begin : begin + 1] in ("{", "["):
        value, end = reader.value(begin)
        supplied = reader.supplied and end >= len(text)
    else:
        begin = fence.end() if fence is not None else position
        after = _NEXT_LABEL.search(text, begin)
        end = text.find("```", begin) if fence is not None else -1
        end = end if end >= 0 else (after.start() if after is not None else len(text))
        value, supplied = text[begin:end].strip().strip("\"'`"), False
        value = "" if names.is_no_call(value) and not names.schema(name).get("required") else value
    arguments = arguments_of(value, name, names) if the_only(name, names) or not isinstance(value, str) or not value else None
    if arguments is None or is_schema(arguments, names.properties(name)):
        raise UnreadableError(end)
    if fence is not None and (closing := _AFTER_FENCE.match(text, end)) is not None:
        end = closing.end()
    return Written(ToolCall(name=name, arguments=arguments), end, True, supplied=supplied)


def read_slashed(text: str, position: int, names: Names) -> Written | None:
    """Read a command such as `/name key=value`; None if something else stands here."""
    command = _SLASHED.match(text, position)
    name = names.match(command.group(1)) if command is not None else None
    if command is None or name is None:
        return None
    given = {one.group(1): one.group(2) or one.group(3) or one.group(4) or "" for one in _ASSIGNED.finditer(command.group(2))}
    if not all(key in names.properties(name) for key in given) or (not given and names.schema(name).get("required")):
        return None
    return Written(ToolCall(name=name, arguments=given), command.end(), True)
