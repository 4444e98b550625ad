"""A writer's reply is read without believing it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.authoring.written import MAX_REPLY, MAX_TEXT, MAX_VALUE, MAX_VALUES, MIN_TEXT, text_in, values_in
from tests.examples import some_of

from .tools import tool

PLAY = tool("play", ("title",), title={"type": "string"}, tags={"type": "array", "items": {"type": "string"}})


@pytest.mark.parametrize(
    "reply",
    [
        "Weather in Oslo?",
        '"Weather in Oslo?"',
        "  Weather  in\nOslo?\n\nI hope that this helps.",
        'Sure, here is a short message:\n\n"Weather in Oslo?"',
        "Sure, here's one: Weather in Oslo?",
        "Message: \u201cWeather in Oslo?\u201d",
        "```text\nWeather in Oslo?\n```",
        "**Weather in Oslo?**",
        "Sure, weather in Oslo?",
    ],
)
def test_a_message_is_taken_out_of_what_is_put_around_it(reply: str) -> None:
    """Quotes, fences, labels and remarks are none of it."""
    assert text_in(reply) == ("Weather in Oslo?", None)


@pytest.mark.parametrize("reply", ["Reminder: buy milk", 'Play "Red Sand" and then "Night Bus"', "Here I am, at 10:30"])
def test_what_belongs_to_a_message_stays(reply: str) -> None:
    """A colon or a quoted title is no mark of a label."""
    assert text_in(reply) == (reply, None)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "bad_text"),
        ("12345", "bad_text"),
        ("a\u0007b cd", "bad_text"),
        ("I'd be happy to book a table for you.", "bad_text"),
        ("Sure, try this recipe: https://example.org/carrots", "bad_text"),
        ("What kind of recipe are you looking for?", "bad_text"),
        ("x" * (MAX_TEXT + 1), "bad_text"),
        ("x " * MAX_REPLY, "bad_text"),
        ("<tool_call>x", "markup"),
        ('{"name": "x"}', "markup"),
        ("Say ```Oslo``` to me", "markup"),
    ],
)
def test_texts_that_nobody_types_are_none(reply: str, reason: str) -> None:
    """Code, marks of calls, control characters, nothing, too much, and what assistants say."""
    assert text_in(reply)[1] == reason


@pytest.mark.parametrize(
    "reply",
    [
        '["Night Bus", "Red Sand", "The Lost Harbour"]',
        '```json\n["Night Bus", "Red Sand", "Night bus", "The Lost Harbour", "cut o',
        "Here are some:\n1. Night Bus\n2. Red Sand\n- The Lost Harbour",
    ],
)
def test_a_list_of_values_is_read_in_json_or_line_by_line(reply: str) -> None:
    """Each value once, also where the list was cut off."""
    assert values_in(reply, PLAY, "title") == ("Night Bus", "Red Sand", "The Lost Harbour")
    assert values_in(reply, PLAY, "tags") == ("Night Bus", "Red Sand", "The Lost Harbour")


@pytest.mark.parametrize(
    "reply", ["", "no", '["1", "2", "3", "4"]', '["one", "two"]', '["<tool>", "{x}", "a\u0007b", "' + "x" * 99 + '"]']
)
def test_a_list_with_too_few_values_is_none(reply: str) -> None:
    """Then plain words serve."""
    assert values_in(reply, PLAY, "title") == ()


def test_a_value_that_the_schema_refuses_is_none() -> None:
    """Its choices are known anyway."""
    lamp = tool("lamp", ("room",), room={"enum": ["study"]})
    assert values_in('["study", "kitchen", "hall"]', lamp, "room") == ()


@settings(max_examples=some_of(100), deadline=None)
@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(['"', "```", ":", "Sure, here", "Message:", "Weather", "in Oslo", "\n", "- ", "{", "*", "[", ","])
    ).map(" ".join)
)
def test_no_reply_raises_and_everything_is_bounded(reply: str) -> None:
    """Whatever it is, it gives a text or a reason, and short values or none."""
    text, reason = text_in(reply)
    assert reason is not None or (MIN_TEXT <= len(text) <= MAX_TEXT and text.isprintable())
    values = values_in(reply, PLAY, "title")
    assert len(values) <= MAX_VALUES
    assert all(len(value) <= MAX_VALUE and value.isprintable() for value in values)
