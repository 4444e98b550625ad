"""`selfopt tune` on a command line: what it prints, and one clear line for what cannot work."""

from __future__ import annotations

import json

import pytest

from .world import Project

BY_TEMPLATE = ("--writer", "none", "--prompts", "24", "--prompts-only")
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(autouse=True)
def tools(project: Project) -> None:
    """A tool with a type for its argument."""
    project.write("tools.json", json.dumps([WEATHER]))


def test_it_says_what_was_made_and_what_is_missing(project: Project) -> None:
    """Who wrote it, that nobody agreed, the splits, and what a decision would need."""
    out = project.ok("tune", "good", "--tools", "tools.json", *BY_TEMPLATE).out
    assert "synthetic prompts, written to" in out
    assert "written by template; no solver was asked" in out
    assert "held-out prompts are needed" in out


def test_json_is_one_document(project: Project) -> None:
    """With the suite and no cycle."""
    found = project.ok("tune", "good", "--tools", "tools.json", *BY_TEMPLATE, "--json").json()
    assert found["suite"]["by"] == "template"
    assert found["cycles"] == []
    name = found["suite"]["name"]
    rows = project.ok("suites", "list", "--json").json()
    assert any(row["name"] == name and row["synthetic"]["by"] == "template" for row in rows)
    assert project.ok("suites", "validate", name).out.startswith(name)


def test_the_whole_command_ends_with_a_rule_that_says_so(project: Project) -> None:
    """Comparisons, feedback and rules say on what they rest."""
    asked = ("tune", "good", "--tools", "tools.json", "--writer", "none", "--prompts", "24", "--max-trials", "150")
    out = project.ok(*asked).out
    assert "on synthetic prompts" in out
    assert "on synthetic prompts" in project.ok("routes", "show").out
    rules = project.ok("routes", "show", "--json").json()["rules"]
    assert any(reason.get("synthetic") for rule in rules for reason in rule["reasons"])
    (suite,) = [path.stem for path in (project.home / "suites").iterdir()]
    assert "on synthetic prompts" in project.ok("compare", "good", "mute", "--suite", suite).out
    assert project.ok("compare", "good", "mute", "--suite", suite, "--json").json()["synthetic"] == [suite]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("good", "--tools", "none.json"), 2, "none.json"),
        (("good", "--tools", "script.yaml"), 2, "JSON"),
        (("good", "--tools", "empty.json"), 2, "holds no tool"),
        (("good", "--tools", "many.json"), 2, "allowed are 64"),
        (("good", "--tools", "large.json"), 1, "no prompt can be made for any tool"),
        (("good", "--tools", "mcp:/no/such/server"), 2, "cannot be started"),
        (("scripted/none", "--tools", "tools.json", "--writer", "x/y"), 2, "x/y"),
        (("good", "--tools", "tools.json", "--writer", "good"), 2, "flatter"),
        (("mute", "--tools", "tools.json", "--solver", "good", "--solver", "good"), 2, "two different ones"),
    ],
)
def test_what_cannot_work_gives_one_line(project: Project, words: tuple[str, ...], code: int, told: str) -> None:
    """Nothing is written then."""
    project.write("empty.json", "[]")
    project.write("many.json", json.dumps([{**WEATHER, "name": f"t{n}"} for n in range(65)]))
    project.write("large.json", json.dumps([{**WEATHER, "description": "x" * 20_000}]))
    more = () if "--writer" in words else ("--writer", "none")
    project.run("tune", *words, *more, "--prompts-only").assert_refused(code, told)
    assert not (project.home / "suites").exists()


def test_prompts_that_cannot_be_made_end_with_exit_code_1(project: Project) -> None:
    """What a writer wrote that says the same to everything is told."""
    result = project.run("tune", "good", "--tools", "tools.json", "--writer", "mute", "--prompts", "24")
    result.assert_refused(1, "1 prompt is left", "asked before")
