"""docs/SEARCH.md says what the space holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfopt.search import SEARCHERS
from selfopt.variants.part import VariantPart
from selfopt.variants.space import parts_by_name, parts_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "SEARCH.md").read_text("utf-8")


def parts_table(parts: Sequence[VariantPart]) -> str:
    """The parts and their choices, as the page has them."""
    rows = ["| part | what is chosen | choices | costs requests |", "|---|---|---|---|"]
    for part in parts:
        choices = "<br>".join(
            f"`{choice.name}`: {choice.title}{f' (+{choice.requests})' if choice.requests else ''}" for choice in part.choices
        )
        rows.append(f"| `{part.name}` | {part.title} | {choices} | {'no' if part.reads else 'yes'} |")
    return "\n".join(rows)


def test_the_page_has_every_part_with_its_choices() -> None:
    """Word for word, in their order: those of single requests, and those that conversations have beside them."""
    assert parts_table(parts_of("atomic")) in TEXT
    assert parts_table([part for part in parts_of("extended") if "atomic" not in part.phases]) in TEXT


def test_the_page_says_how_else_the_space_of_conversations_differs() -> None:
    """The parts that they lack, and the choices that only they have."""
    said = TEXT.partition("### Conversations")[2].partition("## How a search goes")[0]
    assert [part.name for part in parts_of("atomic") if "extended" not in part.phases and f"`{part.name}`" not in said] == []
    own = [
        one for part in parts_by_name().values() for one in part.choices if "atomic" in part.phases and "atomic" not in one.phases
    ]
    assert [one.name for one in own if f"`{one.name}`" not in said] == []


def test_the_page_names_every_proposer() -> None:
    """Those that need nothing."""
    assert [name for name in SEARCHERS.builtin if f"| `{name}` |" not in TEXT] == []
