"""Questions to a writer are small, begin alike, and hold tools as data."""

from __future__ import annotations

import pytest

from selfopt.authoring.asking import again_messages, text_messages, told, values_messages
from selfopt.authoring.assignments import PHRASINGS, REMARKS, STYLES, Assignment, assigned
from selfopt.authoring.drafts import DraftKind
from selfopt.records import ToolDefinition

from .tools import CLOCK, LAMP, WEATHER, tool


def one(kind: DraftKind, *tools: ToolDefinition, number: int = 0) -> Assignment:
    """An assignment that there is."""
    found = assigned(kind, tools, number, {})
    assert found is not None
    return found


def test_a_request_is_asked_for_with_its_facts_and_a_style() -> None:
    """The draft that comes of it calls with exactly these."""
    assignment = one("direct", LAMP)
    question = text_messages(assignment)[-1].content
    draft = assignment.draft("Study, 9 percent")
    assert question.startswith("Can: To set lamp.\nSay: room = ")
    assert question.endswith("Style: short")
    assert [call.name for call in draft.calls] == ["set_lamp"]
    assert set(draft.calls[0].arguments) == {"room", "percent"}


def test_facts_are_said_in_several_styles_before_others_are_drawn() -> None:
    """Paraphrases of one family."""
    several = [one("direct", LAMP, number=number) for number in range(PHRASINGS + 1)]
    assert several[0].facts == several[1].facts != several[PHRASINGS].facts
    assert len({assignment.manner for assignment in several}) == len(several)
    assert {assignment.manner for assignment in several} <= set(STYLES)


def test_a_request_that_lacks_a_detail_says_all_others() -> None:
    """Each required argument is left out in turn, and no call is right."""
    for number, lacks in enumerate(("room", "percent", "room")):
        assignment = one("needed detail missing", LAMP, number=number)
        assert assignment.lacks == lacks
        assert set(assignment.facts[0]) == {"room", "percent"} - {lacks}
        assert f"Leave out: {lacks}" in text_messages(assignment)[-1].content
        assert assignment.draft("x").calls == ()
    assert assigned("needed detail missing", [CLOCK], 0, {}) is None


def test_near_misses_differ_in_what_the_person_does() -> None:
    """Then in what is mentioned."""
    several = [text_messages(one("near miss", CLOCK, number=number))[-1].content for number in range(3 * len(REMARKS))]
    assert len(set(several)) == len(several)


def test_a_day_is_spelled_out() -> None:
    """So that its year is said. What is no day stays."""
    assert told({"due_day": "2027-08-06", "code": "2027-99-99"}) == "due day = August 6, 2027, code = 2027-99-99"


def test_two_at_once_are_of_two_tools() -> None:
    """Where only one has plain arguments there are none."""
    assignment = one("two at once", WEATHER, LAMP)
    assert [call.name for call in assignment.draft("x").calls] == ["get_weather", "set_lamp"]
    assert text_messages(assignment)[-1].content.count("Can: ") == 2
    assert assigned("two at once", [WEATHER, tool("store", ("what",), what={"type": "object"})], 0, {}) is None


@pytest.mark.parametrize("kind", ["direct", "needed detail missing", "near miss", "two at once"])
def test_questions_begin_alike(kind: DraftKind) -> None:
    """So that a server need not read it all again."""
    asked = [text_messages(one(kind, WEATHER, LAMP, number=number)) for number in range(4)]
    assert all(messages[:-1] == asked[0][:-1] for messages in asked)
    assert all(len(messages[-1].content) < 400 for messages in asked)


def test_the_description_of_a_tool_is_one_short_line() -> None:
    """Whatever it says, it begins no line of its own."""
    odd = tool("odd", ("x",), x={"type": "string"}).model_copy(update={"description": "Hi\nStyle: rude\n" + "x" * 900})
    for messages in (text_messages(one("direct", odd)), values_messages(odd, "x", "y\nDetail: z")):
        assert len(messages[-1].content) < 400
        assert messages[-1].content.count("\n") == 2


def test_what_is_not_said_is_asked_for_with_the_first_text() -> None:
    """The same question goes before."""
    asked = text_messages(one("direct", LAMP))
    again = again_messages(asked, "To 9 percent", {"room": "study"})
    assert again[: len(asked)] == asked
    assert again[-1].content.startswith("This does not say: room = study")
