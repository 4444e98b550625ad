"""Prompts added to a suite's file, which otherwise stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.errors import SuiteError
from selfopt.home.plain_yaml import read_plain_yaml
from selfopt.suites import extended_json, extended_yaml, parse_suite, starter_text

PROMPT: dict[str, Any] = {
    "id": "new",
    "kind": "failed",
    "reason": "review: why?",
    "tool_set": "new",
    "messages": [{"role": "user", "content": "two\nlines\n"}],
    "expected": [[]],
}
SETS: dict[str, Any] = {"new": [{"name": "sing", "description": "On its own."}]}


@pytest.mark.parametrize(
    "text",
    [
        starter_text("mine", "atomic"),
        starter_text("mine", "extended").rstrip("\n"),
        "prompts:   # first\n- id: a\n  messages:\n  - role: user\n    content: |\n      hi\n\n# after\n\ntool_sets:\n  x: [{name: a}]  # t\n\n  # end\nname: m\n# last",
        "tool_sets:\n    x:\n    - {name: a}\nprompts:\n    - {id: a}",
        "prompts:\n- id: a\n  note: >-\n    folded\n    text\ntool_sets:\n  x:\n    - name: a\n",
        "prompts:\r\n- {id: a}\r\ntool_sets:\r\n  x: []\r\n",
    ],
)
def test_everything_that_stands_there_stays(text: str) -> None:
    """Each old line is there, in its order; the data is the old with the additions."""
    old, new = text.split("\n"), extended_yaml(text, SETS, [PROMPT, {**PROMPT, "id": "new2"}], "f").split("\n")
    rest = iter(new)
    assert all(line in rest for line in old if line)
    data = read_plain_yaml("\n".join(new))
    assert [p["id"] for p in data["prompts"][-2:]] == ["new", "new2"]
    assert data["prompts"][-1]["messages"] == PROMPT["messages"]
    assert list(data["tool_sets"])[-1] == "new"


def test_a_starter_that_was_added_to_is_a_usable_suite() -> None:
    """Its own prompts are the same as before."""
    text = starter_text("mine", "atomic")
    before, after = (parse_suite(t, source="x") for t in (text, extended_yaml(text, SETS, [PROMPT], "f")))
    assert after.prompts[:-1] == before.prompts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tool_sets: {x: [{name: a}]}\nprompts:\n- {id: a}", "nothing can be added without rewriting it"),
        ("tool_sets:\n  x: []\nprompts: [{id: a}]", "nothing can be added without rewriting it"),
        ("tool_sets:\n  x: []\nprompts:\n- {id: a}\n...\n# end", "nothing can be added|"),
        ("tool_sets:\n  x: []", "holds no suite"),
        ("- a", "holds no suite"),
        ("a: &x 1", "an anchor"),
    ],
)
def test_what_cannot_be_added_to_is_refused(text: str, said: str) -> None:
    """Rather than rewritten without its comments."""
    if said.endswith("|"):
        assert read_plain_yaml(extended_yaml(text, SETS, [PROMPT], "f"))["prompts"][-1]["id"] == "new"
        return
    with pytest.raises(SuiteError, match=said):
        extended_yaml(text, SETS, [PROMPT], "f")


def test_json_is_added_to_as_well() -> None:
    """It has no comments to lose."""
    text = json.dumps({"name": "m", "tool_sets": {"x": []}, "prompts": [{"id": "ä"}]})
    data = json.loads(extended_json(text, SETS, [PROMPT], "f"))
    assert data["prompts"] == [{"id": "ä"}, PROMPT]
    assert data["tool_sets"] == {"x": [], **SETS}
    with pytest.raises(SuiteError, match="not valid JSON"):
        extended_json("{", SETS, [PROMPT], "f")
