"""Versions of requests: what was measured with other words or under other limits is other evidence."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import ExpectedCall, Message, Prompt, Spec, Suite, ToolDefinition, Variant
from selfopt.variants import load_variants
from selfopt.variants.rendering import as_rendered, left_free, rendering_of

PLAIN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
UNION = {"type": "object", "properties": {"city": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": []}
NONE: dict[str, Any] = {"type": "object", "properties": {}}
IN_WORDS = ("atomic", "extended", "few_shot", "atomic@2", "extended@2", "few_shot@2")
LIMITED = ("constrained", "few_shot_constrained", "constrained@2", "few_shot_constrained@2")


def suite(parameters: dict[str, Any]) -> Suite:
    """A suite of one prompt, whose tool has these parameters."""
    asked = (Message(role="user", content="Weather in Oslo?"),)
    prompt = Prompt(id="p", kind="direct", tool_set="t", messages=asked, expected=((ExpectedCall(name="weather"),),))
    tool = ToolDefinition(name="weather", description="Weather.", parameters=parameters)
    return Suite(name="s", phase="atomic", tool_sets={"t": (tool,)}, prompts=(prompt,))


def spec(variant: Variant) -> Spec:
    """A spec, as it was kept before there were versions."""
    return Spec(endpoint="local", model="local/m", phase="atomic", suite="s", suite_hash="suite-0", variant=variant)


@pytest.mark.parametrize("name", sorted(load_variants()))
def test_only_requests_that_changed_have_another_version(name: str) -> None:
    """Where nothing changes, the ids do not change."""
    variant = load_variants()[name]
    versions = [rendering_of(variant, suite(parameters)) for parameters in (PLAIN, UNION, NONE)]
    limited = [2, 1, 1] if name.startswith("few_shot_constrained") else [2, 2, 1]  # its lean tools lose what is optional
    assert versions == (limited if name in LIMITED else [1, 2, 1] if name in IN_WORDS else [1, 1, 1])
    known = spec(variant)
    assert (as_rendered(known, suite(PLAIN)).request_id == known.request_id) == (versions[0] == 1)


def test_a_spec_of_version_one_is_as_it_was_before_there_were_versions() -> None:
    """The field is left out of its ids."""
    known = spec(load_variants()["atomic"])
    assert "rendering" not in known.model_dump(mode="json", exclude_defaults=True)
    assert as_rendered(as_rendered(known, suite(UNION)), suite(PLAIN)).spec_id == known.spec_id


def test_the_specs_of_old_and_new_requests_share_nothing() -> None:
    """Neither trials nor evaluations."""
    known = spec(load_variants()["constrained"])
    now = as_rendered(known, suite(PLAIN))
    assert now.rendering == 2
    assert (now.spec_id, now.request_id) != (known.spec_id, known.request_id)
    assert now.variant.variant_hash == known.variant.variant_hash


def test_examples_are_told_in_words_too() -> None:
    """Also where the server gets the tools of the request itself."""
    example = {"tools": [{"name": "f", "parameters": UNION}], "messages": [{"role": "user", "content": "x"}]}
    body = {"name": "v", "examples": [example], "options": {"tool_style": "signature"}}
    assert rendering_of(Variant.model_validate(body), suite(PLAIN)) == 2
    assert rendering_of(Variant.model_validate({**body, "options": {}}), suite(PLAIN)) == 1


def test_what_is_left_free_is_told_of_variants_that_limit_arguments() -> None:
    """With the tool, the place and the reason."""
    body = {"type": "object", "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}}, "required": ["city"]}
    (tool,) = suite(body).tool_sets["t"]
    (part,) = left_free(load_variants()["constrained"], (tool,))
    assert (part.tool, part.where, part.why, part.keyword) == ("weather", "city", "keyword", "pattern")
    assert left_free(load_variants()["gated"], (tool,)) == left_free(load_variants()["atomic"], (tool,)) == ()
