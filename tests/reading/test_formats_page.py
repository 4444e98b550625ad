"""docs/FORMATS.md says what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_formats.py"))


def test_the_page_is_what_its_generator_writes() -> None:
    """`make docs` writes it from the table of families and from the inputs of their tests."""
    assert (ROOT / "docs" / "FORMATS.md").read_text("utf-8") == GENERATOR["page"](), "run `make docs`"
