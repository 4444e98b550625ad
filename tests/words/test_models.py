"""Where a model stands, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import Rule, ToolMatch, Voided
from selfopt.words.models import effect_of, models_sentence, verdict_sentence
from tests.routing.make import rule, surely

SQL = ToolMatch(names="sql_*")
SURE: dict[str, Any] = {"fallback": "a/large", "serve_when": surely(), "spec_id": "spec-1"}
VOID: dict[str, Any] = {**SURE, "voided": Voided(kind="drift", calibration_id="calibration-1", why="x")}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((), "was measured (3 evaluations), and no rule says yet whether it may serve"),
        ((rule("m"),), "may serve every request"),
        ((rule("m", allow=False),), "is refused"),
        ((rule("m", allow=False, fallback="a/large"),), "hands every request over to a/large"),
        ((rule("m", **SURE),), "may serve every request, and escalates to a/large when unsure"),
        ((rule("m", **VOID),), "escalates every request to a/large, since its threshold is void"),
        (
            (rule("m", when=SQL, allow=False), rule("m", **SURE)),
            "may serve every other request, and escalates to a/large when unsure; is refused for sql_* tools",
        ),
        ((rule("m", when=SQL),), "may serve sql_* tools; no rule is about its other requests"),
        (
            (rule("m", when=ToolMatch(names="sql_*", most=3), **VOID),),
            "escalates requests with sql_* tools, at most 3, to a/large, since its threshold is void; no rule is about its other requests",
        ),
    ],
)
def test_a_verdict_is_a_sentence(rules: tuple[Rule, ...], said: str) -> None:
    """The rule for all requests comes first, and then is about the others."""
    assert verdict_sentence(rules, 3) == said


def test_many_rules_are_counted() -> None:
    """The sentence stays short."""
    rules = [rule("m", when=ToolMatch(names=f"t{n}_*")) for n in range(20)]
    assert "14 more rules decide by the tools of a request" in verdict_sentence(rules, 1)


def test_the_answer_on_top_counts_what_becomes_of_requests() -> None:
    """Every effect in its own words; a void threshold is told."""
    effects = [effect_of(one) for one in (rule("m"), rule("m", **SURE), rule("m", **VOID), rule("m", allow=False))]
    said = models_sentence(effects, 1, 7, void=1)
    assert said.startswith("5 pairs of a model and a phase were measured or have rules: 1 may serve, 1 may serve when sure")
    assert said.endswith("version 7 of the rules is in force; 1 threshold is void")
    assert models_sentence([], 0, 0) == "Nothing was measured yet, so no rule is in force"


def test_names_can_not_hide_anything() -> None:
    """Control and direction characters are shown as what they are."""
    assert "\\u202e" in verdict_sentence([rule("m", allow=False, fallback="a/\u202eegral")], 1)
