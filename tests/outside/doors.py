"""The public doors that the cases go through. The one file here that may name an inner module, until the doors stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.endpoints.thinking import split_thinking
from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition
from selfopt.variants.fit import fit_calls
from selfopt.variants.grammar import arguments_grammar
from selfopt.variants.read import read_reply

__all__ = ["Reading", "fit", "grammar_of_arguments", "read", "tool"]

_EVERY_PARSER: Any = ("native", "xml", "json", "bracket", "python_call")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. tool_calls: each has `name` and `arguments`; unread: the family of a call that nothing reads, None: none seen."""

    tool_calls: tuple[ToolCall, ...]
    text: str
    thinking: str
    unread: str | None


def tool(name: str, properties: dict[str, Any], required: Sequence[str] = (), **more: Any) -> ToolDefinition:
    """A tool with these properties; more: other keywords of its schema."""
    body = {"type": "object", "properties": properties, "required": list(required), **more}
    return ToolDefinition(name=name, description="d", parameters=body)


def read(text: str, tools: Sequence[ToolDefinition], *, thinking_opened: bool = False) -> Reading:
    """What a model's words say. thinking_opened: the prompt ended within the thinking. To become `selfopt.reading.read`."""
    answer, thinking = split_thinking(f"<think>{text}" if thinking_opened else text)
    parsed = read_reply(_EVERY_PARSER, ReplyContent(text=answer, thinking=thinking), tools)
    return Reading(parsed.tool_calls, answer, thinking, parsed.unread)


def fit(arguments: dict[str, Any], request: str, offered: ToolDefinition) -> dict[str, Any]:
    """The arguments of a call of this tool, fitted to its schema and the request."""
    (call,) = fit_calls([ToolCall(name=offered.name, arguments=arguments)], [Message(role="user", content=request)], (offered,))
    return dict(call.arguments)


def grammar_of_arguments(offered: ToolDefinition) -> str:
    """The grammar that limits the arguments of a call of this tool."""
    return arguments_grammar(offered)
