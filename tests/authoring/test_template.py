"""The template writes prompts that pass the checks, for any tool with plain arguments."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from selfopt.authoring.checks import Checker
from selfopt.authoring.drafts import Draft
from selfopt.authoring.template import template_drafts, template_pairs
from selfopt.records import ToolDefinition
from selfopt.suites import load_suite

from .tools import CLOCK, LAMP, WEATHER, tool


def kept(*tools: ToolDefinition) -> list[Draft]:
    """What passes the checks."""
    mine = Checker({one.name: one for one in tools})
    drafts = [draft for one in tools for draft in template_drafts(one)] + list(template_pairs(tools))
    return [found for draft in drafts if isinstance(found := mine.checked(draft, tools), Draft)]


def test_every_kind_is_written() -> None:
    """Also two things at once."""
    kinds = Counter(draft.kind for draft in kept(WEATHER, LAMP))
    assert min(kinds[kind] for kind in ("direct", "paraphrase", "near miss", "needed detail missing", "two at once")) >= 1


def test_it_is_always_the_same() -> None:
    """So a command that was cut off goes on with it."""
    assert list(template_drafts(LAMP)) == list(template_drafts(LAMP))


def test_tools_of_the_built_in_suites_get_plenty() -> None:
    """Four of five tools get ten requests or more that pass every check."""
    suite = load_suite("atomic-150b")
    several = [one for tools in list(suite.tool_sets.values())[:6] for one in tools]
    counts = [sum(draft.kind in ("direct", "paraphrase") for draft in kept(one)) for one in several]
    assert sum(count >= 10 for count in counts) >= 0.8 * len(counts)


def test_a_tool_that_requires_an_object_gets_no_request() -> None:
    """And one that requires nothing is asked for without a value."""
    assert list(template_drafts(tool("store", ("what",), what={"type": "object"}))) == []
    assert any(draft.kind == "direct" and draft.calls[0].arguments == {} for draft in kept(CLOCK))


def test_a_tool_that_requires_many_arguments_is_written_for_at_once() -> None:
    """What a request may lack is drawn from them, never listed in full."""
    names = tuple(f"word{n}" for n in range(60))
    drafts = list(template_drafts(tool("send_form", names, **{name: {"type": "string"} for name in names})))
    assert 1 <= sum(draft.kind == "needed detail missing" for draft in drafts) <= 40


@pytest.mark.parametrize(
    "items",
    [
        {"$ref": "#/properties/x"},
        {"anyOf": [{"$ref": "#/properties/x"}] * 200},
        {"anyOf": [{"$ref": "#/properties/x"}, {"type": "string"}]},
    ],
)
def test_a_schema_that_names_itself_ends(items: dict[str, Any]) -> None:
    """Its lists have no plain value, or one in a few lists."""
    drafts = list(template_drafts(tool("store", ("x",), x={"type": "array", "items": items})))
    assert all(len(str(draft.calls)) < 1_000 for draft in drafts)
