"""The table of what each dialect can carry."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_dialects.py"))
CARRIED, carried_by, dialects = (GENERATOR[name] for name in ("CARRIED", "carried_by", "dialects"))


def test_the_page_of_the_dialects_is_current() -> None:
    """docs/DIALECTS.md is what docs/generate_dialects.py would write."""
    assert (ROOT / "docs" / "DIALECTS.md").read_text("utf-8") == GENERATOR["page"](), "call: make docs"


def test_the_table_says_where_a_field_stands_that_it_is_refused_or_that_it_is_not_there() -> None:
    """A place in the body, None, or no place."""
    ollama, anthropic = (carried_by(dialects()[name]) for name in ("ollama", "anthropic"))
    assert ollama["sampling.seed"] == ("options.seed",)
    assert anthropic["sampling.seed"] == ()
    assert anthropic["constraint `grammar`"] is None
    assert set(ollama) == set(CARRIED)


def test_every_dialect_carries_a_conversation_with_tools() -> None:
    """Without that, it cannot be measured."""
    for dialect in dialects().values():
        carried = carried_by(dialect)
        assert all(carried[what] for what in CARRIED if what.startswith(("model", "messages", "tools", "sampling.max_tokens")))


def test_earlier_thinking_is_carried_where_that_is_lawful() -> None:
    """Anthropic's servers take only what they have signed, and the page says so."""
    plain, signed = (what for what in CARRIED if what.startswith("thinking "))
    anthropic, ollama = (carried_by(dialects()[name]) for name in ("anthropic", "ollama"))
    assert (anthropic[plain], ollama[plain]) == ((), ("messages[].thinking",))
    assert "messages[].content[].signature" in (anthropic[signed] or ())
