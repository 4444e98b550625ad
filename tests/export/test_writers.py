"""Tables as text."""

from __future__ import annotations

import csv
import io

import pytest

from selfopt.export.columns import Column
from selfopt.export.writers import text_writer


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_begins_like_a_formula(first: str) -> None:
    """An apostrophe stands before it, and what follows is as it was."""
    out = io.StringIO(newline="")
    writer = text_writer("csv", out.write, (Column("text", "text", "what a model wrote"),))
    writer.add({"text": [f"{first}=1+1", "plain"]})
    writer.end()
    found = [row[0] for row in csv.reader(io.StringIO(out.getvalue(), newline=""))]
    assert found == ["text", f"'{first}=1+1", "plain"]
