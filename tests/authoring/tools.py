"""Tools to write prompts for."""

from __future__ import annotations

from typing import Any

from selfopt.records import ToolDefinition


def tool(name: str, required: tuple[str, ...] = (), **parts: Any) -> ToolDefinition:
    """A tool with these arguments."""
    return ToolDefinition(
        name=name,
        description=f"To {name.replace('_', ' ')}.",
        parameters={"type": "object", "properties": parts, "required": list(required)},
    )


WEATHER = tool("get_weather", ("city",), city={"type": "string"}, days={"type": "integer", "minimum": 1, "maximum": 14})
LAMP = tool(
    "set_lamp",
    ("room", "percent"),
    room={"enum": ["bedroom", "study"]},
    percent={"type": "integer", "minimum": 0, "maximum": 100},
)
CLOCK = tool("read_clock")
