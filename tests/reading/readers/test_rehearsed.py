"""Calls that the words beside them call examples or refuse, and calls that other words announce."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read
from selfopt.reading.readers.rehearsed import rehearsed
from tests.each import assert_each
from tests.examples import some_of

from .test_unmarked import TOOLS, J, K

FENCED, MARKED = f"```json\n{J}\n```", f"<tool_call>\n{J}\n</tool_call>"
PROGRAM = 'city_weather(city="Graz")'
BODIES = (f"\n\n{FENCED}", f"\n{J}", f" {J}", f"\n```python\n{PROGRAM}\n```", f"\n- {PROGRAM}")
EXAMPLES = (
    *("For example:", "For instance, to look it up:", "**Example:**", "### Example", "Example call:", "Here's an example:"),
    *("Here is an example of how to use the tool:", "Here are some samples:", "A few cities work, such as", "Some calls, e.g."),
    *("Here is a test fixture:", "Zum Beispiel:", "Beispiel:", "Par exemple :", "Por ejemplo:", "例如：", "Например:"),
)
TAUGHT = (
    *("Here's how you would call the tool:", "Here is how to call it:", "This is how one calls it:", "You could call"),
    *("You would use the following function call:", "You might want to run", "Sure. You would write:", "Try calling:"),
    *("To look it up, you could use the `city_weather` tool like this:", "A call looks like this:", "Usage:", "Syntax:"),
    *("If you gave me the city, I would call:", "Once you tell me the city, I'll call:", "I would have used"),
)
REFUSALS = (
    *("I will not call", "I won't use", "I won’t call the tool:", "I'm not going to run:", "I refuse to call", "Never send"),
    *("You should not use the following:", "There is no need to call", "There is no need for", "Instead of calling"),
    *("I don't need to use the tool", "I do not want to run:", "I decided against calling", "Do not call:"),
)
ANNOUNCED = (
    *("", "I'll call the tool:", "Here's the call:", "Here is the function call in JSON format:", "Calling the tool now:"),
    *("I can't know the weather without a tool, so I'll call:", "I will not guess; I'll call", "I don't know. Let me call:"),
    *("I have no access to live data, so let me use the tool:", "As you did not name a unit, I use", "I won't guess.", "Action:"),
    *("To answer, I would call:", "Here is how I call it:", "The correct call is:", "For example, I can call:", "Why not call"),
    *(
        "Example city: Graz.",
        "Here's the call for your example:",
        "Let me try calling:",
        "No example is needed.",
        "I need to call",
    ),
    *("Here is tools.json, as you asked.", "Saving this as note.json.", "You must call:", "I won't hesitate to call:"),
    *("Let me see if I can call:", "If you want the weather, I will call:", "If it rains, stay. I would call:"),
    *("I can't tell without using the tool:", "I have not called the tool yet:"),
    # So a small model announced right calls.
    *("You can use the following function call:", "Here's an example of how you can do it:"),
)


@pytest.mark.parametrize("body", BODIES)
def test_what_the_words_before_it_call_an_example_or_refuse_is_no_call(body: str) -> None:
    """Nor is it a call that could not be read, and the text stays as it came."""

    def stays(text: str) -> None:
        found = read(text, TOOLS)
        assert (found.tool_calls, found.unread, found.text) == ((), None, text)

    assert_each([(lead, f"{lead}{body}") for lead in (*EXAMPLES, *TAUGHT, *REFUSALS)], stays)


@pytest.mark.parametrize("body", [*BODIES, f"\n{MARKED}"])
def test_what_other_words_announce_is_a_call(body: str) -> None:
    """Also where they hold a refusal of something else, or the word example in another sense."""

    def is_called(text: str) -> None:
        assert [call.arguments for call in read(text, TOOLS).tool_calls] == [{"city": "Graz"}]

    assert_each([(lead, f"{lead}{body}".strip()) for lead in ANNOUNCED], is_called)


@pytest.mark.parametrize("lead", [*EXAMPLES, *REFUSALS])
def test_marks_make_no_call_of_an_example_or_a_refusal(lead: str) -> None:
    """The marks that a text may hold."""
    assert read(f"{lead}\n{MARKED}", TOOLS).tool_calls == ()


@pytest.mark.parametrize("lead", TAUGHT)
def test_marks_make_a_call_of_what_is_only_taught(lead: str) -> None:
    """They are written for a program, whatever words a small model finds for it."""
    assert len(read(f"{lead}\n{MARKED}", TOOLS).tool_calls) == 1


@pytest.mark.parametrize("lead", [*EXAMPLES, *REFUSALS])
def test_control_tokens_make_a_call(lead: str) -> None:
    """No text holds them by chance."""
    assert len(read(f"{lead}\n[TOOL_CALLS][{J}]", TOOLS).tool_calls) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"{FENCED}\nSave this as tools.json.",
        f"{FENCED}\n\nThen save it as `tools.json` and run the tests.",
        f"```json\n[{J}, {K}]\n```\nPut this in `fixtures/calls.json`.",
        f"{J}\nYou can copy this into a file called calls.jsonl.",
        f"Save this as tools.json:\n\n{FENCED}",
        f"`tests/fixtures/calls.json`:\n{FENCED}",
        f"Here is `calls.json`:\n{FENCED}",
        f"{FENCED}\nThis is just an example.",
        f"{FENCED}\n\n(This is a fixture for the tests.)",
        f"{J}\nI will not run this.",
    ],
)
def test_what_is_to_be_kept_in_a_file_is_no_call(text: str) -> None:
    """A fixture is data, and so is what is said to be an example afterwards."""
    found = read(text, TOOLS)
    assert (found.tool_calls, found.unread) == ((), None)


@pytest.mark.parametrize(
    "text",
    [
        f"{FENCED}\n\nThis calls the tool.",
        f"{FENCED}\nI'll save this as tools.json afterwards.",
        f"{FENCED}\nThis will save the weather in weather.json.",
        f"{J}\nSave the date!",
        f"{J}\nOnce I have the result, I will give you an example.",
        'Here is note.json:\n{"name": "write_note", "arguments": {"text": "note.json: {}"}}',
        '{"name": "write_note", "arguments": {"text": "Save this as tools.json"}}',
        f"{J}\nI save it as a.json.",
        "<write_note><text>save this as a.json</text></write_note>",
    ],
)
def test_words_behind_a_call_leave_it_one(text: str) -> None:
    """They tell what it does, or what comes next."""
    assert len(read(text, TOOLS).tool_calls) == 1


def test_no_words_of_the_next_call_count() -> None:
    """What stands in an argument is said to nobody."""
    text = "<list_alarms></list_alarms>\n<write_note>\n<text>save this as a.json</text>\n</write_note>"
    assert [call.name for call in read(text, TOOLS).tool_calls] == ["list_alarms", "write_note"]


def test_a_real_call_behind_an_example_is_read() -> None:
    """Each call has its own words; what stands beside an example without words belongs to it."""
    assert [call.arguments for call in read(f"For example:\n{J}\n{J}\n\nNow I'll call:\n{K}", TOOLS).tool_calls] == [
        {"city": "Bern"}
    ]


@settings(max_examples=some_of(200))
@given(st.lists(st.sampled_from([*EXAMPLES, *TAUGHT, *REFUSALS, *ANNOUNCED, J, K, "\n", " ", "```", "\n\n"]), max_size=12))
def test_nothing_is_an_example_that_was_not_read(parts: list[str]) -> None:
    """Only places of the given spans are named, and the words themselves stay text."""
    text = "".join(parts)
    spans = [(at, at + len(J)) for at in range(len(text)) if text.startswith((J, K), at)]
    assert rehearsed(text, spans) <= set(range(len(spans)))
    assert rehearsed(text, spans, marked=True) <= rehearsed(text, spans)


@pytest.mark.parametrize("words", ["how to call ", "I can not call ", "for example, you could use ", "save this as "])
@pytest.mark.parametrize("name", ["a_a_a_a_a_a ", "__________ ", "a/a/a/a/a.", "`a_b` the ", ",:`* "])
def test_words_that_could_be_cut_in_many_ways_take_no_time(words: str, name: str) -> None:
    """A model that hangs repeats them. Trying every way to cut names at their underscores would take half a minute."""
    for text in (words + name * 40, words * 8 + name * 20, (words + name) * 20):
        assert rehearsed(text + J, [(len(text), len(text + J))]) <= {0}
