"""Every family's format is read: whole, with marks lost or changed, and with values that try the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.reading import read
from selfopt.records import ToolDefinition

DATA = Path(__file__).parent / "data"
# Who mends a kind takes its cases out.
NOT_READ: frozenset[str] = frozenset(json.loads((DATA / "not_read.json").read_text("utf-8")))


def tool(name: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> ToolDefinition:
    """A tool with these properties."""
    body = {"type": "object", "properties": properties, "required": list(required)}
    return ToolDefinition(name=name, description="d", parameters=body)


TOOLS = (
    tool("city_weather", {"city": {"type": "string"}}, ("city",)),
    tool("set_timer", {"minutes": {"type": "number"}, "label": {"type": "string"}}, ("minutes",)),
    tool("write_note", {"text": {"type": "string"}}, ("text",)),
    tool("list_alarms", {}),
    tool("mail", {"from": {"type": "string"}, "class": {"type": "string"}}),
    tool("plan_trip", {"stops": {"type": "array", "items": {"type": "string"}}}),
    tool("fill_form", {"fields": {"type": "object"}, "rows": {"type": "array"}}),
)


def _case(family: str, case: dict[str, Any]) -> Any:
    name = f"{family}: {case['id']}"
    marks = [pytest.mark.xfail(strict=True, reason="not read yet")] if name in NOT_READ else []
    return pytest.param(case, id=name, marks=marks)


CASES = [
    _case(path.stem, case) for path in sorted((DATA / "families").glob("*.json")) for case in json.loads(path.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_a_familys_calls_are_read_as_they_were_written(case: dict[str, Any]) -> None:
    """The place that shows the form stands beside each input."""
    found = read(case["text"], TOOLS, thinking_opened=case.get("thinking_opened", False))
    now = [[call.name, dict(call.arguments)] for call in found.tool_calls]
    # As JSON, so that 1 is neither true nor "1".
    assert json.dumps(now, sort_keys=True) == json.dumps(case["calls"], sort_keys=True)


def test_what_is_not_read_is_a_case() -> None:
    """No name of a case that is gone stays in the list."""
    assert {case.id for case in CASES} >= NOT_READ
