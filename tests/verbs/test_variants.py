"""What `variants render` shows."""

from __future__ import annotations

import pytest

from selfopt.errors import VariantError
from selfopt.records import ToolDefinition
from selfopt.verbs.variants import VariantDifference, diff_variants, one_variant, render_variant
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


def test_a_point_is_named_by_its_parts(project: Project) -> None:
    """In any order, with spaces or commas, and `native` where all is as by default."""
    app = App.open()
    one = one_variant(app, "backing=strict,tools=signatures")
    assert one == one_variant(app, "tools=signatures fit=no backing=strict")
    assert (one.name, one.parsers) == ("tools=signatures backing=strict", ("all@2", "ground@2", "strict"))
    assert one_variant(app, "native") == one_variant(app, "tools=native")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tools=signatures strict", "'strict' in a point: write each part once as PART=CHOICE"),
        ("tools=native tools=native", "'tools=native' in a point"),
        ("tols=native", "no part 'tols'; parts are tools, "),
        ("tools=natve", "part 'tools' has no choice 'natve'; did you mean native; choices are native, "),
        ("form=grammar", "form=grammar needs tools to be "),
    ],
)
def test_what_names_no_point_is_refused_with_what_there_is(project: Project, name: str, why: str) -> None:
    """In one line."""
    with pytest.raises(VariantError, match=why) as refused:
        one_variant(App.open(), name)
    assert "\n" not in str(refused.value)


def test_a_difference_names_fields_and_not_names(project: Project) -> None:
    """Two variants of one content differ in nothing."""
    app = App.open()
    assert diff_variants(app, "native_parsed@2", "native") == []
    assert diff_variants(app, "native", "tools=signatures fit=yes") == [
        VariantDifference("tools", "native", "system_prompt"),
        VariantDifference("parsers", ["all@2"], ["all@2", "fit@2"]),
        VariantDifference("options.tool_style", None, "signature"),
    ]
