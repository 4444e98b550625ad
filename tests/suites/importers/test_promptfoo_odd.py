"""Whatever a configuration holds, it is imported or refused in one line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.suites.importers.asserts import MAX_USED, read_asserts
from selfopt.suites.importers.chat import conversation_data
from selfopt.suites.importers.jsonl import read_jsonl
from selfopt.suites.importers.promptfoo import read_promptfoo
from tests.examples import some_of

from .test_promptfoo import PLAY, VALID, WEATHER

BASE: dict[str, Any] = {
    "prompts": ["Weather in {{city}}?", {"raw": "{{city}}", "label": "x"}, "file://p.yaml"],
    "providers": [{"id": "a", "label": "b", "config": {"tools": [WEATHER, PLAY, {"functionDeclarations": [{"name": "sing"}]}]}}],
    "defaultTest": {"vars": {"n": 1}, "options": {"prefix": "P"}, "assert": [{"type": "latency", "threshold": 5}]},
    "scenarios": [{"config": [{"vars": {"city": "Rome"}}], "tests": [{"assert": [VALID]}]}],
    "tests": [
        {"vars": {"city": ["Oslo", "Bonn"]}, "assert": [{"type": "tool-call-f1", "value": ["play"], "threshold": 1}]},
        {
            "vars": {"city": "x"},
            "metadata": {"kind": "k"},
            "prompts": ["x"],
            "assert": [{"type": "assert-set", "assert": [VALID]}],
        },
        {
            "vars": {"city": "x"},
            "assert": [{"type": "trajectory:tool-args-match", "value": {"name": "play", "args": {"title": "t"}}}],
        },
        {"vars": {"city": "x"}, "assert": [{"type": "trajectory:tool-used", "value": {"pattern": "p*", "min": 1, "max": 2}}]},
        {"vars": {"city": "x"}, "assert": [{"type": "is-json", "value": {"properties": {"name": {"const": "play"}}}}]},
        {"vars": {"city": "x"}, "assert": [{"type": "equals", "value": [{"name": "play", "arguments": {"title": "t"}}]}]},
    ],
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1e308, "", " ", "x" * 300, "file://", "file://p.yaml", "file://../x", "*", "{{", "{{ a.b[9] }}", "{% x %}", "{#",
     "\u2028", "\x00", [], {}, [[]], [{}], {"": {}}, {"type": None}, {"id": 3}, {"$ref": "#/tests/0"}, {"$ref": "x"}, [None], ["file://p.yaml"]]
)  # fmt: skip


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document: what holds it, and its key there."""
    for key in range(len(data)) if isinstance(data, list) else list(data) if isinstance(data, dict) else ():
        yield data, key
        yield from places(data[key])


@settings(max_examples=some_of(150))
@given(st.lists(st.tuples(st.integers(0, 10_000), ODD), min_size=1, max_size=3), st.booleans())
def test_a_configuration_with_anything_anywhere_is_imported_or_refused(changes: list[tuple[int, Any]], strict: bool) -> None:
    """No other error, and one printable line."""
    config = json.loads(json.dumps(BASE))
    for number, odd in changes:
        found = list(places(config))
        holder, key = found[number % len(found)]
        holder[key] = json.loads(json.dumps(odd))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.json"
        path.write_text(json.dumps(config), "utf-8")
        (Path(folder) / "p.yaml").write_text("- role: user\n  content: In {{city}}\n")
        try:
            parts, warnings = read_promptfoo(path, strict=strict)
            assert parts.prompts
            assert all(line.isprintable() for line in warnings)
        except SuiteError as error:
            assert str(error).isprintable(), error  # noqa: PT017


LINE = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "play", "arguments": "{}"}}],
            "weight": 1,
        },
        {"role": "tool", "tool_call_id": "1", "name": "play", "content": "y"},
        {"role": "assistant", "function_call": {"name": "play", "arguments": '{"title": "t"}'}, "reasoning": "z"},
    ],
    "functions": [PLAY["function"]],
    "kind": "k",
    "source": {"a": [1]},
}


@settings(max_examples=some_of(150))
@given(st.lists(st.tuples(st.integers(0, 10_000), ODD), min_size=1, max_size=3))
def test_a_line_with_anything_anywhere_is_imported_or_refused(changes: list[tuple[int, Any]]) -> None:
    """No other error, and one printable line."""
    line = json.loads(json.dumps(LINE))
    for number, odd in changes:
        found = list(places(line))
        holder, key = found[number % len(found)]
        holder[key] = json.loads(json.dumps(odd))
    try:
        read_jsonl(json.dumps(line), "x")
    except SuiteError as error:
        assert str(error).isprintable(), error  # noqa: PT017


def test_a_call_and_its_result_belong_together_whatever_has_an_id() -> None:
    """Two calls in a row that nobody answers keep ids of their own."""
    bare = {"role": "assistant", "tool_calls": [{"name": "play"}, {"name": "play"}]}
    messages = conversation_data([{"role": "user", "content": "x"}, bare, bare], "x")
    ids = [call["id"] for message in messages[1:] for call in message["tool_calls"]]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("asserts", [1, 2])
def test_asserts_name_so_many_tools_at_most(asserts: int) -> None:
    """Each is compared with all before it."""
    item = {"type": "trajectory:tool-used", "value": [f"tool_{n}" for n in range(MAX_USED // asserts)]}
    assert len(read_asserts([item] * asserts, "here").used) == MAX_USED // asserts
    item["value"].append("another")  # type: ignore[attr-defined]
    with pytest.raises(SuiteError, match="write fewer"):
        read_asserts([item] * asserts, "here")
