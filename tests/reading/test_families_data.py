"""Every family's format is read: whole, with marks lost or changed, and with values that try the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.reading import read
from selfopt.records import ToolDefinition
from tests.each import assert_each

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


FAMILIES = sorted((DATA / "families").glob("*.json"))


def cases(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The cases of a family by their names, which start with the family's."""
    return [(f"{path.stem}: {case['id']}", case) for case in json.loads(path.read_text("utf-8"))]


def as_written(case: dict[str, Any]) -> None:
    """The calls of a case are found."""
    found = read(case["text"], TOOLS, thinking_opened=case.get("thinking_opened", False))
    now = [[call.name, dict(call.arguments)] for call in found.tool_calls]
    # As JSON, so that 1 is neither true nor "1".
    assert json.dumps(now, sort_keys=True) == json.dumps(case["calls"], sort_keys=True)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda path: path.stem)
def test_a_familys_calls_are_read_as_they_were_written(family: Path) -> None:
    """The place that shows the form stands beside each input."""
    assert_each([(name, case) for name, case in cases(family) if name not in NOT_READ], as_written)


def test_what_is_not_read_is_a_case_and_not_read() -> None:
    """No name of a case that is gone, or that is read by now, stays in the list."""
    waiting = {name: case for family in FAMILIES for name, case in cases(family) if name in NOT_READ}
    assert set(waiting) == NOT_READ
    for case in waiting.values():
        with pytest.raises(AssertionError):
            as_written(case)
