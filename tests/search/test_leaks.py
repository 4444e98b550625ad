"""Material of prompts is found where it is repeated, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.search.leaks import Material, texts_in
from selfopt.variants.space import PARTS
from tests.search.written_kit import HELD_OUT, IDS, SEARCHED, SUITE

GUARDED = Material(HELD_OUT, SUITE)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("For example, 80315-77 is one.", ("h0",)),
        ("For example, 8031577 is one.", ("h0",)),
        ("For example, 80 315 77 is one.", ("h0",)),
        ("For example, 8\u200b0315-77 is one.", ("h0",)),
        ("Ask BERGSTRÖM.", ("h0",)),
        ("Ask Bergstro\u0308m.", ("h0",)),
        ("He would like to know when the next bus leaves.", ("h1",)),
        ("The HARBOUR, of the West.", ("h1",)),
        ("Use move_invoice where it is offered.", ("h0", "h1", "h2")),
        ("harbour of the west and Bergström", ("h0", "h1")),
    ],
)
def test_held_out_material_is_found(text: str, ids: tuple[str, ...]) -> None:
    """Codes however they are separated, names, runs of words, expected values, and tools of their own."""
    assert GUARDED.found(text) == ids


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Could you move it? I would like to. Thanks.",
        "Call a tool only for what the user asks, and copy numbers such as 12 as they are.",
        "Weather in Oslo? Use get_weather.",
        *(choice.fields["instructions"] for part in PARTS for choice in part.choices if "instructions" in choice.fields),
    ],
)
def test_what_anybody_may_say_is_not_found(text: str) -> None:
    """Short runs of common words, short numbers, material of searched prompts, and our own instructions."""
    assert GUARDED.found(text) == ()


def test_what_the_writer_was_shown_is_no_leak() -> None:
    """A value that stands in the question is known from there."""
    assert GUARDED.found("Ask Bergström.", known="user: call Bergström") == ()
    assert GUARDED.found("Ask Bergström about 80315-77.", known="user: call Bergström") == ("h0",)


def test_every_prompt_is_found_in_itself() -> None:
    """Where it has three words or a value of its own."""
    assert [one.id for one in HELD_OUT if GUARDED.found(one.messages[-1].content) != (one.id,)] == ["h2"]
    own = Material(SEARCHED, SUITE, tools=False)
    assert all(one.id in own.found(f"So: {one.messages[-1].content} Yes.") for one in SEARCHED)
    assert own.found("Use get_weather or book.") == ()
    assert len(IDS) == len(SEARCHED)


@given(st.text(max_size=300), st.text(max_size=100))
def test_whatever_is_written_is_compared(text: str, known: str) -> None:
    """Ids in the order of the suite, each once; knowing more finds no more."""
    found = GUARDED.found(text)
    assert list(found) == [one.id for one in HELD_OUT if one.id in found]
    assert set(GUARDED.found(text, known)) <= set(found)
    assert GUARDED.found(f"{text} 80315-77")[:1] == ("h0",)


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_every_text_within_a_value_is_seen(value: object) -> None:
    """At any depth; keys where they are asked for."""
    found = list(texts_in(value, keys=True))
    assert all(isinstance(one, str) for one in found)
    assert list(texts_in({"key": value}, keys=True)) == ["key", *found]
    assert len(list(texts_in(value))) <= len(found)
