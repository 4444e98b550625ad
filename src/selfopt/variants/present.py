"""Writes tools, calls and conversations as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from selfopt.reading.families import write_calls
from selfopt.records import CallFormat, Message, ToolDefinition, remembered

from .signatures import signature

ToolStyle = Literal["brief", "signature", "json"]


@remembered
def describe_tools(tools: Sequence[ToolDefinition], style: ToolStyle) -> str:
    """Describe each tool in one line. See `VariantOptions.tool_style`."""
    if not tools:
        return "(no tools)"
    return "\n".join(_as_json(tool) if style == "json" else signature(tool, brief=style == "brief") for tool in tools)


def _as_json(tool: ToolDefinition) -> str:
    body = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    try:
        return json.dumps(body, ensure_ascii=False, separators=(", ", ": "), default=str)
    except (ValueError, TypeError, RecursionError):  # a schema that holds itself, or is too deep to write
        return json.dumps(body | {"parameters": {"type": "object"}}, ensure_ascii=False, separators=(", ", ": "))


_FORMATS: Mapping[CallFormat, str] = {
    "json": '{"name": "<tool>", "arguments": {"<argument>": <value>}}; several calls as a JSON list of these',
    "xml": '<tool_call>{"name": "<tool>", "arguments": {"<argument>": <value>}}</tool_call>, one line for each call',
    "bracket": "[<tool>(<argument>=<value>)]; several calls separated by commas inside the brackets",
    "python_call": "<tool>(<argument>=<value>), one line for each call",
}


def explain_format(call_format: CallFormat) -> str:
    """Say in one sentence how to write a call."""
    return f"Write a call as {_FORMATS[call_format]}."


_ROLES = {"user": "User", "assistant": "Assistant", "system": "System"}


def _tell(message: Message, names: Mapping[str, str], call_format: CallFormat) -> str:
    if message.role == "tool":
        name = message.name if message.name is not None else names.get(message.tool_call_id or "")
        return f"Result of {name or 'the tool'}: {message.content.strip()}"
    lines = [f"{_ROLES[message.role]}: {message.content.strip()}"] if message.content.strip() or not message.tool_calls else []
    if message.tool_calls:
        lines.append(f"Assistant called: {write_calls(message.tool_calls, call_format)}")
    return "\n".join(lines)


def tell_conversation(messages: Sequence[Message], call_format: CallFormat) -> str:
    """Write a conversation as a transcript.

    A result without a name gets the name of the call that it answers.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls if call.id}
    return "\n".join(_tell(message, names, call_format) for message in messages)
