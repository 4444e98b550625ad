"""A suite with searched and held-out prompts, and written choices, for tests of what is written."""

from __future__ import annotations

from typing import Any

from selfopt.records import ExpectedCall, Message, Prompt, Suite, ToolDefinition, WrittenChoice


def tool(name: str, *arguments: str) -> ToolDefinition:
    """A tool with texts as arguments."""
    properties = {one: {"type": "string"} for one in arguments}
    return ToolDefinition(name=name, parameters={"type": "object", "properties": properties, "required": list(arguments)})


def prompt(ident: str, said: str, split: Any, calls: Any = (), tool_set: str = "t") -> Prompt:
    """A prompt and its only accepted answer."""
    expected = tuple(ExpectedCall(name=name, arguments=arguments) for name, arguments in calls)
    messages = (Message(role="user", content=said),)
    return Prompt(id=ident, kind="k", split=split, tool_set=tool_set, messages=messages, expected=(expected,))


SEARCHED = (
    prompt("p0", "Weather in Oslo?", "search", [("get_weather", {"city": ["Oslo", "oslo"]})]),
    prompt("p1", "Tell me a joke about rain.", "search"),
    prompt("p2", "Please book flight LX2044 for Marta Keller.", "search", [("book", {"code": ["LX2044"], "seat": ["", "3A"]})]),
    *(
        prompt(f"p{i}", f"Is it warm in place number {i}?", "search", [("get_weather", {"city": [f"place {i}"]})])
        for i in range(3, 12)
    ),
)
HELD_OUT = (
    prompt(
        "h0", "Could you move invoice 80315-77 to Bergström please?", "heldout", [("move_invoice", {"to": ["Bergström"]})], "u"
    ),
    prompt(
        "h1",
        "I would like to know when the next ferry leaves.",
        "heldout",
        [("ferry_times", {"from": ["harbour of the west"]})],
        "u",
    ),
    prompt("h2", "Thanks.", "canary", (), "u"),
)
SUITE = Suite(
    name="w",
    phase="atomic",
    tool_sets={"t": (tool("get_weather", "city"), tool("book", "code"), tool("stop")), "u": (tool("move_invoice", "to"),)},
    prompts=(*SEARCHED, *HELD_OUT),
)
IDS = tuple(one.id for one in SEARCHED)


def instructions(text: str, search_id: str = "s") -> WrittenChoice:
    """Written instructions."""
    return WrittenChoice.of(search_id, text, by="reflection", model="scripted/r")
