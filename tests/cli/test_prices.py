"""`selfopt prices`: what models cost, at the width of the terminal, and an import that says what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .world import Project


@pytest.fixture
def table(project: Project) -> Path:
    """A small table of prices, with an entry that is none."""
    entry = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07}
    file = project.root / "table.json"
    file.write_text(json.dumps({"gpt-4o-mini": entry, "gpt-bad": {**entry, "input_cost_per_token": -1}}), "utf-8")
    return file


def test_an_import_says_what_it_took_and_what_not(project: Project, table: Path) -> None:
    """And does nothing the second time."""
    first = project.ok("prices", "import", str(table)).out
    assert first.startswith("1 price in USD (openai 1): written to ")
    assert "left out: 1 entry with a price that is none" in first
    assert "still without a price: anthropic/claude-haiku-4-5" in first
    assert "no price for endpoint openrouter: the table has no chat model of a provider 'openrouter'" in first
    assert "holds them already" in project.ok("prices", "import", str(table)).out
    told = project.ok("prices", "import", str(table), "--json").json()
    assert (told["changed"], told["models"], told["left_out"]) == (False, {"openai": 1}, {"price": 1})


def test_no_line_is_wider_than_the_terminal(project: Project, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every price is there at 50 columns as at 80."""
    project.ok("prices", "import", str(table))
    for columns in ("80", "50"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = project.ok("prices", "show").out
        drawn = shown.splitlines()[: next(at for at, line in enumerate(shown.splitlines()) if line.startswith("free, because"))]
        assert max(map(len, drawn)) <= int(columns)
        for text in ("openai/gpt-4o-mini", "imported", "0.15", "0.6", "USD"):
            assert text in shown


def test_prices_are_shown_as_json(project: Project, table: Path) -> None:
    """With whose they are."""
    project.ok("prices", "import", str(table))
    shown = project.ok("prices", "show", "--json").json()
    assert shown["currency"] == "USD"
    assert shown["models"] == [
        {
            "model": "openai/gpt-4o-mini",
            "price": {"input": 0.15, "output": 0.6, "cached": None, "per_hour": None},
            "origin": "imported",
        }
    ]


def test_without_prices_it_says_how_to_get_some(project: Project) -> None:
    """Models of this machine cost nothing, and it says so."""
    shown = project.ok("prices", "show").out
    assert "no prices yet" in shown
    assert "selfopt prices import FILE" in shown
    assert "free, because they run on this machine and have no price: " in " ".join(shown.split())
    assert "of unknown cost, because they have no price: anthropic/claude-haiku-4-5" in " ".join(shown.split())


def test_what_cannot_be_imported_is_refused_in_one_line(project: Project, table: Path) -> None:
    """A usage error."""
    project.run("prices", "import", "nowhere.json").assert_refused(2, "nowhere.json", "no such file")
    project.run("prices", "import", str(table), "--currency", "EUR").assert_refused(2, "EUR=0.92")
