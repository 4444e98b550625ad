"""What of a reply is certain before it ends stays so, whatever follows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import certain_calls, chain_of, read_calls
from selfopt.reading.readers import READERS
from selfopt.reading.readers.base import GrowingReader
from selfopt.records import ChainName, Example, Message, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import render
from tests.examples import some_of

LAMP = ToolDefinition(
    name="lamp", parameters={"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]}
)
TOOLS = (LAMP, ToolDefinition(name="stop"))
HALL = '{"name": "lamp", "arguments": {"room": "hall"}}'
STOP = '{"name": "stop", "arguments": {}}'
NESTED = '{"tool_calls": [{"function_call": {"function": ' + HALL + "}}]}"
FRAGMENTS = [
    HALL, STOP, NESTED, HALL[:-1], HALL[:20], '{"note": ' + HALL, "{'name': 'lamp', 'args': {'room': 'a\\", '"', "'", "{", "}", "[", "]",
    "[[", "]]", "(", ")", ",", ", ", ":", "\n", " ", "\t", "```", "```json\n", "\n```\n", "~~~\n", "```python\n", "`", "x", "tru", "e", "1",
    ".5", "-", "none", "<tool_call>", "</tool_call>", "<function=lamp>", "</function>", "<parameter=room>", "</parameter>",
    '<invoke name="stop"/>', "</invoke>", "<tool", ">", "/", "[lamp(room='hall')]", "stop()", "\\", "é", "Sure. ", '{"name": "none"}', "[]",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text("{}[]\",:'`\n a1<>", max_size=6)), max_size=12).map("".join)
CHAINS: list[tuple[ChainName, ...]] = [
    ("json",),
    ("xml",),
    ("json", "fit"),
    ("json", "xml", "bracket", "python_call"),
    ("xml", "json", "bracket", "python_call"),
    ("native", "xml", "json", "bracket", "python_call"),
    ("bracket",),
    ("python_call", "json"),
]


def certain(parsers: tuple[ChainName, ...], text: str) -> tuple[ToolCall, ...]:
    """What is certain of a beginning."""
    return certain_calls(parsers, ReplyContent(text=text), TOOLS)


@settings(max_examples=some_of(400), deadline=None)
@given(
    start=st.sampled_from(["", HALL, f"[{HALL}", f"```json\n{HALL}", f"<tool_call>{HALL}</tool_call>"]),
    text=TEXTS,
    chain=st.sampled_from(CHAINS),
)
def test_what_is_certain_of_a_beginning_begins_what_is_read_of_the_whole(
    start: str, text: str, chain: tuple[ChainName, ...]
) -> None:
    """For every beginning of every text, and it only grows."""
    whole = start + text
    calls = read_calls(chain, ReplyContent(text=whole), TOOLS).tool_calls
    known: tuple[ToolCall, ...] = ()
    for end in range(len(whole) + 1):
        now = certain(chain, whole[:end])
        assert now == calls[: len(now)]
        assert known == now[: len(known)] or len(now) < len(known)
        known = now


@settings(max_examples=some_of(200), deadline=None)
@given(text=TEXTS, chain=st.sampled_from(CHAINS[:2]))
def test_also_without_a_call_at_once(text: str, chain: tuple[ChainName, ...]) -> None:
    """The readers themselves promise it for a text that begins with anything."""
    reader = READERS.all()[chain[0]]
    assert isinstance(reader, GrowingReader)
    calls = tuple(reader.read(ReplyContent(text=text), TOOLS).calls)
    for end in range(len(text) + 1):
        now = tuple(reader.certain(ReplyContent(text=text[:end]), TOOLS))
        assert now == calls[: len(now)]


@pytest.mark.parametrize(
    ("chain", "before", "after"),
    [
        (("json",), HALL[:-1], HALL),
        (("json", "xml"), f"```json\n{HALL[:-1]}", f"```json\n{HALL}"),
        (("json",), f"[{HALL[:-1]}", f"[{HALL},"),
        (("json",), f'{{"tool_calls": [{HALL}]', f'{{"tool_calls": [{HALL}]}}'),
        (("xml",), f"<tool_call>{HALL}</tool_call", f"<tool_call>{HALL}</tool_call>"),
        (("xml",), "<function=lamp><parameter=room>hall", "<function=lamp><parameter=room>hall</parameter></function>"),
    ],
)
def test_a_call_is_certain_once_it_is_closed(chain: tuple[ChainName, ...], before: str, after: str) -> None:
    """And not before."""
    assert chain_of(chain).growing
    assert certain(chain, before) == ()
    (call,) = certain(chain, after)
    assert (call.name, call.arguments) == ("lamp", {"room": "hall"})


@pytest.mark.parametrize("text", [f"I will: {HALL} ", f"```json {HALL}", f'{{"note": {HALL}', f"`{HALL}"])
def test_what_more_text_may_undo_is_not_certain(text: str) -> None:
    """Prose before it (it could be thinking), a fence's own line, an object around it."""
    assert certain(("json",), text) == ()


def test_a_later_parser_of_the_chain_and_whole_forms_are_never_certain() -> None:
    """An earlier parser would win over it; brackets and Python stand as a whole or not at all."""
    assert certain(("xml", "json"), HALL + "\n") == ()
    assert certain(("native", "json"), HALL + "\n") == ()
    assert not chain_of(("bracket",)).growing
    assert not chain_of(()).growing
    native = ReplyContent(text=HALL, tool_calls=(ToolCall(name="stop", id="a"),))
    assert certain_calls(("native", "json"), native, TOOLS) == native.tool_calls


ANSWERS = st.sampled_from(
    [
        '{"room": "hall"}',
        '{"room": "attic"}',
        '{"room": "<tool_call>"}',
        "{}",
        "nonsense",
        '{"room": "hall"',
        "[1]",
        '{"a":' * 31 + "1" + "}" * 31,
    ]
)


@settings(max_examples=some_of(100), deadline=None)
@given(
    names=st.lists(st.sampled_from(["lamp", "stop"]), min_size=1, max_size=4),
    answers=st.lists(ANSWERS, min_size=4, max_size=4),
    ground=st.booleans(),
    parsers=st.sampled_from([("json",), ("native", "json"), ("xml", "json"), ("all@2",)]),
)
def test_what_is_settled_after_a_step_begins_the_whole(
    names: list[str], answers: list[str], ground: bool, parsers: tuple[ChainName, ...]
) -> None:
    """Of choose_then_fill: a call is certain when its arguments are there."""
    variant = Variant(
        name="v", tools="system_prompt", steps="choose_then_fill", constraint="grammar", parsers=parsers,
        examples=(Example(messages=(Message(role="user", content="hi"),)),), options={"max_calls": 4, "ground": ground},
    )  # fmt: skip
    steps = render(variant, [Message(role="user", content="Light in the hall, please")], TOOLS)
    step, settled, said = next(steps), [], iter([", ".join(names), *answers])
    while True:
        settled.append(step.settled)
        try:
            step = steps.send(ReplyContent(text=next(said)))
        except StopIteration as end:
            whole = read_calls(parsers, end.value, TOOLS).tool_calls
            break
    for reply in settled:
        calls = read_calls(parsers, reply or ReplyContent(), TOOLS).tool_calls
        assert calls == whole[: len(calls)]
    first = json.loads(answers[0]) if answers[0] == '{"room": "hall"}' else None
    if first and names[0] == "lamp" and len(names) > 1 and parsers[0] in ("json", "all@2"):
        assert read_calls(parsers, settled[2] or ReplyContent(), TOOLS).tool_calls[0].arguments == first
