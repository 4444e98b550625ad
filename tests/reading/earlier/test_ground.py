"""Arguments that nobody gave."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.reading.earlier.ground import ground_calls
from selfopt.reading.keeping import reply_keeping
from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition, Variant

BOOK = ToolDefinition(
    name="book_table",
    parameters={
        "type": "object",
        "properties": {
            "restaurant": {"type": "string"},
            "date": {"type": "string"},
            "guests": {"type": "array", "items": {"type": "string"}},
            "area": {"enum": ["inside", "terrace"]},
            "seats": {"type": "integer"},
        },
        "required": ["restaurant", "date"],
    },
)


def kept(said: str, **arguments: Any) -> dict[str, Any] | None:
    calls = ground_calls([ToolCall(name="book_table", arguments=arguments)], [Message(role="user", content=said)], [BOOK])
    return calls[0].arguments if calls else None


def test_a_call_whose_required_argument_was_never_given_is_dropped() -> None:
    """There is nothing to call the tool with."""
    assert kept("Reserve a table for me", restaurant="Chez Paul", date="2031-01-01") is None
    assert kept("Reserve a table at Chez Paul", restaurant="Chez Paul", date="2031-01-01") is None
    assert kept("Reserve a table at Chez Paul", restaurant="Chez Paul") is None


@pytest.mark.parametrize("said", ["Chez Paul on 9 June 2031", "Chez Paul, tomorrow", "Chez Paul next Friday"])
def test_dates_may_be_derived_from_what_was_said(said: str) -> None:
    """Figures and words of time stand behind a date."""
    assert kept(said, restaurant="chez Paul", date="2031-06-09") is not None


def test_an_optional_argument_that_nobody_asked_for_is_left_out() -> None:
    """Empty, invented, or a repetition of what another argument says."""
    said = "Chez Paul tomorrow, inside please"
    base = {"restaurant": "Chez Paul", "date": "2031-06-09"}
    assert kept(said, **base, area="terrace") == base
    assert kept(said, **base, area="inside") == {**base, "area": "inside"}
    assert kept(said, **base, seats=4) == base
    assert kept("Chez Paul tomorrow for 4", **base, seats=4) == {**base, "seats": 4}
    assert kept("Chez Paul tomorrow for four", **base, seats=4) == {**base, "seats": 4}


def test_items_of_a_list_that_nobody_named_and_repeated_ones_are_left_out() -> None:
    """Small models go on listing."""
    given = kept(
        "Chez Paul tomorrow with Ada", restaurant="Chez Paul", date="2031-06-09", guests=["Ada", "Bob", "Ada", "Chez Paul"]
    )
    assert given is not None
    assert given["guests"] == ["Ada"]


def test_calls_to_other_tools_and_unreadable_schemas_are_left_alone() -> None:
    """The check knows nothing about them."""
    odd = ToolDefinition(name="odd", parameters={"properties": 3, "required": "x"})
    calls = [ToolCall(name="door", arguments={"a": "b"}), ToolCall(name="odd", arguments={"a": "b"})]
    assert ground_calls(calls, [Message(role="user", content="hi")], [odd]) == calls


def test_a_reply_where_nothing_has_to_go_stays_exactly_as_it_was() -> None:
    """Text around calls included; otherwise the calls that are left are written anew, or none."""
    said = [Message(role="user", content="Chez Paul tomorrow")]

    def grounded(reply: ReplyContent) -> ReplyContent:
        return reply_keeping(lambda calls: ground_calls(calls, said, [BOOK]), reply, [BOOK], Variant(name="v"))

    good = ReplyContent(text='Sure: {"name": "book_table", "arguments": {"restaurant": "Chez Paul", "date": "2031-06-09"}}')
    assert grounded(good) is good
    bad = ReplyContent(text='{"name": "book_table", "arguments": {"restaurant": "Ritz", "date": "2031-06-09"}}')
    assert grounded(bad).text == "none"
    text = ReplyContent(text="Which restaurant?")
    assert grounded(text) is text
