"""Is an argument something that the conversation says, or made up?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Message, ToolDefinition

__all__ = ["made_up"]

_TOKEN = re.compile(r"[^\W_]+")
_STEM = 4
_TEXT_LIMIT = 200_000


def made_up(arguments: Mapping[str, Any], tool: ToolDefinition, messages: Sequence[Message]) -> list[str]:
    """Names of required free-text arguments that share no word with the conversation.

    Words are compared by their first four characters, case-blind. Enumerations, formatted strings (dates, times), numbers
    and structures are never called made up: they are often derived and not copied.
    """
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return []
    said = _stems(" ".join(message.content for message in messages)[-_TEXT_LIMIT:])
    doubtful = []
    for key in required:
        schema, value = properties.get(key), arguments.get(key)
        if not isinstance(schema, Mapping) or not isinstance(value, str):
            continue
        free = schema.get("type") == "string" and "enum" not in schema and "const" not in schema and "format" not in schema
        words = _stems(value)
        if free and words and not words & said:
            doubtful.append(key)
    return doubtful


def _stems(text: str) -> set[str]:
    return {token[:_STEM].lower() for token in _TOKEN.findall(text)}
