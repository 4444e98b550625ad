"""The words that tell what a request and a tool are about."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading import telling
from selfopt.reading.signals import signals_of
from selfopt.reading.telling import covered_share, tool_words, words_in
from selfopt.records import Message, ParsedReply, ReplyContent, ToolCall, ToolDefinition

NOISE = st.text("abc xyz_é0\n", max_size=60)
WEATHER = ToolDefinition(
    name="getForecast",
    description="Say what the weather will be.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}}},
)

AREA = ToolDefinition(name="area", description="The area of a triangle.")


def user(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", content=text) for text in texts)


def test_words_are_split_where_names_are_put_together() -> None:
    """Camel case, snake case, digits; empty words are left out."""
    assert list(words_in("getUserIDs of_the HTTPServer2go")) == ["get", "user", "ids", "http", "serv", "2", "go"]


def test_a_tool_covers_what_its_name_descriptions_arguments_and_choices_say() -> None:
    """In whichever form of the word; numbers are not counted."""
    assert covered_share([WEATHER], user("The weather forecasts for cities, in celsius, 2026?")) == 1.0
    assert covered_share([WEATHER], user("Weather for my triangle")) == 0.5
    assert covered_share([WEATHER], user("The area of a triangle")) == 0.0


def test_the_last_message_counts_most() -> None:
    """What was said before counts for less than half."""
    about, other = "weather", "triangle"
    last, before = covered_share([WEATHER], user(other, about)), covered_share([WEATHER], user(about, other))
    assert last is not None
    assert before is not None
    assert last > 0.5 > before > 0


def test_a_request_without_telling_words_is_neither_covered_nor_not() -> None:
    """Nothing is said, or figures alone."""
    for said in (user(), user(""), user("What is 12 of 30?"), (Message(role="assistant", content="weather"),)):
        assert covered_share([WEATHER], said) is None


@given(st.lists(NOISE, max_size=4), NOISE, NOISE)
def test_shares_lie_between_none_and_all_and_a_tool_covers_its_own_words(texts: list[str], name: str, description: str) -> None:
    """Whatever is said and offered."""
    tool = ToolDefinition(name=name or "x", description=description, parameters={"type": "object", "properties": {name: {}}})
    share = covered_share([tool], user(*texts))
    assert share is None or 0 <= share <= 1
    assert covered_share([tool], user(description)) in (None, 1.0)


def test_hostile_tools_and_requests_are_read_to_a_limit() -> None:
    """Long words, long texts, deep and wide schemas."""
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        deep = {"type": "object", "properties": {"a": deep}, "items": deep}
    wide = {f"p{number}": {"description": "word " * 1_000} for number in range(5_000)}
    tool = ToolDefinition(
        name="n" * 10_000, description="d" * 100_000, parameters={"type": "object", "properties": {**wide, "deep": deep}}
    )
    assert len(tool_words(tool)) < 2_000
    assert covered_share([tool], user("aA" * 500_000, "word " * 500_000)) is not None


def test_of_several_tools_the_least_counts_and_the_request_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a reply calls them: a server may send a thousand calls."""
    read: list[object] = []
    words = telling.request_words

    def noted(messages: Sequence[Message]) -> dict[str, float]:
        read.append(messages)
        return words(messages)

    monkeypatch.setattr(telling, "request_words", noted)
    said = user("The weather forecast for my triangle")
    calls = (ToolCall(name="getForecast"), ToolCall(name="area")) * 500
    signals = signals_of(ReplyContent(), ParsedReply(tool_calls=calls), (WEATHER, AREA), said)
    assert signals.covered == covered_share([AREA], said) == 1 / 3
    assert len(read) == 2
    other = signals_of(ReplyContent(), ParsedReply(tool_calls=(*calls, ToolCall(name="other"))), (WEATHER, AREA), said)
    assert other.covered == 0.0
    assert len(read) == 2


def test_tools_are_not_kept_for_their_words() -> None:
    """A client may send large ones of its own with every request."""
    tool = ToolDefinition(name="large", description="of its own", parameters={"x": "y" * 100_000})
    words, kept = tool_words(tool), weakref.ref(tool)
    del tool
    gc.collect()
    assert "larg" in words
    assert kept() is None
