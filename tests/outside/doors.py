"""The public doors that the cases go through. The one file here that may name an inner module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfopt.reading import Reading, read
from selfopt.reading.fit import fit_calls
from selfopt.records import Message, ToolCall, ToolDefinition
from selfopt.variants.grammar import arguments_grammar

__all__ = ["Reading", "fit", "grammar_of_arguments", "read", "tool"]


def tool(name: str, properties: dict[str, Any], required: Sequence[str] = (), **more: Any) -> ToolDefinition:
    """A tool with these properties; more: other keywords of its schema."""
    body = {"type": "object", "properties": properties, "required": list(required), **more}
    return ToolDefinition(name=name, description="d", parameters=body)


def fit(arguments: dict[str, Any], request: str, offered: ToolDefinition) -> dict[str, Any]:
    """The arguments of a call of this tool, fitted to its schema and the request."""
    (call,) = fit_calls([ToolCall(name=offered.name, arguments=arguments)], [Message(role="user", content=request)], (offered,))
    return dict(call.arguments)


def grammar_of_arguments(offered: ToolDefinition) -> str:
    """The grammar that limits the arguments of a call of this tool."""
    return arguments_grammar(offered)
