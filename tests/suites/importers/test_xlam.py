"""The form of xLAM's data as suites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import SuiteError
from selfopt.suites.importers.xlam import read_xlam


def entry(**changes: Any) -> dict[str, Any]:
    """One entry, as the data set has it."""
    tools = [
        {
            "name": "live_giveaways",
            "description": "Retrieve giveaways.",
            "parameters": {
                "type": {"description": "The type of giveaways.", "type": "str", "default": "game"},
                "count": {"description": "How many.", "type": "int, optional"},
                "tags": {"description": "Tags.", "type": "List[str]"},
            },
        }
    ]
    answers = [
        {"name": "live_giveaways", "arguments": {"type": "beta", "tags": ["a"]}},
        {"name": "live_giveaways", "arguments": {"type": "game", "count": 2, "tags": []}},
    ]
    return {"id": 0, "query": "Where can I find giveaways?", "tools": json.dumps(tools), "answers": json.dumps(answers)} | changes


def sample(folder: Path) -> Path:
    """A file that can be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "xlam.json"
    path.write_text(json.dumps([entry(), entry(id=1, answers="[]")]), "utf-8")
    return path


@pytest.mark.parametrize("lines", [True, False])
def test_types_become_json_schema_and_defaults_may_be_left_out(lines: bool) -> None:
    """A list and lines of objects say the same."""
    items = [entry(), entry(id=1, answers=[])]
    parts, loose = read_xlam("\n".join(map(json.dumps, items)) if lines else json.dumps(items), "x")
    assert loose == 0
    schema = parts.tools[0][0].parameters
    assert {name: part["type"] for name, part in schema["properties"].items()} == {
        "type": "string",
        "count": "integer",
        "tags": "array",
    }
    assert schema["properties"]["tags"]["items"] == {"type": "string"}
    assert schema["required"] == ["tags"]
    assert parts.prompts[0]["id"] == "0"
    assert parts.prompts[0]["expected"][0][1]["arguments"] == {"type": ["game", ""], "count": [2], "tags": [[]]}
    assert parts.prompts[1]["expected"] == [[]]


def test_a_type_that_an_answer_does_not_fit_is_left_out_and_counted() -> None:
    """The data has such answers; the prompt stays usable."""
    wrong = json.dumps([{"name": "live_giveaways", "arguments": {"count": "two", "tags": ["a"]}}])
    parts, loose = read_xlam(json.dumps([entry(answers=wrong)]), "x")
    assert loose == 1
    assert parts.tools[0][0].parameters["properties"]["count"] == {"description": "How many."}


def test_only_the_first_prompts_are_read_where_that_is_wanted() -> None:
    """The rest need not even be readable."""
    assert len(read_xlam(json.dumps([entry(), 3]), "x", 1)[0].prompts) == 1
    assert len(read_xlam(json.dumps(entry()) + "\n{", "x", 1)[0].prompts) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"query": ""}, "query"),
        ({"answers": "{"}, "answers"),
        ({"answers": "3"}, "no list"),
        ({"answers": '["a"]'}, "answers"),
        ({"tools": "[3]"}, "tools"),
        ({"tools": None}, "tools"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(changes: dict[str, Any], said: str) -> None:
    """In one line."""
    with pytest.raises(SuiteError, match=said) as caught:
        read_xlam(json.dumps([entry(**changes)]), "x")
    assert "prompt 1" in str(caught.value)
