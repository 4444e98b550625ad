"""Leaves out calls that the conversation has made already and got an answer to.

A small model that is shown a tool's result often makes the same call again, and an agent then asks
for ever. A call that failed, or whose work is not done yet, may be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .answered import answered_calls
from .schema import Schema, arguments_of, properties_of, resolved


def without_repeats(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition], *, ever: bool
) -> tuple[list[ToolCall], list[Correction]]:
    """Drop each call that repeats one with the same arguments whose result is there.

    Arguments are the same if they are equal, those with the default of their schema and those that
    are null set aside. The newest result of a call counts. Each call is looked at by itself.

    Args:
        calls: what was read.
        messages: the conversation.
        tools: the tools that are offered.
        ever: whether results count that came before the user last spoke. A user may want to look
            again, so only a measurement can say whether a model gains by it.

    Returns:
        The calls that are left, and what was dropped.
    """
    schemas = {tool.name: tool.parameters for tool in reversed(tools)}
    newest: list[tuple[str, Any, bool]] = []
    for one in answered_calls(messages):
        if ever or one.last_turn:
            newest.append((one.call.name, _given(one.call, schemas.get(one.call.name)), one.failed))
    kept: list[ToolCall] = []
    dropped: list[Correction] = []
    for call in calls:
        given = _given(call, schemas.get(call.name))
        failed = next((bad for name, before, bad in reversed(newest) if name == call.name and _same(before, given)), True)
        if failed:
            kept.append(call)
        else:
            dropped.append(Correction(kind="made_before", tool=call.name))
    return kept, dropped


def _given(call: ToolCall, root: Schema | None) -> dict[str, Any]:
    """The arguments that say something."""
    parts = properties_of(arguments_of(root)) if root is not None else {}
    given = {}
    for key, value in call.arguments.items():
        part = resolved(parts.get(key), root) if root is not None else {}
        if value is not None and not ("default" in part and _same(part["default"], value)):
            given[key] = value
    return given


def _same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal. True is not 1."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    try:
        return bool(one == other)
    except RecursionError:  # a client's call that is too deep to compare
        return False
