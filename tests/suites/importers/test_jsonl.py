"""JSON lines as suites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.records import Suite
from selfopt.suites import parse_suite, suite_yaml, tools_from
from selfopt.suites.importers import ImportRequest, suite_of
from selfopt.suites.importers.jsonl import read_jsonl

RING = {"name": "ring", "description": "Ring.", "parameters": {"type": "object", "properties": {"times": {"type": "integer"}}}}
WRAPPED = {"type": "function", "function": {**RING, "strict": True}}
ASK = {"role": "user", "content": "Ring three times."}
CALL = {"id": "c1", "type": "function", "function": {"name": "ring", "arguments": '{"times": 3}'}}


def lines(*items: dict[str, Any]) -> str:
    """One line for each."""
    return "\n".join(json.dumps(item) for item in items)


def a_line(**changes: Any) -> dict[str, Any]:
    """A usable line with changes; None leaves a key out."""
    body = {"messages": [ASK], "tools": [WRAPPED], "expected": [CALL], **changes}
    return {key: value for key, value in body.items() if value is not None or key == "expected"}


def sample(folder: Path) -> Path:
    """A file that can be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lines.jsonl"
    path.write_text(lines(a_line(), a_line(expected=[])), "utf-8")
    return path


def imported(*items: dict[str, Any], tools: Any = None) -> Suite:
    """The suite that the lines make, as it is read back."""
    offered = tools_from(tools, "tools") if tools is not None else None
    made = suite_of(read_jsonl(lines(*items), "x", offered)[0], ImportRequest(Path("x.jsonl"), "mine"))
    again = parse_suite(suite_yaml(made), source="mine")
    assert again == made
    return again


def refusal(text: str) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(SuiteError) as caught:
        read_jsonl(text, "x.jsonl")
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("expected", "read"),
    [
        ([CALL], [[{"name": "ring", "arguments": {"times": [3]}}]]),
        ([{"name": "ring", "arguments": {"times": 3}}], [[{"name": "ring", "arguments": {"times": [3]}}]]),
        ([[{"name": "ring", "arguments": {"times": [3, 4]}}], []], [[{"name": "ring", "arguments": {"times": [3, 4]}}], []]),
        ([], [[]]),
        (None, [[]]),
        ("any", "any"),
        ([{"name": "ring"}], [[{"name": "ring", "arguments": {}}]]),
    ],
)
def test_what_is_expected_may_be_said_in_each_of_these_ways(expected: Any, read: Any) -> None:
    """OpenAI's calls, plain calls, accepted sets, nothing, anything."""
    (prompt,) = imported(a_line(expected=expected)).prompts
    got = (
        prompt.expected
        if prompt.expected == "any"
        else [[c.model_dump(exclude={"any_arguments"}) for c in s] for s in prompt.expected]
    )
    assert got == read


def test_files_for_fine_tuning_are_read_as_they_are() -> None:
    """The assistant's last message is what is expected, with calls or without."""
    calling = {"messages": [ASK, {"role": "assistant", "tool_calls": [CALL]}], "tools": [WRAPPED], "parallel_tool_calls": False}
    silent = {"messages": [ASK, {"role": "assistant", "content": "No."}], "tools": [WRAPPED]}
    suite = imported(calling, silent)
    assert [p.needs_call for p in suite.prompts] == [True, False]
    assert [p.id for p in suite.prompts] == ["1", "2"]
    assert suite.phase == "atomic"
    assert suite.origin == "x.jsonl"


def test_a_conversation_is_read_with_its_calls_and_results() -> None:
    """Text in parts is joined, developer is system, results keep their ids."""
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Ring"}, {"type": "text", "text": "once."}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    suite = imported(a_line(messages=messages, expected=[]))
    assert suite.phase == "extended"
    (prompt,) = suite.prompts
    assert [m.role for m in prompt.messages] == ["system", "user", "assistant", "tool"]
    assert prompt.messages[1].content == "Ring\nonce."
    assert prompt.messages[2].tool_calls[0].arguments == {"times": 3}


