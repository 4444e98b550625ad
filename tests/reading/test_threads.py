"""What models wrote in reported bugs, and texts that only look like it.

The inputs name tools that are common words, have dots, dashes and servers in their names, or begin
with the name of another tool.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.reading import Reading, read
from selfopt.reading.families import FAMILIES
from selfopt.records import ToolCall, ToolDefinition
from tests.each import assert_each

DATA = Path(__file__).parent / "data"
TEXT = {"type": "string"}


def tool(name: str, properties: dict[str, Any], *required: str) -> ToolDefinition:
    """A tool with these properties."""
    return ToolDefinition(
        name=name, description="d", parameters={"type": "object", "properties": properties, "required": list(required)}
    )


GUEST = {
    "type": "object",
    "properties": {"name": TEXT, "age": {"type": "integer"}, "tags": {"type": "array", "items": TEXT}},
}
TOOLS = (
    tool("city_weather", {"city": TEXT}, "city"),
    tool("set_timer", {"minutes": {"type": "number"}, "label": TEXT}, "minutes"),
    tool("write_note", {"text": TEXT}, "text"),
    tool("list_alarms", {}),
    tool("mail", {"from": TEXT, "class": TEXT}),
    tool("plan_trip", {"stops": {"type": "array", "items": TEXT}}),
    tool("search", {"query": TEXT, "limit": {"type": "integer"}}, "query"),
    tool("read", {"path": TEXT, "offset": {"type": ["integer", "null"]}}, "path"),
    tool("time", {"zone": TEXT}),
    tool("final", {"answer": TEXT}),
    tool("mcp__files__read_file", {"path": TEXT}, "path"),
    tool("files.list", {"path": TEXT}),
    tool("get-user", {"id": TEXT}, "id"),
    tool("city", {"name": TEXT}),
    tool(
        "book",
        {
            "guest": GUEST,
            "nights": {"type": "integer"},
            "paid": {"type": "boolean"},
            "note": {"anyOf": [TEXT, {"type": "null"}]},
            "extra": {},
            "price": {"type": "number"},
        },
        "guest",
    ),
    tool("bash", {"command": TEXT, "description": TEXT, "timeout": {"type": "integer"}}, "command"),
)
CALL = '{"name": "city_weather", "arguments": {"city": "Graz"}}'
OTHER = CALL.replace("Graz", "Bern")
GRAZ = [["city_weather", {"city": "Graz"}]]
THINKING = (
    *(("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")),
    *(("<thought>", "</thought>"), ("<seed:think>", "</seed:think>"), ("◁think▷", "◁/think▷"), ("<THINK>", "</THINK>")),
    *(("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel>thought\n", "<channel|>"), ("<scratchpad>", "</scratchpad>")),
    *(("<|begin_of_thought|>", "<|end_of_thought|>"), ("<|inner_prefix|>", "<|inner_suffix|>")),
)
VALUES = (
    *("<tool_call>", "</tool_call>", "a </parameter> b", "<function=x>", "[TOOL_CALLS] x", "<|im_end|>", "<|tool_call_end|>"),
    *(
        "</think> and <think>",
        'it\'s "quoted"',
        "back\\slash C:\\new\\table",
        "ends\n",
        "\nstarts",
        "crlf\r\nline\r\n",
        "tab\tin",
    ),
    *(
        "emoji 👩‍👩‍👧 ok",
        "שלום עולם",
        '{"a": [1, "b"]}',
        "a &amp; b &lt;x&gt;",
        'if a < b && c > d:\n    print("x")',
        "null",
        "true",
    ),
    *("123", "1e5", "", "  ", "'single'", "`code`", "```python\nx = 1\n```", "a, b: c = d; e", "{x}", "[y]", "(z)", "<escape>"),
    *('<|"|>', "commentary to=functions.x", "# c", "// no comment", "http://a.b/c?d=e&f=g", "\\n literal", "a\u2028b", "x\\"),
    *(
        "Action: x\nAction Input: y",
        "User: hi\nAssistant: ho",
        "None",
        CALL,
        'city_weather(city="Graz")',
        "007",
        "multi\n\n\nblank",
    ),
)


def cases(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The inputs of a file of data, by their names."""
    return [(case["id"], case) for case in json.loads((DATA / name).read_text("utf-8"))]


