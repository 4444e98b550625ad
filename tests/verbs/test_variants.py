"""What `variants render` shows."""

from __future__ import annotations

from selfopt.records import ToolDefinition
from selfopt.verbs.variants import render_variant
from selfopt.wiring.app import App
from tests.cli.world import Project

SEARCH = ToolDefinition(
    name="search",
    description="Search.",
    parameters={
        "type": "object",
        "properties": {"text": {"type": "string", "pattern": "^a"}, "limit": {"type": "integer", "default": 5}},
        "required": ["text"],
    },
)


def test_the_words_the_limit_and_what_it_leaves_free_are_shown(project: Project) -> None:
    """Of a variant that limits calls."""
    app = App.open()
    (shown,) = render_variant(app, "constrained", (SEARCH,), "Find it.")
    assert shown["signatures"] == ["search(text: string, limit?: integer = 5) - Search."]
    assert shown["constraint"].grammar.startswith('root ::= "none" | ')
    assert [(part.where, part.keyword) for part in shown["left_free"]] == [("text", "pattern")]


def test_a_variant_that_chooses_first_is_shown_with_its_second_request(project: Project) -> None:
    """As if the first tool had been chosen; its lean tools have no optional arguments."""
    app = App.open()
    choice, fill = render_variant(app, "few_shot_constrained", (SEARCH,), "Find it.")
    (native,) = render_variant(app, "native_api", (SEARCH,), "Find it.")
    assert (choice["step"], fill["step"]) == ("choose", "fill 1")
    assert fill["signatures"] == ["search(text: string) - Search."]
    assert (native["signatures"], native["left_free"], native["constraint"]) == ([], (), None)
