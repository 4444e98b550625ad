"""Nothing of live traffic stays behind in what is remembered of rendered requests."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition
from selfopt.variants import render
from selfopt.variants.again import calls_in
from selfopt.variants.space import composed

from .test_again import first_token

POINTS: list[dict[str, str]] = [
    {"tools": "native", "required_only": "yes"},
    {"tools": "signatures", "required_only": "yes"},
    {"tools": "signatures", "required_only": "yes", "keep_tools": "one"},
    {"tools": "signatures", "keep_tools": "one"},
    {"tools": "native", "examples": "own_tools"},
    {"tools": "signatures", "examples": "own_tools"},
    {"tools": "signatures", "examples": "own_tools", "required_only": "yes"},
    {"tools": "signatures", "examples": "own_tools", "steps": "choose_then_fill", "form": "grammar"},
    {"tools": "signatures", "form": "schema", "votes": "three"},
    {"tools": "native", "decide": "even"},
    {"tools": "native", "pick": "loose"},
    {"tools": "signatures", "retry": "once", "more": "ask"},
]
MARK = "Sets what only this client has."
NEEDED: dict[str, Any] = {
    "type": "object",
    "properties": {"room": {"type": "string"}, "level": {"type": "integer"}},
    "required": ["room"],
}


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_lists_of_messages_and_tools_are_gone_once_they_are_answered(point: dict[str, str]) -> None:
    """They are a client's, which may send a million bytes of tools once and never again."""
    variant = composed(point)

    def asked() -> int:
        tools = [ToolDefinition(name=name, description=MARK, parameters=NEEDED) for name in ("lamp.set", "heat.set")]
        messages = [Message(role="system", content=MARK), Message(role="user", content="Set the lamp and the heat.")]
        steps, count = render(variant, messages, tools), 0
        step = next(steps)
        try:
            while True:
                count += 1
                call = ToolCall(name="lamp.set", arguments={"room": f"{count}"})
                step = steps.send(first_token(yes=-0.1, no=-3.0) if step.logprobs else ReplyContent(tool_calls=(call,)))
        except StopIteration:
            return count

    assert asked() > 0
    calls_in(ReplyContent(), ())  # the newest reply is
    gc.collect()
    here = [one for one in gc.get_objects() if type(one) in (ToolDefinition, Message)]
    left = [one for one in here if MARK in (one.description if isinstance(one, ToolDefinition) else one.content)]
    assert not left, f"{len(left)} are left"
