"""Parts of grammars: each matches exactly what it is for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.variants.gbnf import NEEDS, PRIMITIVES, choice, other_keys, whole_numbers
from tests.examples import some_of

from .gbnf import Grammar

NUMBERS = st.integers(-1300, 1300) | st.integers(-(10**15), 10**15)


def grammar(root: str) -> Grammar:
    """A grammar with this root and all the common rules."""
    return Grammar("\n".join([f"root ::= {root}", *(f"{name} ::= {body}" for name, body in PRIMITIVES.items())]))


def test_every_common_rule_names_the_rules_that_it_uses() -> None:
    """A grammar takes what it needs and no more."""
    for name, body in PRIMITIVES.items():
        lines = [f"root ::= {name}", f"{name} ::= {body}", *(f"{need} ::= {PRIMITIVES[need]}" for need in NEEDS.get(name, ()))]
        deeper = {inner for need in NEEDS.get(name, ()) for inner in NEEDS.get(need, ())}
        assert Grammar("\n".join(dict.fromkeys(lines))).undefined() <= deeper, name


@settings(max_examples=some_of(200), deadline=None)
@given(st.none() | NUMBERS, st.none() | NUMBERS, NUMBERS)
def test_a_range_has_its_numbers_and_no_others(one: int | None, other: int | None, number: int) -> None:
    """Whatever the bounds, open or closed."""
    low, high = (min(one, other), max(one, other)) if one is not None and other is not None else (one, other)
    matcher = grammar(whole_numbers(low, high))
    for near in {number, *(edge + step for edge in (low, high) if edge is not None for step in (-1, 0, 1))}:
        inside = (low is None or low <= near) and (high is None or near <= high)
        assert matcher.accepts(str(near)) == inside, (low, high, near)


@settings(max_examples=some_of(100), deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=60, unique=True), st.text(max_size=6))
def test_a_choice_has_its_texts_and_no_others(texts: list[str], other: str) -> None:
    """Also where many of them share their beginnings."""
    known = [text for text in texts if text.encode("utf-8", "replace").decode() == text]
    if known:
        matcher = grammar(choice(known))
        assert all(matcher.accepts(text) for text in known)
        assert matcher.accepts(other) == (other in known)


@settings(max_examples=some_of(100), deadline=None)
@given(
    st.lists(st.text('ab"-]^[é', max_size=4), min_size=1, max_size=5, unique=True),
    st.text('ab"-]^[éc', max_size=5),
)
def test_other_keys_are_none_of_those_that_are_listed(keys: list[str], other: str) -> None:
    """A member that is not listed can't pass for one that is."""
    matcher = grammar(f'"\\"" ({other_keys(keys)})')
    if '"' not in other:
        assert matcher.accepts(json.dumps(other, ensure_ascii=False)) == (other not in keys)
    assert all(not matcher.accepts(json.dumps(key, ensure_ascii=False)) for key in keys if '"' not in key)


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        ("string", ["", " x", "a" * 500, "é🎉", 'q"\\/\b\f\n\r\t\0\x7f\u2028']),
        ("number", [0, -1.5, 1e20, 1e-7, 1.2345678901, 10**40]),
        ("integer", [0, -7, 10**30]),
        ("date", ["2026-01-02", "2024-02-29"]),
        ("time", ["10:30", "10:30:00", "23:59:60.123456789Z", "10:30:00+02:00", "10:30z"]),
        ("datetime", ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.1z", "2026-01-02 03:04:05-11:30", "2026-01-02T03:04"]),
        ("free", [{}, [], {"a": [1, None, {"b": True}]}, "x", 1.5]),
    ],
)
def test_common_rules_allow_every_form_of_their_values(rule: str, texts: list[object]) -> None:
    """As JSON libraries write them, with and without escapes."""
    for value in texts:
        for ascii_only in (False, True):
            assert grammar(rule).accepts(json.dumps(value, ensure_ascii=ascii_only)), value


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("date", "2026-13-01"),
        ("date", "2026-01-32"),
        ("time", "25:00"),
        ("time", "10:60"),
        ("datetime", "2026-01-02"),
        ("date", ""),
    ],
)
def test_a_form_allows_no_moment_that_never_is(rule: str, text: str) -> None:
    """Up to the length of the month."""
    assert not grammar(rule).accepts(json.dumps(text))
