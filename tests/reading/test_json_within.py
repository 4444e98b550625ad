"""JSON is found in an answer, whatever stands around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.json_within import object_within

BODY = {"edits": [{"instructions": 'Use {braces} and "quotes".'}]}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "```json\n{}\n```",
        'Think {hard}: the form is {{"a": 1}}.\n{}',
        "{} That is all {{",
        'Here:\n{}\n{{"edits": []}}',
    ],
)
def test_the_first_object_with_the_key_is_found(text: str) -> None:
    """Beside prose, fences and other braces."""
    doubled = "{{" in text
    plain = text.replace("{}", json.dumps(BODY), 1)
    assert object_within(plain.replace("{{", "{").replace("}}", "}") if doubled else plain, "edits") == BODY


@pytest.mark.parametrize("text", ["", "none", '{"edit": []}', "[]", "{" * 5000, '{"edits": [', "x" * 200_000 + json.dumps(BODY)])
def test_where_there_is_none_none_is_found(text: str) -> None:
    """Nor is what is cut off without an end, or far behind."""
    assert object_within(text, "edits") is None or text == '{"edits": ['


@given(st.text(max_size=500), st.text(alphabet='{}[]":,edits', max_size=200))
def test_whatever_is_written_is_read(before: str, after: str) -> None:
    """Without an error."""
    found = object_within(before + '{"edits": ' + after, "edits")
    assert found is None or "edits" in found
