"""Believes what a call holds only if somebody else than the model said it.

What the model itself said in earlier turns may be a guess. An offer that the user answered is none:
what the model asked about counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .ground import grounded


def heard(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """As `ground`, but of the model's own words only questions count that the user answered.

    The arguments of its calls don't count. Results of tools do, and so does whatever the user or the
    system said.

    Returns:
        The calls that are left, and what was dropped.
    """
    return grounded(calls, said_to_it(messages), tools)


def said_to_it(messages: Sequence[Message]) -> list[Message]:
    """What the model was told: all but its own calls, and its words except questions that were answered."""
    told = []
    for place, message in enumerate(messages):
        if message.role != "assistant":
            told.append(message)
        elif "?" in message.content.replace("？", "?") and any(later.role == "user" for later in messages[place + 1 : place + 2]):
            told.append(Message(role="assistant", content=message.content))
    return told
