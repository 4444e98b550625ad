"""docs/DATA.md is generated from the tables."""

from __future__ import annotations

import runpy
from pathlib import Path

from selfopt.export import TABLES

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_data.py"))


def test_the_page_is_what_the_code_says() -> None:
    """docs/DATA.md is what docs/generate_data.py would write."""
    assert (ROOT / "docs" / "DATA.md").read_text("utf-8") == GENERATOR["document"]()


def test_columns_are_named_once_and_only_the_last_ones_are_content() -> None:
    """So that content adds columns, and moves none."""
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        content = [column.content for column in table.columns]
        assert content == sorted(content)
