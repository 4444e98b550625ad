"""JSON that people read."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.home import counted, readable_json, spread_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_readable_json_is_the_same_value_and_hides_nothing(value: Any) -> None:
    """No control or formatting character stands in it, but line breaks between its parts."""
    for text in (readable_json(value), readable_json(value, indent=2), readable_json(value, compact=True)):
        assert json.loads(text) == value
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]


def test_letters_of_every_script_stay_readable() -> None:
    """Only what hides something is escaped."""
    assert readable_json("\x7f") == '"\\u007f"'
    assert readable_json({"a": "日本語 \u202e \U000e0041 \x7f"}) == '{"a": "日本語 \\u202e \\udb40\\udc41 \\u007f"}'


@pytest.mark.parametrize(
    ("n", "thing", "said"),
    [
        (1, "run", "1 run"),
        (2, "run", "2 runs"),
        (0, "trial", "0 trials"),
        (3, "reply", "3 replies"),
        (1, "reply", "1 reply"),
        (2, "day", "2 days"),
    ],
)
def test_a_number_stands_with_its_noun(n: int, thing: str, said: str) -> None:
    """One is singular, none and several are plural."""
    assert counted(n, thing) == said


_COUNTS = re.compile(
    r"(?<!of )\{[^{}:!]+\} (?:runs|trials|prompts|replies|blocks|records|candidates|evaluations|errors|timeouts|rules|cycles)\b"
)


def test_no_sentence_counts_in_the_plural_without_looking() -> None:
    """`1 runs`: a number that is put into a sentence brings its noun along, except in limits that are never one."""
    source = Path(__file__).resolve().parents[2] / "src" / "selfopt"
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted(source.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if _COUNTS.search(line)
        and "seed" not in line
        and "raise " not in line
        and "MAX_" not in line
        and " if " not in line
        and "seed" not in line
    ]
    assert found == []


def test_json_is_spread_and_leaves_everything_else() -> None:
    """Objects and lists are spread; text, numbers, broken, deep and huge ones are as they were."""
    assert spread_json('{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    for text in ("hello", "3", '"x"', "{", "[" * 100_000, '["' + "x" * 600_000 + '"]'):
        assert spread_json(text) == text
