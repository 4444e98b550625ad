"""Writes tools, calls and conversations as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from selfopt.reading.families import write_calls
from selfopt.records import CallFormat, Message, ToolDefinition, remembered

ToolStyle = Literal["brief", "signature", "json"]

_DEPTH_LIMIT = 4
_TEXT_LIMIT = 600
_ENUM_LIMIT = 24


@remembered
def describe_tools(tools: Sequence[ToolDefinition], style: ToolStyle) -> str:
    """Describe each tool in one line. See `VariantOptions.tool_style`."""
    if not tools:
        return "(no tools)"
    return "\n".join(_as_json(tool) if style == "json" else _signature(tool, brief=style == "brief") for tool in tools)


def _as_json(tool: ToolDefinition) -> str:
    body = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return json.dumps(body, ensure_ascii=False, separators=(", ", ": "), default=str)


def _signature(tool: ToolDefinition, *, brief: bool) -> str:
    required = tool.parameters.get("required")
    needed = set(required) if isinstance(required, list) and all(isinstance(key, str) for key in required) else set()
    properties = tool.parameters.get("properties")
    parts = []
    for key, schema in properties.items() if isinstance(properties, Mapping) else ():
        optional = "" if key in needed else "?"
        parts.append(f"{key}{optional}" if brief else f"{key}{optional}: {_type(schema, 0)}")
    text = f"{tool.name}({', '.join(parts)})"
    return f"{text} - {_line(tool.description)}" if tool.description else text


def _type(schema: Any, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > _DEPTH_LIMIT:
        return "any"
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return "|".join(json.dumps(value, ensure_ascii=False, default=str) for value in values[:_ENUM_LIMIT])
    kind = schema.get("type")
    name = "|".join(str(one) for one in kind) if isinstance(kind, list) else str(kind or "any")
    if name == "array":
        name = f"list of {_type(schema.get('items'), depth + 1)}"
    elif name == "object" and isinstance(schema.get("properties"), Mapping):
        inner = ", ".join(f"{key}: {_type(part, depth + 1)}" for key, part in schema["properties"].items())
        name = f"{{{inner}}}"
    note = schema.get("description")
    return f"{name} ({_line(note)})" if isinstance(note, str) and note else name


def _line(text: str) -> str:
    return " ".join(text[:_TEXT_LIMIT].split())


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
