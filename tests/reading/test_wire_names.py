"""Tools under names that every API takes, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.families import write_calls
from selfopt.reading.wire_names import own_names, with_wire_names
from selfopt.records import CallFormat, ChainName, Message, ReplyContent, ToolCall, ToolDefinition
from selfopt.variants import load_variants, render
from selfopt.variants.grammar import calls_grammar, choice_grammar
from selfopt.variants.space import composed
from tests.variants.gbnf import Grammar

TAKEN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
GCD = ToolDefinition(name="math.gcd", description="d", parameters=SCHEMA)
PLAIN = ToolDefinition(name="math_gcd", description="d", parameters=SCHEMA)
OTHER = ToolDefinition(name="math.numbers.lcm", description="d", parameters=SCHEMA)
TOOLS = (GCD, OTHER)
ASK = (Message(role="user", content="Which?"),)
TALK = (
    Message(role="user", content="Which?"),
    Message(role="assistant", tool_calls=(ToolCall(name="math.gcd", arguments={"a": 1}, id="c1"),)),
    Message(role="tool", content="1", tool_call_id="c1", name="math.gcd"),
)
VARIANTS = load_variants()


def call(name: str) -> ToolCall:
    """A call with one argument."""
    return ToolCall(name=name, arguments={"a": 4})


def test_a_native_request_has_names_that_are_taken_and_its_calls_come_back_as_the_tools() -> None:
    """Tools, earlier calls and results alike; parsers undo it."""
    step = next(render(VARIANTS["native_api"], TALK, TOOLS))
    assert [tool.name for tool in step.tools] == ["math_gcd", "math_numbers_lcm"]
    assert [c.name for m in step.messages for c in m.tool_calls] == ["math_gcd"]
    assert [m.name for m in step.messages if m.role == "tool"] == ["math_gcd"]
    for said in ("math_gcd", "math.gcd"):
        reply = ReplyContent(tool_calls=(call(said), call("math_numbers_lcm")), finish_reason="tool_calls")
        assert read_calls(("native",), reply, TOOLS).tool_calls == (call("math.gcd"), call("math.numbers.lcm"))
    assert read_calls(("native",), ReplyContent(tool_calls=(call("gcd"),)), TOOLS).tool_calls == (call("gcd"),)


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        ("json", '{"name": "NAME", "arguments": {"a": 4}}'),
        ("json", '```json\n{"NAME": {"a": 4}}\n```'),
        ("xml", '<tool_call>{"name": "NAME", "arguments": {"a": 4}}</tool_call>'),
        ("xml", "<function=NAME><parameter=a>4</parameter></function>"),
        ("bracket", "[NAME(a=4)]"),
        ("python_call", "NAME(a=4)"),
        ("python_call", "```python\nprint(NAME(a=4))\n```"),
    ],
)
def test_every_text_format_reads_both_names(parser: ChainName, text: str) -> None:
    """A model that was shown the other name natively may still write its call as text."""
    for name in ("math.gcd", "math_gcd"):
        assert read_calls((parser,), ReplyContent(text=text.replace("NAME", name)), TOOLS).tool_calls == (call("math.gcd"),)


@pytest.mark.parametrize("call_format", ["json", "xml", "bracket", "python_call"])
def test_text_formats_and_grammars_keep_dots(call_format: CallFormat) -> None:
    """What a grammar lets a model write is read back as it is."""
    grammar = Grammar(calls_grammar(TOOLS, call_format, 2))
    calls = (call("math.gcd"), call("math.numbers.lcm"))
    written = write_calls(calls, call_format)
    assert grammar.accepts(written)
    assert read_calls((call_format,), ReplyContent(text=written), TOOLS).tool_calls == calls
    assert Grammar(choice_grammar(TOOLS, 2)).accepts("math.gcd, math.numbers.lcm")


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_variant_sends_names_that_are_taken(name: str) -> None:
    """Whatever goes out as a tool of the API."""
    steps = render(VARIANTS[name], ASK, TOOLS)
    assert all(TAKEN.fullmatch(tool.name) for tool in next(steps).tools)
    steps.close()


def test_tools_whose_names_are_taken_go_out_as_they_are() -> None:
    """The very objects: nothing that is remembered about them is lost."""
    assert with_wire_names(TALK, (PLAIN,), (PLAIN,))[1] == (PLAIN,)
    messages, tools = with_wire_names(ASK, (PLAIN,), (PLAIN,))
    assert messages is ASK
    assert tools[0] is PLAIN


def test_a_tool_that_has_the_other_name_keeps_it() -> None:
    """Both orders."""
    for tools in ((GCD, PLAIN), (PLAIN, GCD)):
        sent = [tool.name for tool in with_wire_names(ASK, tools, tools)[1]]
        assert sorted(sent) == ["math_gcd", "math_gcd_2"]
        reply = ReplyContent(tool_calls=tuple(call(name) for name in sent))
        assert [c.name for c in read_calls(("native",), reply, tools).tool_calls] == [tool.name for tool in tools]


@pytest.mark.parametrize("point", [{"keep_tools": "one"}, {"votes": "three"}])
def test_a_call_is_read_as_the_tool_that_was_shown(point: dict[str, str]) -> None:
    """Also where only some tools are shown, or all in another order: wire names are those of all offered tools."""
    dotted = ToolDefinition(name="files.read", description="Lists invoices.", parameters=SCHEMA)
    slashed = ToolDefinition(name="files/read", description="Waters plants.", parameters=SCHEMA)
    spaced = ToolDefinition(name="files read", description="Feeds horses.", parameters=SCHEMA)
    tools, variant = (dotted, slashed, spaced), composed(point)
    steps = render(variant, (Message(role="user", content="Water the plants."),), tools)
    told, step = {tool.name: tool.description for tool in tools}, next(steps)
    for number in range(3):
        reply = ReplyContent(tool_calls=tuple(call(tool.name) for tool in step.tools))
        read = [c.name for c in read_calls(("native",), reply, tools).tool_calls]
        assert [told[name] for name in read] == [tool.description for tool in step.tools]
        try:  # no two replies agree
            step = steps.send(ReplyContent(tool_calls=(ToolCall(name="files.read", arguments={"a": number}),)))
        except StopIteration:
            break


@given(st.lists(st.text("ab._-/é ", max_size=70), unique=True, max_size=12))
def test_wire_names_are_taken_distinct_and_read_back(names: list[str]) -> None:
    """Any names: too long, empty, alike but for what is replaced."""
    tools = tuple(ToolDefinition(name=name) for name in names)
    sent = [tool.name for tool in with_wire_names(ASK, tools, tools)[1]]
    assert all(TAKEN.fullmatch(name) for name in sent)
    assert len(set(sent)) == len(names)
    own = own_names(tuple(names))
    assert [own.get(name, name) for name in sent] == names
    assert all(name == wire for name, wire in zip(names, sent, strict=True) if TAKEN.fullmatch(name))
