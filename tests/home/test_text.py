"""JSON that people read."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from selfopt.home import readable_json

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