def test_tool_sets_are_shared_by_content_and_named_as_told() -> None:
    """The same tools in two forms are one set; other tools of a name that is taken get the next."""
    other = {**RING, "description": "Other."}
    suite = imported(
        a_line(), a_line(tools=[RING]), a_line(tools=[other]), a_line(tool_set="tower"), a_line(tool_set="tower", tools=[other])
    )
    assert [p.tool_set for p in suite.prompts] == ["tools_1", "tools_1", "tools_2", "tower", "tower_2"]


def test_what_a_line_says_of_itself_is_kept() -> None:
    """Id, kind, split and reason; tools from elsewhere where it has none."""
    line = a_line(id=7, kind="direct", split="canary", reason="Why.", tools=None)
    (prompt,) = imported(line, tools={"tools": [{"name": "ring", "inputSchema": RING["parameters"], "annotations": {}}]}).prompts
    assert (prompt.id, prompt.kind, prompt.split, prompt.reason) == ("7", "direct", "canary", "Why.")


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_a_line_ends_at_its_line_feed_alone(odd: str) -> None:
    """What some programs take for the end of a line is text; written as it is where JSON allows it, or as an escape."""
    line = json.dumps(a_line(messages=[{"role": "user", "content": f"a{odd}b"}]), ensure_ascii=ord(odd) < 32)
    parts, _ = read_jsonl("\ufeff" + "\r\n".join([line, "", "  ", line]) + "\r\n", "x")
    assert [prompt["messages"][0]["content"] for prompt in parts.prompts] == [f"a{odd}b"] * 2


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_any_text_comes_back_as_it_was_written(texts: list[str]) -> None:
    """Through lines that keep every character that JSON allows as it is."""
    written = "\n".join(json.dumps(a_line(messages=[{"role": "user", "content": t}]), ensure_ascii=False) for t in texts)
    assert [prompt["messages"][0]["content"] for prompt in read_jsonl(written, "x")[0].prompts] == texts


def test_the_older_form_of_functions_is_read() -> None:
    """`functions`, `function_call` and role `function`, which have no ids: each result answers the call of its name."""
    called = {"role": "assistant", "content": None, "function_call": {"name": "ring", "arguments": '{"times": 1}'}}
    result = {"role": "function", "name": "ring", "content": "done"}
    suite = imported({"messages": [ASK, called, result, ASK, called], "functions": [RING], "parallel_tool_calls": True})
    (prompt,) = suite.prompts
    assert [m.role for m in prompt.messages] == ["user", "assistant", "tool", "user"]
    assert prompt.messages[2].tool_call_id == prompt.messages[1].tool_calls[0].id
    assert prompt.expected != "any"
    assert prompt.expected[0][0].model_dump() == {"name": "ring", "arguments": {"times": [1]}, "any_arguments": False}


def test_results_without_ids_answer_calls_by_name_else_in_order() -> None:
    """Where a file left the ids out."""
    bare = {"function": CALL["function"]}
    called = {"role": "assistant", "tool_calls": [bare, {"id": "own", **bare}, bare]}
    results = [{"role": "tool", "content": "1"}, {"role": "tool", "tool_call_id": "own", "content": "2"}]
    results.append({"role": "tool", "name": "ring", "content": "3"})
    (prompt,) = imported(a_line(messages=[ASK, called, *results])).prompts
    calls = [call.id for call in prompt.messages[1].tool_calls]
    assert calls == ["call_2_1", "own", "call_2_3"]
    assert [m.tool_call_id for m in prompt.messages[2:]] == calls


