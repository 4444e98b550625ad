"""Values as models write them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.readers.loose import LooseReader, UnreadableError, decode_object
from selfopt.records import canonical_json
from tests.examples import some_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        *"{}[]():,\"'“”`\\ \n",
        "：",
        "，",
        "//",
        "/*",
        "*/",
        "#",
        "null",
        "NaN",
        "05",
        "1e999",
        "\\u",
        "\\ud800",
        '"""',
        'r"',
        "a",
        "，",
    ]
)
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=60).map("".join))


def value(text: str) -> Any:
    """The value that the whole text writes."""
    reader = LooseReader(text)
    read, end = reader.value(reader.skip(0))
    assert reader.skip(end) == len(text)
    return read


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types throughout."""
    return json.dumps(one) == json.dumps(other)


@settings(max_examples=some_of(300))
@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_json_is_read_as_json(given: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    """Exactly, however it is laid out."""
    text = json.dumps(given, indent=indent, ensure_ascii=ascii_only)
    assert same(value(text), json.loads(text))


@settings(max_examples=some_of(200))
@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4))
def test_a_python_literal_is_read_as_python(given: dict[str, Any]) -> None:
    """Single quotes, True and None."""
    assert same(value(repr(given)), given)


@settings(max_examples=some_of(200))
@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, min_size=1, max_size=4))
def test_damage_beside_a_value_does_not_change_it(given: dict[str, Any]) -> None:
    """A trailing comma makes the fast way impossible; the other way reads the same."""
    text = json.dumps(given)
    assert same(value(f"{text[:-1]},}}"), given)


@settings(max_examples=some_of(500))
@given(TEXTS)
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    """And what it reads can be stored."""
    for start in range(min(len(text), 8)):
        with contextlib.suppress(UnreadableError):
            read, end = LooseReader(text).value(start)
            assert start <= end <= len(text)
            canonical_json(read).encode("utf-8")
    decode_object(text)


READ: list[tuple[str, Any]] = [
    # quotes
    ("{'a': 'b'}", {"a": "b"}),
    ("{“a”: “b”}", {"a": "b"}),
    ("{‘a’: ‘b’}", {"a": "b"}),
    ("{「a」：「b」}", {"a": "b"}),
    ("{`a`: `b`}", {"a": "b"}),
    ('{"a”: "b"}', {"a": "b"}),
    ('{"a": “b"}', {"a": "b"}),
    ('{"a": """b "c" d"""}', {"a": 'b "c" d'}),
    ("{'a': r'C:\\x'}", {"a": "C:\\x"}),
    ("{u'a': u'b'}", {"a": "b"}),
    # quotes within strings
    ('{"a": "say "hi" now"}', {"a": 'say "hi" now'}),
    ('{"a": "say "hi", then go", "b": 1}', {"a": 'say "hi", then go', "b": 1}),
    ('{"a": "use {"x"} here"}', {"a": 'use {"x"} here'}),
    ('{"a": "print("x")", "b": ["y"]}', {"a": 'print("x")', "b": ["y"]}),
    ("{'a': 'it's fine'}", {"a": "it's fine"}),
    ('{"a": "{"b": "c"}"}', {"a": '{"b": "c"}'}),
    ('["a" "b", "c"]', ["a", "b", "c"]),
    # escapes
    ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
    ('{"a": "\\d+ \\n",}', {"a": "\\d+ \n"}),
    ('{"a": "C:\\Users\\new"}', {"a": "C:\\Users\\new"}),
    ("{'a': '\\x41 \\U0001F600 \\u00e9'}", {"a": "A 😀 é"}),
    ('{\\"a\\": \\"b \\\\\\"c\\\\\\" d\\"}', {"a": 'b "c" d'}),
    # commas, colons, comments, blanks
    ('{"a": 1,, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
    ('{"a": "x" "b": "y"}', {"a": "x", "b": "y"}),
    ('{"a": 1\n"b": 2}', {"a": 1, "b": 2}),
    ('{"a"：1，"b"：2}', {"a": 1, "b": 2}),
    ('{"a" = 1; b => 2}', {"a": 1, "b": 2}),
    ('{"a": 1, // one\n "b": 2 /* two */, # three\n "c": 3}', {"a": 1, "b": 2, "c": 3}),
    ('{"a": "x", // one\n "b": "y"}', {"a": "x", "b": "y"}),
    ('{\u00a0"a"\u200b:\u30001}', {"a": 1}),
    ('{"a": , "b": 1}', {"a": None, "b": 1}),
    # numbers and words
    ('{"a": 05, "b": +5, "c": .5, "d": 5., "e": 0x1F, "f": 1_000,}', {"a": 5, "b": 5, "c": 0.5, "d": 5.0, "e": 31, "f": 1000}),
    ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": "NaN", "b": "-Infinity", "c": "1e999"}),
    ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ("{a: True, b: None, c: undefined}", {"a": True, "b": None, "c": None}),
    ("{city: New York, days: 3}", {"city": "New York", "days": 3}),
    ("{at: 10:30, on: 2026-05-01, to: https://x.y/z, n: 5 km}", {"at": "10:30", "on": "2026-05-01", "to": "https://x.y/z", "n": "5 km"}),
    # brackets
    ("{'a': ('x', 1), 'b': {'y', 'z'}, 'c': {1, 2}}", {"a": ["x", 1], "b": ["y", "z"], "c": [1, 2]}),
    ('{{"a": {{"b": 1}}}}', {"a": {"b": 1}}),
    ('[{"a": {"b": 1}]', [{"a": {"b": 1}}]),
    ('{"a": [1, 2}', {"a": [1, 2]}),
    ('{"a": {"b": "c"', {"a": {"b": "c"}}),
    ('{"a": {"b": [true', {"a": {"b": [True]}}),
    ('{"a": 1, "a": 2}', {"a": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "read"), READ)
def test_what_models_write_is_read_as_they_mean_it(text: str, read: Any) -> None:
    """One line for each kind of damage."""
    assert same(value(text), read)


@pytest.mark.parametrize(
    "text", ['{"a": "b', '{"a": 12', '{"a": [1, 2.', '{"a": tru', '{"a": 1, "b', '{"a": 1, "b":', "{a: New Yo", '"a']
)
def test_a_value_that_is_cut_off_is_not_read(text: str) -> None:
    """It could have gone on; what was read of it would be another value."""
    with pytest.raises(UnreadableError) as stopped:
        value(text)
    assert stopped.value.position == len(text)


@pytest.mark.parametrize(("text", "supplied"), [('{"a": "b"', True), ('{"a": "b",', True), ('{"a": "b"</tool_call>', True), ('{"a": 1}', False), ('{"a": 1,}', False)])  # fmt: skip
def test_missing_brackets_at_the_end_are_supplied_and_said(text: str, supplied: bool) -> None:
    """Also where a tag ends the notation."""
    reader = LooseReader(text)
    reader.value(0)
    assert reader.supplied == supplied


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ("", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        (json.dumps('{"a": 1}'), {"a": 1}),
        (json.dumps(json.dumps('{"a": 1}')), {"a": 1}),
        (json.dumps(json.dumps(json.dumps(json.dumps({"a": 1})))), None),
        ("{'a': 1,}}", {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("Graz", None),
        ("[1]", None),
        (3, None),
    ],
)
def test_arguments_are_taken_from_an_object_or_from_its_text(written: Any, arguments: Any) -> None:
    """Encoded once, twice or three times."""
    assert decode_object(written) == arguments
