"""Comparing argument values."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.scoring.values import MAX_DEPTH, MAX_LIST, can_pair, compile_value, normalise

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}
INTEGERS = {"type": "array", "items": INTEGER}

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    _LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=4), t, max_size=3), max_leaves=8
)


@pytest.mark.parametrize(
    ("accepted", "given_value", "schema"),
    [
        ("Oslo", "oslo", TEXT),
        ("Oslo", "  OSLO. ", TEXT),
        ("Oslo", "'Oslo'", TEXT),
        ("rental agreement", '"Rental \n agreement"', TEXT),
        ("Straße", "STRASSE", TEXT),
        ("Kraków", "Krako\u0301w", TEXT),
        ("2 pm", "2 PM", TEXT),
        ("?", "?", TEXT),
        ("", "", TEXT),
        (45, 45, INTEGER),
        (45, "45", INTEGER),
        (45, 45.0, INTEGER),
        ("45", 45, INTEGER),
        (0.5, ".5", NUMBER),
        (1000, "1e3", NUMBER),
        (True, "true", BOOLEAN),
        ("false", False, BOOLEAN),
        (True, True, {}),
        (None, None, {}),
        (7, 7.0, {}),
        (["a", "b"], ["A", "b "], TEXTS),
        ([1, 2], ["1", 2], INTEGERS),
        ({"any_order": ["a", "b"]}, ["b", "A"], TEXTS),
        ({"any_order": []}, [], TEXTS),
        ({"any_order": 3}, {"any_order": "3"}, {"properties": {"any_order": INTEGER}}),
        ({"to": "Ann", "n": 2}, {"n": "2", "to": "ann"}, {"properties": {"n": INTEGER}}),
        ([["a"], {"any_order": [1, 2]}], [["A"], [2, 1]], {"type": "array"}),
        (3, "3", {"type": ["integer", "null"]}),
    ],
)
def test_values_that_mean_the_same_are_equal(accepted: Any, given_value: Any, schema: Any) -> None:
    """Case, spaces, quotes, final punctuation, numeric text, order where it is free."""
    assert compile_value(accepted, schema)(given_value)


@pytest.mark.parametrize(
    ("accepted", "given_value", "schema"),
    [
        ("Oslo", "Oslo, Norway", TEXT),
        ("Oslo", None, TEXT),
        ("Oslo", ["Oslo"], TEXT),
        ("45", 45, TEXT),
        (45, "45", TEXT),
        (45, "45", {}),
        (45, "4_5", INTEGER),
        (45, "４５", INTEGER),
        (45, "45 minutes", INTEGER),
        (45, True, INTEGER),
        (1, True, INTEGER),
        (1, True, {}),
        (True, 1, BOOLEAN),
        (True, 1, {}),
        (True, "yes", BOOLEAN),
        (0.1, float("nan"), NUMBER),
        (None, "", {}),
        (None, 0, {}),
        (["a", "b"], ["b", "a"], TEXTS),
        (["a"], "a", TEXTS),
        (["a"], ["a", "a"], TEXTS),
        ({"any_order": ["a", "a"]}, ["a", "b"], TEXTS),
        ({"any_order": ["a", "b"]}, ["a", "a"], TEXTS),
        ({"a": 1}, {"a": 1, "b": 2}, {}),
        ({"a": 1}, {"b": 1}, {}),
        ({"a": 1}, [1], {}),
    ],
)
def test_values_that_differ_are_not_equal(accepted: Any, given_value: Any, schema: Any) -> None:
    """Types count where the schema gives no reason to look past them."""
    assert not compile_value(accepted, schema)(given_value)


@given(
    JSON, JSON, st.sampled_from([None, {}, TEXT, INTEGER, NUMBER, BOOLEAN, TEXTS, {"type": 3}, {"items": 1, "properties": []}])
)
def test_comparing_never_raises(accepted: Any, given_value: Any, schema: Any) -> None:
    """Any accepted value, any given one, any schema."""
    assert compile_value(accepted, schema)(given_value) in (True, False)


@given(st.text())
def test_a_text_equals_itself_in_any_case_and_spacing(text: str) -> None:
    """What normalisation removes does not count."""
    assert compile_value(text, TEXT)(text)
    assert compile_value(text, TEXT)(f"  {text}\n")


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    """Idempotent for ASCII."""
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.text(max_size=3), max_size=6), st.randoms(use_true_random=False))
def test_any_order_accepts_every_permutation(values: list[str], random: Any) -> None:
    """And the ordered form only the one order."""
    shuffled = list(values)
    random.shuffle(shuffled)
    assert compile_value({"any_order": values}, TEXTS)(shuffled)
    same = [normalise(v) for v in values] == [normalise(v) for v in shuffled]
    assert compile_value(values, TEXTS)(shuffled) is same


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5))
def test_pairing_agrees_with_trying_every_permutation(options: list[list[int]]) -> None:
    """The matching is exact."""
    brute = any(
        all(p in o for p, o in zip(perm, options, strict=True)) for perm in itertools.permutations(range(5), len(options))
    )
    assert can_pair(options) is brute


def test_a_deep_value_is_followed_no_further_than_the_accepted_one() -> None:
    """10,000 levels are refused without following them; a deeper accepted value than the limit matches nothing."""
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    assert not compile_value([["x"]], {})(deep)
    assert not compile_value(deep, {})(deep)
    assert MAX_DEPTH < 1000


def test_a_huge_value_costs_nothing() -> None:
    """10 MB of text, a list of a million, a number of 100,000 digits."""
    started = time.process_time()
    assert not compile_value("Oslo", TEXT)("Oslo " * 2_000_000)
    assert not compile_value(["a"], TEXTS)(["a"] * 1_000_000)
    assert not compile_value({"any_order": ["a"] * MAX_LIST}, TEXTS)(["b" * 10_000] * MAX_LIST)
    assert not compile_value({"any_order": ["a"] * (MAX_LIST + 1)}, TEXTS)(["a"] * (MAX_LIST + 1))
    assert not compile_value(5, INTEGER)("5" * 100_000)
    assert not compile_value(0.5, NUMBER)(10**100_000)
    assert time.process_time() - started < 1.0
