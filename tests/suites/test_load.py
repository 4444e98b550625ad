"""Loading suites from names and files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.home.plain_yaml import read_plain_yaml
from selfopt.suites import list_suites, load_suite, parse_suite, suite_schema
from selfopt.suites.load import MAX_SIZE_BYTES

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def a_suite(**changes: Any) -> dict[str, Any]:
    """The smallest usable suite, with changes."""
    tool = {
        "name": "ring",
        "parameters": {"type": "object", "properties": {"times": {"type": "integer"}}, "required": ["times"]},
    }
    prompt = {
        "id": "A1",
        "kind": "direct",
        "tool_set": "bells",
        "messages": [{"role": "user", "content": "Ring three times."}],
        "expected": [[{"name": "ring", "arguments": {"times": [3]}}]],
    }
    return {"name": "mine", "phase": "atomic", "tool_sets": {"bells": [tool]}, "prompts": [prompt], **changes}


def written(tmp_path: Path, data: Any) -> Path:
    """The data as a suite file."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(data))), encoding="utf-8")
    return path


def refusal(source: str | Path) -> str:
    """The one line with which a suite is refused."""
    with pytest.raises(SuiteError) as caught:
        load_suite(source)
    text = str(caught.value)
    assert not _CONTROL.search(text)
    return text


def test_a_file_is_loaded_by_path_or_by_text(tmp_path: Path) -> None:
    """Both spellings of a path give the same suite, a sample unless it says otherwise."""
    path = written(tmp_path, a_suite())
    assert load_suite(path) == load_suite(str(path))
    assert load_suite(path).scope == "sample"


def test_a_json_file_with_a_byte_order_mark_is_loaded(tmp_path: Path) -> None:
    """Other tools' files are read as they are."""
    path = tmp_path / "mine.json"
    path.write_text("\ufeff" + json.dumps(a_suite(schema_version=1)), encoding="utf-8")
    assert load_suite(str(path)).name == "mine"


def test_the_shipped_schema_accepts_the_built_in_suites_and_refuses_a_misspelling() -> None:
    """Editors that use the schema agree with the loader."""
    folder = Path(__file__).parents[2] / "src/selfopt/suites/data"
    for name in list_suites():
        jsonschema.validate(read_plain_yaml((folder / f"{name}.yaml").read_text(encoding="utf-8")), suite_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(a_suite(promts=[]), suite_schema())


@pytest.mark.parametrize("name", ["nope", "atomic.yaml.bak", "\x1b[31mred"])
def test_an_unknown_name_names_the_known_ones(name: str) -> None:
    """A misspelled name is no path."""
    text = refusal(name)
    assert "atomic, atomic-150b, atomic-300, extended" in text
    assert "unknown suite" in text


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, a folder, a pipe, not UTF-8, with a name that no file system takes."""
    assert "no such file" in refusal(tmp_path / "none.yaml")
    assert "not a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in refusal(tmp_path / "pipe.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    assert "byte 9 is not UTF-8" in refusal(tmp_path / "latin.yaml")
    assert "cannot be read" in refusal("a\x00b.yaml")
    assert "cannot be read" in refusal("x" * 5000 + ".yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """One byte over the limit is over the limit."""
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_SIZE_BYTES[".yaml"] + 1))
    assert "larger than 5000000 bytes" in refusal(path)


@pytest.mark.parametrize(
    ("version", "said"),
    [(2, "newer than 1"), (0, "allowed: 1"), ("1", "allowed: 1"), (True, "allowed: 1"), (None, "allowed: 1")],
)
def test_another_schema_version_is_refused(tmp_path: Path, version: Any, said: str) -> None:
    """A newer file is refused by name and version."""
    assert said in refusal(written(tmp_path, a_suite(schema_version=version)))


@pytest.mark.parametrize("text", ["", "- a", "just text", "42"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file is no suite."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert "holds no mapping" in refusal(path)


def _changed(key: str, value: Any) -> dict[str, Any]:
    data = a_suite()
    data["prompts"][0][key] = value
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (a_suite(phase="later"), "phase: "),
        (a_suite(promts=1), "promts: unknown key"),
        ({k: v for k, v in a_suite().items() if k != "tool_sets"}, "tool_sets: missing"),
        (a_suite(prompts=[3]), "prompt number 1: "),
        (_changed("colour", "red"), "prompt A1: colour: unknown key"),
        (_changed("messages", [{"role": "robot", "content": "x"}]), "prompt A1: messages[0].role: "),
        (_changed("expected", "some"), "prompt A1: expected"),
        (_changed("expected", [[{"name": "ring", "arguments": {"times": 3}}]]), "prompt A1: expected[0][0].arguments.times: "),
        (_changed("id", "\x1b[2J"), "\\x1b[2J"),
        (_changed("id", "A1\u202e"), "\\x202e"),
        (_changed("tool_set", "x" * 5000), "is not defined"),
    ],
)
def test_a_wrong_shape_names_file_prompt_and_place(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    """One line that leads to the place, whatever the file holds."""
    text = refusal(written(tmp_path, data))
    assert text.startswith(f"{tmp_path}/mine.yaml: ")
    assert said in text
    assert len(text) < 1500


def test_further_problems_are_counted(tmp_path: Path) -> None:
    """The first is told, the others announced."""
    data = a_suite(prompts=[a_suite()["prompts"][0]] * 2, name="not a name")
    assert "(and 1 more" in refusal(written(tmp_path, data))


def message_of(data: Any) -> str:
    """What the loader says against the data; empty when it takes it."""
    try:
        parse_suite(json.dumps(data), source="mine.yaml")
    except SuiteError as error:
        return str(error)
    return ""


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda t: st.lists(t, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "role", "expected", "x"]), t, max_size=3),
    max_leaves=8,
)


@given(key=st.sampled_from(["id", "kind", "tool_set", "messages", "expected", "split", "other"]), value=_ANY)
def test_any_value_anywhere_is_a_suite_or_a_suite_error(key: str, value: Any) -> None:
    """No other exception leaves the loader."""
    assert not _CONTROL.search(message_of(_changed(key, value)))


@given(key=st.sampled_from(["name", "phase", "scope", "tool_sets", "prompts"]), value=_ANY)
def test_any_value_at_the_top_is_a_suite_or_a_suite_error(key: str, value: Any) -> None:
    """The same for the suite's own fields."""
    assert not _CONTROL.search(message_of(a_suite(**{key: value})))


def test_the_suite_in_the_documentation_loads() -> None:
    """What docs/SUITES.md shows is a usable suite."""
    text = (Path(__file__).parents[2] / "docs/SUITES.md").read_text(encoding="utf-8")
    suite = parse_suite(text.split("```yaml\n")[1].split("```")[0], source="docs/SUITES.md")
    assert [p.needs_call for p in suite.prompts] == [True, False]
    assert [p.id for p in suite.select("heldout")] == ["B1"]
