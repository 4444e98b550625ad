"""Suites as YAML that is read back the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.home.plain_yaml import read_plain_yaml
from selfopt.suites import list_suites, load_suite, parse_suite
from selfopt.suites.write import suite_yaml, yaml_of

_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda t: st.lists(t, max_size=4) | st.dictionaries(_TEXT, t, max_size=4),
    max_leaves=20,
)


@given(_TREES)
def test_what_is_written_is_read_back_the_same(tree: Any) -> None:
    """Any data, to the type; text that looks like something else is quoted."""
    assert repr(read_plain_yaml(yaml_of(tree))) == repr(tree)


@pytest.mark.parametrize(
    "text",
    [
        "1e5",
        "08",
        "0x1f",
        "1_000",
        "-",
        "+1",
        ".5",
        "2027-03-12",
        "14:00",
        "no",
        "on",
        "~",
        "null",
        "",
        "a\nb",
        "\n",
        "a: b",
        "#x",
    ],
)
def test_text_stays_text(text: str) -> None:
    """What one YAML takes for a number and the other for text, among others."""
    assert read_plain_yaml(yaml_of({"a": [text]})) == {"a": [text]}
    assert read_plain_yaml(yaml_of({text: text})) == {text: text}


@pytest.mark.parametrize("name", list_suites())
def test_a_suite_survives_being_written(name: str) -> None:
    """Every built-in one."""
    suite = load_suite(name)
    text = suite_yaml(suite)
    assert parse_suite(text, source=name) == suite
    assert "&" not in text.replace(" & ", "")


def test_half_a_character_is_refused() -> None:
    """No text file holds it."""
    with pytest.raises(SuiteError, match="cannot be written"):
        yaml_of({"a": "\ud800"})
