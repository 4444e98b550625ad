"""The suite to begin with."""

from __future__ import annotations

import pytest

from selfopt.records import Phase
from selfopt.suites import find_warnings, load_suite, parse_suite, starter_text

from .warn.kit import passes

OFFICE = load_suite("atomic").tool_sets["office"]


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_a_starter_validates_without_a_warning(phase: Phase) -> None:
    """As it is: with a held-out split, prompts that need a call and prompts that need none."""
    suite = parse_suite(starter_text("mine", phase), source="mine")
    assert (suite.name, suite.phase, suite.scope) == ("mine", phase, "sample")
    assert find_warnings(suite, passes) == []
    assert {p.split for p in suite.prompts} == {"search", "heldout"}
    assert len({p.needs_call for p in suite.prompts}) == 2


def test_a_starter_offers_the_tools_that_are_given() -> None:
    """With one prompt, and another as a comment; whatever their origin is called."""
    text = starter_text("mine", "atomic", OFFICE, 'MCP server "x": y # {z}')
    suite = parse_suite(text, source="mine")
    assert suite.tool_sets["tools"] == OFFICE
    assert suite.title == 'Tools of MCP server "x": y # {z}'
    assert find_warnings(suite, passes) == []
    example = "\n".join(line.removeprefix("  # ") for line in text.splitlines() if line.startswith("  # ")).partition("\n")[2]
    assert "name: get_weather" in example


def test_a_starter_says_how_commands_call_it() -> None:
    """By its file, where it has no name; quoted as a shell wants it."""
    assert "selfopt suites validate 'a b.yaml'\n" in starter_text("mine", "atomic", named="a b.yaml")
