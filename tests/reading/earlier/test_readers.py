"""What each reader recognises, and what it leaves alone."""

from __future__ import annotations

import pytest

from selfopt.reading.readers import READERS
from selfopt.reading.readers.base import Found
from selfopt.records import ChainName, ReplyContent, ToolCall, ToolDefinition

LAMP = ToolDefinition(
    name="set_lamp",
    parameters={
        "type": "object",
        "properties": {"room": {"type": "string"}, "level": {"type": "integer"}, "zip": {"type": "string"}},
        "required": ["room"],
    },
)
TIMER = ToolDefinition(name="start-timer", parameters={"type": "object", "properties": {"minutes": {"type": "integer"}}})
TOOLS = (LAMP, TIMER)
HALL = ToolCall(name="set_lamp", arguments={"room": "hall", "level": 3})


def read(reader: ChainName, text: str) -> tuple[ToolCall, ...]:
    return tuple(READERS.all()[reader].read(ReplyContent(text=text), TOOLS).calls)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}',
        'Sure!\n```json\n{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}\n```\nDone.',
        '{"function": {"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}}',
        '{"type": "function", "function": {"name": "set_lamp", "arguments": "{\\"room\\": \\"hall\\", \\"level\\": 3}"}}',
        '{"tool": "set_lamp", "parameters": {"room": "hall", "level": 3}}',
        '{"action": "set_lamp", "action_input": {"room": "hall", "level": 3}}',
        '{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}}]}',
        '{"set_lamp": {"room": "hall", "level": 3}}',
        '{"tool": "set_lamp", "room": "hall", "level": 3}',
        "{'name': 'functions.set_lamp', 'arguments': {'room': 'hall', 'level': 3,},}",
        '{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}',
        'I will call {"name": "set_lamp", "arguments": {"room": "hall", "level": 3}} now',
    ],
)
def test_one_call_in_many_json_shapes(text: str) -> None:
    """All shapes that models write for one call mean the same call."""
    assert read("json", text) == (HALL,)


def test_several_fenced_blocks_are_several_calls_in_order() -> None:
    """Each fenced block brings its call."""
    block = '```json\n{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}\n```\n'
    other = '```\n{"name": "start-timer", "arguments": {"minutes": 5}}\n```'
    assert [call.name for call in read("json", f"{block}then\n{other}")] == ["set_lamp", "start-timer"]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Alice", "age": 5}',
        '{"city": "Ulm"}',
        "[1, 2, 3]",
        '{"name": "set_lamp", "description": "x", "parameters": {"type": "object", "properties": {"room": {}}}}',
        '```python\ntools = [{"name": "set_lamp", "arguments": {"room": "hall"}}]\n```',
    ],
)
def test_json_that_is_no_call_is_text(text: str) -> None:
    """Data, a repeated definition, or program code that mentions a call is not a call."""
    assert READERS.all()["json"].read(ReplyContent(text=text), TOOLS) == Found()


def test_a_call_of_an_unknown_tool_is_kept_as_a_call() -> None:
    """So that it is judged as wrong and not as silence."""
    assert read("json", '{"name": "open_door", "arguments": {}}') == (ToolCall(name="open_door"),)
    assert read("bracket", '[open_door(which="front")]') == (ToolCall(name="open_door", arguments={"which": "front"}),)


@pytest.mark.parametrize("text", ['{"name": "none"}', '{"tool": null}', '{"tool_calls": []}', "[]"])
def test_an_explicit_none_in_json_is_said_to_be_one(text: str) -> None:
    """No call, and read as meant."""
    assert READERS.all()["json"].read(ReplyContent(text=text), TOOLS) == Found(says_none=True)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}\n</tool_call>',
        '<tool_call>{"name": "set_lamp", "arguments": {"room": "hall", "level": 3}}',
        "<function=set_lamp><parameter=room>hall</parameter><parameter=level>3</parameter></function>",
        '<tool_call><function=set_lamp>{"room": "hall", "level": 3}</function></tool_call>',
        '<function_calls><invoke name="set_lamp"><parameter name="room">hall</parameter>'
        '<parameter name="level">3</parameter></invoke></function_calls>',
        "<function=set_lamp>\n<parameter=room>\nhall\n</parameter>\n<parameter=level>3",
    ],
)
def test_one_call_in_many_tags(text: str) -> None:
    """Tags with JSON inside, tags that spell parameters out, closing tags forgotten."""
    assert read("xml", text) == (HALL,)


def test_a_parameter_in_tags_has_the_type_its_schema_says() -> None:
    """A postcode of digits stays text."""
    text = "<function=set_lamp><parameter=zip>01234</parameter><parameter=room>a &amp; b</parameter></function>"
    assert read("xml", text)[0].arguments == {"zip": "01234", "room": "a & b"}


@pytest.mark.parametrize(
    "text",
    [
        '[set_lamp(room="hall", level=3)]',
        "Here: [set_lamp(room='hall', level=3)] done",
        "[set_lamp(room=hall, level=3)]",
        '[set_lamp("hall", 3)]',
        '[ set_lamp( room = "hall" , level = 3 )',
    ],
)
def test_one_call_in_brackets(text: str) -> None:
    """Quoted, unquoted, positional, closing bracket forgotten."""
    assert read("bracket", text) == (HALL,)


def test_several_calls_in_one_pair_of_brackets() -> None:
    """Separated by commas, and names may hold hyphens."""
    assert [c.name for c in read("bracket", '[set_lamp(room="x"), start-timer(minutes=5)]')] == ["set_lamp", "start-timer"]


def test_a_markdown_link_is_no_bracketed_call() -> None:
    """Brackets around other text are text."""
    assert read("bracket", "[set_lamp](http://example.com/set_lamp) and [1] [see(note)]") == ()


@pytest.mark.parametrize(
    "text",
    [
        'set_lamp(room="hall", level=3)',
        '```python\nset_lamp(room="hall", level=3)\n```',
        '```\n# light\nresult = set_lamp(\n    room="hall",\n    level=3,\n)\n```',
        'I will do it:\n`set_lamp(room="hall", level=3)`',
        'print(set_lamp(room="hall", level=3))',
        "- set_lamp({'room': 'hall'}.x)\nset_lamp(room='hall', level=3)",
    ],
)
def test_one_python_call(text: str) -> None:
    """On a line of its own or in a block of nothing but calls."""
    assert read("python_call", text) == (HALL,)


@pytest.mark.parametrize(
    "text",
    [
        '```python\ndef f():\n    return set_lamp(room="hall")\n```',
        '```python\nimport x\nset_lamp(room="hall")\n```',
        'You could write set_lamp(room="hall") in your program.',
        'open_door(which="front")',
    ],
)
def test_a_call_inside_other_code_or_of_an_unknown_function_is_text(text: str) -> None:
    """Code is what was asked for, not a tool call."""
    assert read("python_call", text) == ()


def test_native_calls_are_taken_and_broken_ones_named_unread() -> None:
    """The server's own report counts; arguments that are no object make it unread."""
    native = READERS.all()["native"]
    assert native.read(ReplyContent(tool_calls=(HALL,)), TOOLS).calls == (HALL,)
    assert native.read(ReplyContent(broken_tool_calls=("{",)), TOOLS).unread
