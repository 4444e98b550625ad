"""docs/SEARCH.md says what the space holds."""

from __future__ import annotations

from pathlib import Path

from selfopt.search import SEARCHERS
from selfopt.variants.space import PARTS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "SEARCH.md").read_text("utf-8")


def parts_table() -> str:
    """The parts and their choices, as the page has them."""
    rows = ["| part | what is chosen | choices | costs requests |", "|---|---|---|---|"]
    for part in PARTS:
        choices = "<br>".join(
            f"`{choice.name}`: {choice.title}{f' (+{choice.requests})' if choice.requests else ''}" for choice in part.choices
        )
        rows.append(f"| `{part.name}` | {part.title} | {choices} | {'no' if part.reads else 'yes'} |")
    return "\n".join(rows)


def test_the_page_has_every_part_with_its_choices() -> None:
    """Word for word, in their order."""
    assert parts_table() in TEXT


def test_the_page_names_every_proposer() -> None:
    """Those that need nothing."""
    assert [name for name in SEARCHERS.builtin if f"| `{name}` |" not in TEXT] == []
