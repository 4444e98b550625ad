"""Tool names that every tools API accepts.

OpenAI accepts `^[a-zA-Z0-9_-]{1,64}$` and others are as strict, but names such as `math.gcd` are
common. A tool is sent under a name that servers accept. Readers turn that name back into the tool's
own, in native calls and in text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from selfopt.records import Message, ToolDefinition, as_kind_of, remembered

MAX_LENGTH = 64
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


@lru_cache(maxsize=1024)
def _renamed(names: tuple[str, ...]) -> Mapping[str, str]:
    """The wire name of each tool whose own name some servers refuse.

    No two tools share a wire name.
    """
    wanted = {name: _REFUSED.sub("_", name)[:MAX_LENGTH] or "tool" for name in names}
    taken = {name for name in names if wanted[name] == name}
    renamed: dict[str, str] = {}
    for name in names:
        if name in taken or name in renamed:
            continue
        wire, number = wanted[name], 2
        while wire in taken:
            suffix = f"_{number}"
            wire, number = wanted[name][: MAX_LENGTH - len(suffix)] + suffix, number + 1
        taken.add(wire)
        renamed[name] = wire
    return renamed


@lru_cache(maxsize=1024)
def own_names(names: tuple[str, ...]) -> Mapping[str, str]:
    """The tools' own names by wire name, where the two differ."""
    return {wire: name for name, wire in _renamed(names).items()}


def sent_names(names: tuple[str, ...]) -> Mapping[str, str]:
    """The wire names of tools by their own names, where the two differ."""
    return _renamed(names)


@remembered
def with_wire_names(
    messages: Sequence[Message], tools: Sequence[ToolDefinition], offered: Sequence[ToolDefinition]
) -> tuple[Sequence[Message], Sequence[ToolDefinition]]:
    """The conversation and the tools that are shown under wire names.

    Args:
        messages: the conversation.
        tools: those of the offered tools that are shown, in any order.
        offered: all tools in the order in which readers get them, who number alike names so.

    Returns:
        The same objects if no name has to change.
    """
    renamed = _renamed(tuple(tool.name for tool in offered))
    if not renamed:
        return messages, tools
    sent = tuple(tool.model_copy(update={"name": renamed[tool.name]}) if tool.name in renamed else tool for tool in tools)
    return tuple(_with_calls_renamed(message, renamed) for message in messages), as_kind_of(tools, sent)


def _with_calls_renamed(message: Message, renamed: Mapping[str, str]) -> Message:
    calls = tuple(c.model_copy(update={"name": renamed[c.name]}) if c.name in renamed else c for c in message.tool_calls)
    name = renamed.get(message.name, message.name) if message.name is not None else None
    return (
        message
        if calls == message.tool_calls and name == message.name
        else message.model_copy(update={"tool_calls": calls, "name": name})
    )