def test_keys_of_others_are_kept_counted_and_change_no_identity() -> None:
    """In one line; what is long, and reasoning within messages, is left out and counted too."""
    thought = {"role": "assistant", "content": "Hm.", "reasoning_content": "I think.", "refusal": None}
    plain = a_line(messages=[ASK, {"role": "assistant", "content": "Hm."}, ASK])
    marked = {**a_line(messages=[ASK, thought, ASK]), "source": "crm", "tags": ["a", {"b": 1.5}]}
    parts, warnings = read_jsonl(lines(marked, {**plain, "source": "x", "blob": "y" * 5000}, plain), "x")
    (said,) = warnings
    assert "kept as they are: source (1), tags (1)" in said
    assert "too long to keep: source (1), blob (1)" in said
    assert "left out of messages: reasoning_content (1)" in said
    assert parts.prompts[0]["beside"] == {"source": "crm", "tags": ["a", {"b": 1.5}]}
    assert imported(marked).content_id() == imported(plain).content_id()
    assert imported(marked).prompts[0].beside["source"] == "crm"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no lines"),
        ("\n\n", "has no lines"),
        ("{", "line 1: not valid JSON"),
        (lines(a_line()) + "\n[1]", "line 2: is no object with a list of messages"),
        (
            lines({"messages": [ASK, {"role": "assistant", "content": "x", "weight": 0}], "tools": [RING]}),
            "line 1: its last message has weight 0",
        ),
        (lines(a_line(tools=None)), "offers no tools; give the line tools, or all lines with --tools"),
        (lines({"messages": [ASK], "tools": [RING]}), "does not say what is expected"),
        (lines(a_line(expected="some")), "write a list of calls"),
        (lines(a_line(expected=[3])), "expected[0]: is 3"),
        (lines(a_line(expected=[{"name": "ring", "arguments": "{"}])), "arguments: not valid JSON"),
        (lines(a_line(expected=[{"name": "ring", "arguments": [1]}])), "write an object, or its JSON text"),
        (lines(a_line(messages=[{"role": "robot", "content": "x"}])), "role 'robot' is unknown"),
        (lines(a_line(messages=[{**ASK, "content": [{"type": "image_url"}]}])), "a part of type 'image_url'; only text"),
        (lines(a_line(messages=[{**ASK, "content": 3}])), "content: is 3"),
        (lines(a_line(messages=[{**ASK, "images": ["x"]}])), "images cannot be imported, only text can"),
        (lines(a_line(), a_line()) + "\n{}\r\n", "line 3: is no object with a list of messages"),
        (lines(a_line(messages=["x"])), "write a mapping with role and content"),
        (lines(a_line(messages=[{"role": "assistant", "tool_calls": 3}])), "tool_calls is no list"),
        (lines(a_line(tools=[{"type": "web_search"}])), "tool 1: of type 'web_search'; only functions"),
        (lines(a_line(tools=[RING, RING])), "tool 'ring' is defined twice"),
        (lines(a_line(tools=[{}])), "tool 1: name: Field required"),
        (lines(a_line(tools=3)), "expected a list of tools"),
        (lines(a_line(tools=["x"])), "tool 1: is 'x'"),
        (lines(a_line(tools=[RING] * 1001)), "1001 tools, allowed are 1000"),
        ('{"a": 1, "a": 2}', "occurs twice"),
        ("[" * 100_000, "nested deeper"),
        (lines(a_line(messages=[{"role": "\u001b[2J", "content": "x"}])), "\\x1b[2J"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_fix(text: str, said: str) -> None:
    """One line of text, whatever the file holds."""
    assert said in refusal(text)


def test_very_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound, so that no file fills the memory."""
    monkeypatch.setattr("selfopt.suites.importers.jsonl.MAX_LINES", 2)
    assert "more than 2 prompts" in refusal(lines(*[a_line()] * 3))


def test_a_tool_is_completed_and_none_of_its_meaning_changed() -> None:
    """A property that is true may be anything, one that is false is none, and one that is only required is there."""
    schema = {"properties": {"any": True, "no": False, "a": {"type": "string"}}, "required": ["a", "b"]}
    (tool,) = tools_from([{"name": "notes/list", "inputSchema": schema}], "x")
    whole = {"type": "object", "properties": {"any": {}, "a": {"type": "string"}, "b": {}}, "required": ["a", "b"]}
    assert tool.parameters == whole
    assert tools_from([{"name": "n" * 128, "parameters": {"type": "object"}}], "x")[0].parameters == {"type": "object"}
