"""What a variant makes of prompts, as the evidence of races is kept under."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.measure.arena import as_measured, rendered
from selfopt.records import ExpectedCall, Message, Prompt, Spec, Suite, ToolCall, ToolDefinition, content_hash
from selfopt.variants import load_variants

KNOWN: dict[str, str] = json.loads((Path(__file__).parent / "rendered.json").read_text("utf-8"))
TOOL = ToolDefinition(
    name="get_weather",
    description="Weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
ASKED = Message(role="user", content="Weather in Oslo?")
CALLED = Message(role="assistant", tool_calls=(ToolCall(name="get_weather", arguments={"city": "Oslo"}, id="c1"),))
TOLD = Message(role="tool", content="3 degrees", tool_call_id="c1", name="get_weather")
EXPECTED = ((ExpectedCall(name="get_weather", arguments={"city": ["Oslo"]}),),)
SUITE = Suite(
    name="s",
    phase="extended",
    tool_sets={"t": (TOOL,)},
    prompts=(
        Prompt(id="p1", kind="direct", tool_set="t", messages=(ASKED,), expected=EXPECTED),
        Prompt(id="p2", kind="turns", tool_set="t", messages=(ASKED, CALLED, TOLD, ASKED), expected=EXPECTED),
    ),
)


def hash_of(name: str) -> str:
    """The hash under which the evidence on a variant is kept."""
    return content_hash("render", rendered(spec_of(name), SUITE))


def spec_of(name: str) -> Spec:
    """A spec of a variant of the catalogue."""
    return Spec(
        endpoint="local",
        model="local/m",
        phase="extended",
        suite="s",
        suite_hash=SUITE.content_id(),
        variant=load_variants()[name],
    )


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_evidence_from_before_0_2_is_about_the_same_requests(name: str) -> None:
    """A field that a request gains must not void what was gathered for every variant that does not use it."""
    assert hash_of(name) == KNOWN[name]


def test_what_limits_are_written_anew_for_is_other_evidence() -> None:
    """The grammar of `constrained` allows more than before; the first question of the other limited variant is as it was."""
    assert hash_of("constrained") != "render-40aa3ca3b2c6f204bd63a4c4"  # of the commit before 0.2
    assert {
        name: as_measured(spec_of(name), SUITE).rendering for name in KNOWN if name in ("few_shot_constrained", "atomic")
    } == {
        "few_shot_constrained": 2,
        "atomic": 1,
    }
