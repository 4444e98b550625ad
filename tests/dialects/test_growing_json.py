"""How much of an object that arrives in pieces is sound, and what makes it whole."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.growing_json import GrowingJson, completed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def grown(text: str, places: list[int] | None = None) -> GrowingJson:
    """A text in pieces; character by character without places."""
    ends = range(len(text) + 1) if places is None else sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    found, sound = GrowingJson(), 0
    for start, end in pairwise(ends):
        found.feed(text[start:end])
        assert sound <= found.sound <= end
        sound = found.sound
    return found


@settings(deadline=None)
@given(OBJECTS, st.lists(st.integers(0, 300), max_size=12), st.booleans(), st.sampled_from([None, 1]))
def test_every_object_is_sound(value: dict[str, Any], places: list[int], plain: bool, indent: int | None) -> None:
    """However it is written and cut."""
    text = json.dumps(value, ensure_ascii=plain, indent=indent)
    found = grown(text, places)
    assert (found.sound, found.broken, found.whole) == (len(text), False, True)


@settings(deadline=None)
@given(OBJECTS, st.integers(0, 300), st.booleans())
def test_a_sound_beginning_can_be_completed(value: dict[str, Any], place: int, plain: bool) -> None:
    """With any rest of the same object."""
    text = json.dumps(value, ensure_ascii=plain)
    found = grown(text[:place])
    sound = text[: found.sound]
    rest = completed(sound, value)
    assert not found.broken
    assert rest is not None
    assert json.dumps(json.loads(sound + rest), sort_keys=True) == json.dumps(value, sort_keys=True)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text('{}[]",:\\ntrue01.- ', max_size=40))
def test_what_it_calls_whole_is_an_object(text: str) -> None:
    """As JSON itself has it; and what JSON reads is whole."""
    try:
        read = json.loads(text, parse_constant=int)  # which NaN is not
    except (ValueError, RecursionError):
        read = None
    assert grown(text).whole == isinstance(read, dict)


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ('{"a": "b",}', '{"a": "b"'),
        ("{'a': 1}", "{"),
        ('{"a": True}', '{"a":'),
        ('{"a": "x\ny"}', '{"a": "x'),
        ('{"a": "\\x"}', '{"a": "'),
        ('{"a": 1_0}', '{"a":'),
        ('{"a": 1} x', '{"a": 1}'),
        ("[1]", ""),
        ('"{}"', ""),
        ('{"a" 1}', '{"a"'),
        ('{"a": [1}', '{"a": [1'),
    ],
)
def test_it_stops_where_a_mistake_begins(text: str, sound: str) -> None:
    """A comma before it is not counted: the object can still be closed."""
    found = grown(text)
    assert (text[: found.sound], found.broken) == (sound, True)


def test_what_cannot_be_completed_is_not() -> None:
    """Because what was said is another object, or because it is too long."""
    assert completed('{"a": 1', {"b": 2}) is None
    assert completed('{"a": "', {"a": "x" * 20_000}) is None