def calls(found: Reading) -> str:
    """The calls as JSON, so that 1 is neither true nor "1"."""
    return json.dumps([[call.name, dict(call.arguments)] for call in found.tool_calls], sort_keys=True)


def read_as_meant(case: dict[str, Any]) -> None:
    """The calls of a case are found."""
    found = read(case["text"], TOOLS, thinking_opened=case.get("thinking_opened", False))
    assert calls(found) == json.dumps(case["calls"], sort_keys=True)


def stays_text(case: dict[str, Any]) -> None:
    """No call is found, and what has to stay stays."""
    found = read(case["text"], TOOLS)
    assert calls(found) == "[]"
    assert found.text.strip() == case["text"].strip() or not case["kept"]
    assert found.unread is None or not case["quiet"]


def test_what_models_wrote_is_read() -> None:
    """Damaged, mixed, wrapped, with prose around, in the forms of APIs."""
    assert_each(cases("threads.json"), read_as_meant)


def test_what_only_looks_like_a_call_stays_text() -> None:
    """Prose, tutorials, code, data, definitions, quotations, echoes, and the look-alikes of marks."""
    assert_each(cases("restraint.json"), stays_text)


def test_marks_of_thinking_in_odd_places_hide_no_call() -> None:
    """And thinking holds none."""
    assert_each(cases("thinking.json"), read_as_meant)


@pytest.mark.parametrize(("opening", "closing"), THINKING)
def test_calls_in_thinking_are_no_calls_wherever_it_stands(opening: str, closing: str) -> None:
    """Before, behind, twice, unclosed and unopened; in an argument the marks are text."""
    tagged = f"<tool_call>\n{CALL}\n</tool_call>"
    for text in (
        f"{opening}Use {OTHER}?\n{closing}\n{tagged}",
        f"{opening}\nUse\n{OTHER}\n\n{closing}\n\n{CALL}",
        f"Sure.\n{opening}Use {OTHER}?{closing}\n{tagged}",
        f"{tagged}\n{opening}Was {OTHER} better?{closing}",
        f"Use {OTHER}?\n{closing}\n{tagged}",
        f"{opening}a {OTHER}{closing}{opening}b {OTHER}{closing}{CALL}",
        f"Write `{opening.strip()}` to open it.\n{tagged}",
    ):
        assert calls(read(text, TOOLS)) == json.dumps(GRAZ)
    assert calls(read(f"{opening}I will call {CALL}", TOOLS)) == "[]"
    assert read(f"{opening}Use {CALL}? No.{closing}Hello!", TOOLS).text == "Hello!"
    value = f"a {opening} b {closing} c"
    wanted = json.dumps([["write_note", {"text": value}]], sort_keys=True)
    assert calls(read(json.dumps({"name": "write_note", "arguments": {"text": value}}), TOOLS)) == wanted
    assert (
        calls(
            read(f"<tool_call>\n<function=write_note>\n<parameter=text>\n{value}\n</parameter>\n</function>\n</tool_call>", TOOLS)
        )
        == wanted
    )


@pytest.mark.parametrize("name", sorted(FAMILIES.builtin))
def test_no_family_changes_a_text_that_looks_like_something_else(name: str) -> None:
    """Marks, quotes, escapes, line ends, words for values, code and calls."""
    family = FAMILIES.all()[name]
    for value in VALUES:
        written = family.write([ToolCall(name="write_note", arguments={"text": value})])
        assert calls(read(written, TOOLS)) == json.dumps([["write_note", {"text": value}]], sort_keys=True)
