"""What every reader and every family keeps, ours and whatever is installed."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import FAMILIES, READERS, Family, Reader, chain_of, read, read_calls
from selfopt.reading.readers.base import CALL_LIMIT, TEXT_LIMIT, GrowingReader
from selfopt.records import ReplyContent, ToolCall, ToolDefinition, canonical_json
from tests.examples import some_of

TOOLS = (
    ToolDefinition(
        name="city_weather",
        parameters={"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    ),
    ToolDefinition(name="list_alarms"),
)
CALLS = (
    ToolCall(name="city_weather", arguments={"city": "Graz an der Mur", "days": 15}),
    ToolCall(name="list_alarms", arguments={}),
)
MARKS = sorted({mark for row in FAMILIES.all().values() for mark in (*row.around, *row.marks, *row.parameter) if mark})
PIECES = st.one_of(
    st.sampled_from(
        [*MARKS, '{"name": "city_weather", "arguments": {', '"city": "Graz"', "}}", "[", "]", "(", ")", "```", "\n", "none"]
    ),
    st.sampled_from(["city_weather", "city_weather(", "days=3", "\ud800", "\x00", ",", "'", '"', "\\"]),
    st.text(max_size=5),
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))
reader_names = pytest.mark.parametrize("name", READERS.names())
family_names = pytest.mark.parametrize("name", FAMILIES.names())


def reply(text: str) -> ReplyContent:
    """A reply whose text no check has looked at."""
    return ReplyContent.model_construct(text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")


@reader_names
@settings(max_examples=some_of(150), deadline=None)
@given(text=TEXTS)
def test_a_reader_reports_what_can_be_stored_of_any_text(name: str, text: str) -> None:
    """It never raises, says the same again, and points into the text; a name it was not offered is written there."""
    reader = READERS.all()[name]
    found = reader.read(reply(text), TOOLS)
    assert found == reader.read(reply(text), TOOLS)
    assert all(0 <= start < end <= len(text) for start, end in found.spans)
    assert list(found.spans) == sorted(found.spans)
    assert bool(found.calls) == bool(found.form)
    offered = {tool.name for tool in TOOLS}
    for call in found.calls:
        canonical_json(call.model_dump(mode="json")).encode("utf-8")
        assert call.name in offered or call.name in text.encode("utf-8", "replace").decode() or call.name in json.dumps(text)


@reader_names
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_a_reader_of_growing_replies_takes_nothing_back(name: str, text: str) -> None:
    """What is certain of a beginning begins what is read of the whole."""
    reader = READERS.all()[name]
    if not isinstance(reader, GrowingReader):
        return
    whole = list(reader.read(reply(text), TOOLS).calls)[:CALL_LIMIT]
    for end in range(len(text) + 1):
        certain = list(reader.certain(reply(text[:end]), TOOLS))[:CALL_LIMIT]
        assert certain == whole[: len(certain)]


@reader_names
@pytest.mark.parametrize(
    "piece",
    ["{", "[", '{"a":', "f(", "city_weather(", "<tool_call>", "<function=f>", "<parameter=a>", "[TOOL_CALLS]", "```\n", " ", "'"],
)
def test_a_reader_takes_bounded_time(name: str, piece: str) -> None:
    """Whatever is repeated: no more than the limit is looked through, and that at most a few times."""
    text = piece * (2 * TEXT_LIMIT // len(piece))
    began = time.process_time()
    READERS.all()[name].read(reply(text), TOOLS)
    assert time.process_time() - began < 10.0


@reader_names
def test_a_reader_has_a_version_that_chains_can_name(name: str) -> None:
    """The first by the name alone, so that chains of before keep their hash."""
    reader = READERS.all()[name]
    assert isinstance(reader, Reader)
    assert list(chain_of((name if "@" in name or reader.version == 1 else f"{name}@{reader.version}",)).readers.values()) == [
        reader
    ]


def only(family: Family) -> str:
    """The name under which a chain reads this family alone."""
    return family.name if family.version == 1 else f"{family.name}@{family.version}"


@family_names
def test_what_a_family_writes_is_read_back(name: str) -> None:
    """By a chain of the family alone, and by the public door, which leaves the text around it."""
    family = FAMILIES.all()[name]
    assert family.name == name
    for calls in (CALLS[:1], CALLS[1:], CALLS, CALLS[:1] * 2):
        text = family.write(calls)
        assert read_calls((only(family),), reply(text), TOOLS).tool_calls == calls
        got = read(f"<think>Hm.</think>Well, I will look.\n{text}\n", TOOLS)
        assert (got.tool_calls, got.text, got.thinking, got.unread) == (calls, "Well, I will look.", "Hm.", None)


@family_names
def test_a_reply_that_was_cut_is_never_another_call(name: str) -> None:
    """At every place: no call, or a beginning of what the whole says."""
    text = FAMILIES.all()[name].write(CALLS)
    for end in range(len(text)):
        got = read(text[:end], TOOLS)
        for call, whole in zip(got.tool_calls, CALLS, strict=False):
            assert call.name == whole.name
            for key, value in call.arguments.items():
                assert str(whole.arguments[key]).startswith(str(value))


@family_names
def test_a_family_with_a_mark_of_its_own_is_named_where_its_call_was_cut(name: str) -> None:
    """So that a call that nobody can read is not taken for silence."""
    family = FAMILIES.all()[name]
    if not (family.around[0] or family.marks[0]):
        return
    text = family.write(CALLS[:1])
    cut = text[: re.search("Graz", text).end()]  # type: ignore[union-attr]
    got = read(cut, TOOLS)
    assert got.tool_calls or got.unread is not None
