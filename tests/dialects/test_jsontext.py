"""Reading JSON of strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects import jsontext
from selfopt.dialects.jsontext import MAX_DEPTH, as_int, as_ms, bounded_text, dump_json, parse_json, printable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_json_comes_back(value: Any) -> None:
    """For every value that JSON can say."""
    assert parse_json(json.dumps(value)) == value


@given(VALUES)
def test_what_is_sent_says_the_same_as_the_standard_library_would(value: Any) -> None:
    """For every value that JSON can say: numbers of any size, text of any script."""
    assert json.loads(dump_json(value)) == value


def test_lone_surrogates_are_sent_as_question_marks() -> None:
    """What is sent must be valid UTF-8."""
    assert dump_json({"a": ["\ud800x", "\U0001f642"]}).decode() == '{"a":["?x","\U0001f642"]}'


@given(st.text() | st.text(alphabet='[]{}",:\\u0dD8 1eE.-NanIfity'))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    """Nothing else is raised, and what comes back can be stored as UTF-8."""
    try:
        value = parse_json(text)
    except ValueError:
        return
    assert json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")) == value


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", "-Infinity", "1e999", "[" * 100_000, "[" * 10_000 + "]" * 10_000, "9" * 5000]
)
def test_what_json_has_no_words_for_is_refused(text: str) -> None:
    """Not-a-numbers, numbers out of range, and depths that exhaust the stack."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_space_around_a_value_is_no_part_of_it_and_anything_else_is_refused() -> None:
    """Some servers end their replies with a line feed."""
    assert parse_json(' \n{"a": [1.5]}\r\n\t') == {"a": [1.5]}
    for text in ('{"a": 1} {}', '{"a": 1}x', "", " ", "\ufeff{}"):
        with pytest.raises(ValueError, match="line 1"):
            parse_json(text)


def test_depth_is_bounded_exactly() -> None:
    """MAX_DEPTH levels are read, one more is not."""
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="deep"):
        parse_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_lone_surrogates_are_replaced_everywhere() -> None:
    """In keys, in values, and not in pairs."""
    assert parse_json(r'{"\ud800": ["\udfffx", "\ud83d\ude42"]}') == {"\ufffd": ["\ufffdx", "\U0001f642"]}


@given(st.text(), st.integers(1, 50))
def test_what_is_shown_is_one_bounded_line(text: str, limit: int) -> None:
    """No control characters reach a terminal."""
    shown = printable(text, limit)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown.splitlines()) <= 1


def test_figures_are_figures_or_none() -> None:
    """Booleans, text, negative and huge numbers are no figures."""
    assert [as_int(v) for v in (3, 3.0, True, -1, "3", None, 2**60, 1.5)] == [3, 3, None, None, None, None, None, None]
    assert [as_ms(v, 1e6) for v in (2_000_000, -1, True, "1", None, 10**400)] == [2.0, None, None, None, None, None]
    assert bounded_text(b"\xffabc", 3) == "\ufffdab"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 4_000_000, "levels deep"),
        ("[" + "[]," * 1_000_000 + "1]", "commas"),
        ("[" + "1," * 1_000_000 + "1]", "commas"),
        ('"' + "\\n" * 1_000_000 + '"', "backslashes"),
    ],
)
def test_a_reply_that_would_hold_up_a_loop_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """By what a count finds."""
    monkeypatch.setattr(jsontext, "_DECODER", None)
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_a_large_reply_of_a_model_is_read() -> None:
    """Three megabytes of text with lines, quotes and commas as people write them."""
    value = {"choices": [{"message": {"content": 'He said, "no", and left.\n' * 120_000}}]}
    assert parse_json(json.dumps(value)) == value
