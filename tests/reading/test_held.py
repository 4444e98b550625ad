"""Text is held back only while it can still become a call."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.held import CALL_CHARS, DOUBT_CHARS, TEXT_CHARS, HeldText
from selfopt.reading.within import calls_within

from .test_threads import CALL, TOOLS, cases

TEXTS: list[str] = [case["text"] for name in ("threads.json", "restraint.json", "thinking.json") for _, case in cases(name)]
NAMED = [tool for tool in TOOLS if tool.name == "city_weather"]


def held_of(pieces: list[str], tools: Any = TOOLS) -> list[int]:
    """How many characters are held after each piece."""
    text = HeldText(tools)
    held = []
    for piece in pieces:
        text.feed(piece)
        held.append(text.held)
    return held


@settings(deadline=None)
@given(st.sampled_from(TEXTS) | st.text(max_size=600), st.lists(st.integers(0, 3000), max_size=30))
def test_it_passes_on_in_order_and_reads_the_whole(text: str, places: list[int]) -> None:
    """What was passed is never taken back; the calls are those of the whole text."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    held, passed = HeldText(TOOLS), 0
    for start, end in pairwise(ends):
        held.feed(text[start:end])
        assert passed <= held.passed <= end == held.size
        passed = held.passed
    assert held.read() == calls_within(text, TOOLS)
    held.let_go()
    assert held.passed == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "All is (quite) well: 1 < 2, a/b, \"quoted\" and 'so'.",
        "See [the page](https://example.com/a) and [1], or x[i].",
        "Use `city_weather` for that, or ``two``.",
        "$\\frac{a}{b}$ and {x} and ${y}",
        "<p>Hello <b>you</b></p>",
        "```sh\nls {a,b}\n```\nDone.",
        "# Title\n\n- one\n- two\n\n1. three\n> quoted\n",
        '<think>Shall I call it? {"name": "city_weather"',
    ],
)
def test_prose_flows(text: str) -> None:
    """Nothing of it is held for longer than a few characters."""
    assert max(held_of(list(text), NAMED)) <= 24
    assert held_of([text, " ."], NAMED)[-1] == 0


@pytest.mark.parametrize("opening", ["{", "[", "<tool", "```json\n", "Action: ", '{"name": "', "[{", "result = "])
def test_doubt_ends(opening: str) -> None:
    """However a text goes on that names no tool."""
    held = held_of([opening, *("word " for _ in range(200))], NAMED)
    assert max(held) <= DOUBT_CHARS + 8
    assert held[-1] <= DOUBT_CHARS + 8


def test_a_call_is_held_until_it_is_too_long() -> None:
    """Then the rest flows, and is read all the same."""
    pieces = ['{"name": "write_note", "arguments": {"text": "', *("many words " for _ in range(CALL_CHARS // 11 + 8)), '"}}']
    text = HeldText(TOOLS)
    most = 0
    for piece in pieces:
        text.feed(piece)
        most = max(most, text.held)
    assert CALL_CHARS - 11 <= most <= CALL_CHARS
    assert text.held == 0
    assert [call.name for call in text.read().calls] == ["write_note"]


def test_a_very_long_text_flows() -> None:
    """Beyond what is read."""
    text = HeldText(TOOLS)
    for _ in range(TEXT_CHARS // 1000 + 2):
        text.feed("word " * 200)
    text.feed(CALL)
    assert text.held == 0


def test_what_was_let_go_is_not_held_again() -> None:
    """Once a call has begun to go out, its rest goes after it."""
    text = HeldText(TOOLS)
    text.feed(CALL[:60])
    assert text.calling
    text.let_go()
    text.feed(CALL[60:])
    assert text.held == 0


def test_thinking_flows_and_a_call_behind_it_is_held() -> None:
    """Thinking holds no call."""
    text = HeldText(TOOLS)
    for piece in ("<think>", "I may call ", CALL, " or not.", "</think>", "\n"):
        text.feed(piece)
    assert text.held <= 1
    text.feed(CALL)
    assert text.held >= len(CALL)


def test_a_long_piece_is_held_whole_or_not_at_all() -> None:
    """Servers that make a stream of a whole reply send it in one piece."""
    prose = "All is (very) well here. " * 300
    text = HeldText(NAMED)
    text.feed(prose)
    assert text.held == 0
    text.feed(f"{prose}{CALL}")
    assert text.held == len(prose) + len(CALL)
    text.feed("\nThat was it.")
    assert text.calling
    assert text.read().before == prose * 2
