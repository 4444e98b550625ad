"""Comma-separated values as suites."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from selfopt.errors import SuiteError
from selfopt.suites.importers.csv_rows import read_csv

TOOLS = json.dumps([{"name": "w", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}])
CALLS = json.dumps([{"name": "w", "arguments": {"city": "Oslo"}}])


def text_of(*rows: list[str], delimiter: str = ",") -> str:
    """A file with these rows."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def sample(folder: Path) -> Path:
    """A file that can be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.csv"
    path.write_text(text_of(["prompt", "tools", "expected"], ["weather in\nOslo?", TOOLS, CALLS], ["hi", TOOLS, ""]), "utf-8")
    return path


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_row_is_a_prompt_with_its_tools_and_calls(sign: str) -> None:
    """Whatever separates; plain columns are kept, others are named."""
    text = text_of(
        ["id", "Prompt", "system", "tools", "expected", "note"],
        ["a", "weather in\nOslo?", "Be brief.", TOOLS, CALLS, "x"],
        ["b", "hi", "", TOOLS, "[]", ""],
        ["c", "any", "", TOOLS, "any", ""],
        delimiter=sign,
    )
    parts, left_out = read_csv(text, "x.csv")
    assert left_out == ["note"]
    assert [prompt["id"] for prompt in parts.prompts] == ["a", "b", "c"]
    assert parts.prompts[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "weather in\nOslo?"},
    ]
    assert [prompt["expected"] for prompt in parts.prompts] == [
        [[{"name": "w", "arguments": {"city": ["Oslo"]}}]],
        [[]],
        "any",
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["question", "answer"], ["a", "b"]], "first line"),
        ([["prompt", "expected", "prompt"], ["a", "", "b"]], "each name once"),
        ([["prompt", "expected"], ["a", ""]], "--tools"),
        ([["prompt", "expected"], [" ", ""], ["a"]], "no prompt"),
        ([["prompt", "tools", "expected"], ["a", TOOLS]], "cells"),
        ([["prompt", "tools", "expected"], ["a", "{", ""]], "tools"),
        ([["prompt", "tools", "expected"], ["a", TOOLS, "maybe"]], "expected"),
        ([["prompt", "tools", "expected"], ["a" * 200_000, TOOLS, ""]], "row 2"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_row(rows: list[list[str]], said: str) -> None:
    """In one line."""
    with pytest.raises(SuiteError, match=said) as caught:
        read_csv(text_of(*rows), "x.csv")
    assert str(caught.value).isprintable()
