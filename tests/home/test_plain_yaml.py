"""YAML that can only become plain data."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selfopt.home import plain_yaml
from selfopt.home.plain_yaml import MAX_DEPTH, PlainYamlError, read_plain_yaml

# YAML has no surrogates and, unlike JSON, no unescaped control characters.
_TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc", "Cn")))
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_TREES = st.recursive(_LEAVES, lambda t: st.lists(t, max_size=4) | st.dictionaries(_TEXT, t, max_size=4), max_leaves=20)


@given(_TREES)
def test_json_reads_as_the_data_it_is(tree: Any) -> None:
    """A file written by a JSON tool is read exactly."""
    assert read_plain_yaml(json.dumps(tree, ensure_ascii=False)) == json.loads(json.dumps(tree))


@given(st.text(alphabet="ab:-[]{}&*!|>#'\"\n \t0%@,?~", max_size=200))
def test_any_text_is_data_or_one_kind_of_error(text: str) -> None:
    """No other exception leaves the reader."""
    with contextlib.suppress(PlainYamlError):
        assert isinstance(read_plain_yaml(text), dict | list | str | int | float | bool | None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2027-03-12", "2027-03-12"),
        ("14:00", "14:00"),
        ("on", "on"),
        ("no", "no"),
        ("<<", "<<"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("-12", -12),
        ("1.5e3", 1500.0),
        ("'12'", "12"),
        ("~", None),
        ("", None),
        ("true", True),
    ],
)
def test_plain_text_is_read_as_people_mean_it(text: str, value: Any) -> None:
    """Dates, times and yes-words are text; only plain numbers, truth values and null are not."""
    got = read_plain_yaml(text)
    assert got == value
    assert type(got) is type(value)


def test_keys_are_text() -> None:
    """A key is never a number or a truth value."""
    assert read_plain_yaml("{1: a, true: b, ~: c}") == {"1": "a", "true": "b", "~": "c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x", "line 1: an anchor"),
        ("a: 1\nb: *x", "line 2: an alias"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: a tag"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        ("? [a]\n: 1", "is used as a key"),
        ("a: 1\n---\nb: 2", "second document"),
        ("a: [1", "not valid YAML"),
        ("a: \x07", "not valid YAML"),
        ("\t- a", "not valid YAML"),
        ("a: " + "9" * 301, "a number of 301 characters"),
        ("a: 1e999", "too large"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_place(text: str, said: str) -> None:
    """Each refusal names what stands there."""
    with pytest.raises(PlainYamlError) as caught:
        read_plain_yaml(text)
    assert said in str(caught.value)


def test_an_alias_bomb_costs_nothing() -> None:
    """The first anchor ends the reading."""
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    with pytest.raises(PlainYamlError, match="anchor"):
        read_plain_yaml(f"a0: &a0 x\n{levels}")


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_deep_nesting_is_refused_without_recursion(opening: str) -> None:
    """100,000 levels end at the limit."""
    with pytest.raises(PlainYamlError, match=f"deeper than {MAX_DEPTH}"):
        read_plain_yaml(opening * 100_000)


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of tiny values cannot fill the memory."""
    monkeypatch.setattr(plain_yaml, "MAX_NODES", 10)
    with pytest.raises(PlainYamlError, match="more than 10 values"):
        read_plain_yaml("[" + "1," * 11 + "]")


def test_the_slower_reader_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML has no C library, nothing but the time differs."""
    text = "a: [1, 'x', {b: on}]\nc: >-\n  two\n  lines\n"
    fast = read_plain_yaml(text)
    monkeypatch.setattr(plain_yaml, "_LOADER", yaml.SafeLoader)
    assert read_plain_yaml(text) == fast
    with pytest.raises(PlainYamlError, match="line 1"):
        read_plain_yaml("a: *b")


def test_aliases_are_read_where_they_are_asked_for() -> None:
    """They stand for their value; `<<` merges, and what a mapping says itself wins."""
    text = "a: &x {k: 1, l: [2]}\nb: *x\nc: {<<: *x, k: 3}\nd: {<<: [*x, {m: 4, k: 5}]}\ne: &s yes\nf: *s\n"
    got = read_plain_yaml(text, aliases=True)
    assert got["b"] == {"k": 1, "l": [2]}
    assert got["c"] == {"k": 3, "l": [2]}
    assert got["d"] == {"k": 1, "l": [2], "m": 4}
    assert got["f"] == "yes"
    with pytest.raises(PlainYamlError, match="line 1: an anchor"):
        read_plain_yaml(text)


def test_aliases_that_explode_are_refused_by_what_they_stand_for() -> None:
    """Wide, deep, into themselves, to nothing."""
    wide = "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    deep = "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))
    for text, said in (
        (wide, "more than 1000000 values"),
        (deep, f"deeper than {MAX_DEPTH} levels with what"),
        ("a: &x [*x]", "no complete anchor"),
        ("a: *x", "no complete anchor"),
        ("a: {<<: 3}", "not a mapping"),
        ("a: &x !!python/name:os.system [1]", "a tag"),
        ("? *x\n: 1", "no complete anchor"),
        ("a: &x [1]\n? *x\n: 1", "is used as a key"),
    ):
        with pytest.raises(PlainYamlError, match=said):
            read_plain_yaml(text, aliases=True)


@given(_TREES)
def test_without_aliases_both_ways_of_reading_agree(tree: Any) -> None:
    """But for the merge key."""
    text = json.dumps(tree, ensure_ascii=False)
    if '"<<"' not in text:
        assert read_plain_yaml(text, aliases=True) == read_plain_yaml(text)
