"""The forms in which promptfoo's documentation lets tests, prompts, providers and asserts be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfopt.suites.importers.promptfoo_rows import assert_of

from .test_promptfoo import PLAY, VALID, WEATHER, config, expected, imported, notes, refusal

CASE = {"vars": {"city": "Oslo"}, "assert": [VALID]}
ROME = {"vars": {"city": "Rome"}, "assert": [VALID]}


def write(path: Path, body: Any) -> None:
    """A file of data, in the form that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(item) for item in body) if path.suffix == ".jsonl" else ""
    path.write_text(lines or (json.dumps(body) if path.suffix == ".json" else yaml.safe_dump(body)), "utf-8")


def cities(path: Path, **options: Any) -> list[str]:
    """What the prompts ask for."""
    return [prompt.messages[-1].content.removeprefix("Weather in ").rstrip("?") for prompt in imported(path, **options).prompts]


@pytest.mark.parametrize(
    "tests",
    [
        "file://cases",
        "cases/",
        ["file://cases/a.yaml", "cases/b.jsonl"],
        "file://cases/*",
        ["file://cases/*.yaml", "file://cases/**/b.jsonl"],
        "file://**/*.{yaml,jsonl}",
        [CASE, {"path": "file://cases/b.jsonl"}],
        "file://all.json",
    ],
)
def test_tests_stand_in_lists_files_folders_and_patterns(tmp_path: Path, tests: Any) -> None:
    """With or without `file://`; a file of a pattern that holds something else is passed over by its suffix."""
    (tmp_path / "in").mkdir()
    path = config(tmp_path / "in", tests=tests)
    write(path.parent / "cases" / "a.yaml", CASE)
    write(path.parent / "cases" / "b.jsonl", [ROME])
    write(path.parent / "all.json", ["file://cases/a.yaml", ROME])
    (path.parent / "cases" / "notes.md").write_text("x")
    (path.parent / "cases" / ".hidden.yaml").write_text("x")
    if isinstance(tests, str) and tests.startswith("file://**"):
        path = path.rename(path.with_suffix(".yml"))
    assert cities(path) == ["Oslo", "Rome"]


def test_files_of_code_among_others_are_left_out_with_a_word(tmp_path: Path) -> None:
    """The others count. Strictly, the file is refused."""
    path = config(tmp_path, tests=[CASE, "file://gen.py:make", "file://gen.js", "huggingface://datasets/x"])
    assert cities(path) == ["Oslo"]
    assert notes(path).count("left out: ") == 3
    assert "a file of code (.py), which is not executed" in refusal(path, strict=True)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tests_stand_in_rows(tmp_path: Path, separator: str, end: str) -> None:
    """Vars, asserts, prefix, description and metadata by the head; line breaks in quotes; a byte order mark."""
    rows = [
        ["city", "__expected", "__expected2", "__prefix", "__description", "__metadata:kind"],
        ["Oslo", "is-valid-openai-tools-call", "", "", "Why.", "rain"],
        [f'"New{end}""York"", x"', "equals: []", "not-is-valid-openai-tools-call", "Please: ", "", ""],
        ["", "", "", "", "", ""],
        ["Rome", "tool-call-f1(0.9): get_weather", "latency(500)", "", "", ""],
    ]
    path = config(tmp_path, tests="file://cases.csv")
    (tmp_path / "cases.csv").write_bytes(b"\xef\xbb\xbf" + end.join(separator.join(row) for row in rows).encode())
    suite = imported(path)
    assert [prompt.messages[0].content for prompt in suite.prompts] == [
        "Weather in Oslo?",
        f'Please: Weather in New{end}"York", x?',
        "Weather in Rome?",
    ]
    assert [prompt.expected == "any" or len(prompt.expected[0]) for prompt in suite.prompts] == [True, 0, 1]
    assert (suite.prompts[0].kind, suite.prompts[0].reason) == ("rain", "Why.")
    assert "latency (measured anyway) (test 3)" in notes(path)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("is-json", {"type": "is-json"}),
        ("contains-any: a, b", {"type": "contains-any", "value": ["a", "b"]}),
        ("not-contains: x: y", {"type": "not-contains", "value": "x: y"}),
        ("similar(0.8): hi", {"type": "similar", "value": "hi", "threshold": 0.8}),
        ("trajectory:tool-used: play", {"type": "trajectory:tool-used", "value": "play"}),
        ("fn: output > 1", {"type": "javascript", "value": "output > 1"}),
        ("grade: is nice", {"type": "llm-rubric", "value": "is nice"}),
        ("file://x.py", {"type": "python", "value": "file://x.py"}),
        ("Paris: a city", {"type": "equals", "value": "Paris: a city"}),
        ("Two\nlines", {"type": "equals", "value": "Two\nlines"}),
    ],
)
def test_a_field_that_expects_is_read_as_an_assert(text: str, read: dict[str, Any]) -> None:
    """A type with its value; anything else is what the output equals."""
    assert assert_of(text) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no head"),
        ("city\na,b\n", "line 2 has 2 fields, its head 1"),
        ('city,__threshold\n"x",high\n', "write a number"),
        ("city\n" + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_rows_that_cannot_be_read_are_named_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    """In one line."""
    (tmp_path / "cases.csv").write_text(text)
    assert said in refusal(config(tmp_path, tests="cases.csv"))


def test_scenarios_combine_their_data_with_their_tests(tmp_path: Path) -> None:
    """Written out, in files, or with data in a file of its own; tests of the configuration come first."""
    write(tmp_path / "more" / "data.yaml", [{"vars": {"city": "Bonn"}}])
    write(tmp_path / "more" / "s.yaml", {"config": [{"vars": {"city": "Graz"}}], "tests": [{"assert": [VALID]}]})
    own = {
        "config": [{"vars": {"city": "Rome"}}, {"$values": "file://more/data.yaml"}],
        "tests": [{"vars": {"when": "now"}, "assert": [VALID]}, {"vars": {"city": "Bern"}}],
    }
    path = config(tmp_path, scenarios=[own, "file://more/*s.yaml"], defaultTest={"assert": [VALID]})
    assert cities(path) == ["Oslo", "Rome", "Bern", "Bonn", "Bern", "Graz"]
    assert cities(config(tmp_path, tests=None, scenarios=[own])) == ["Rome", "Bonn"]


@pytest.mark.parametrize("default", [{"assert": [VALID], "options": {"provider": "openai:x"}}, "file://d.yaml"])
def test_a_default_test_may_name_who_grades(tmp_path: Path, default: Any) -> None:
    """In the configuration or in a file; nobody grades here."""
    write(tmp_path / "d.yaml", {"assert": [VALID], "options": {"provider": {"text": {"id": "openai:x"}}}})
    path = config(tmp_path, tests=[{"vars": {"city": "Oslo"}}], defaultTest=default)
    assert expected(path) == "any"
    assert not notes(path)


def test_what_promptfoo_weighs_is_left_out_with_a_word(tmp_path: Path) -> None:
    """Thresholds and functions that score; the asserts count all the same."""
    path = config(
        tmp_path, tests=[{**CASE, "threshold": 0.5, "assertScoringFunction": "file://s.js"}], extensions=["file://x.js:h"]
    )
    assert expected(path) == "any"
    for word in ("assertScoringFunction of a test (test 1)", "threshold of a test (test 1)", "extensions: code"):
        assert word in notes(path)


def test_asserts_may_come_from_a_template_a_set_or_a_file(tmp_path: Path) -> None:
    """By reference within the configuration; a set counts as its asserts, unless it needs only some of them."""
    write(tmp_path / "call.json", [{"name": "get_weather", "arguments": {"city": "{{city}}"}}])
    items = [
        {"$ref": "#/assertionTemplates/a"},
        {"type": "assert-set", "assert": [VALID, {"type": "llm-rubric", "value": "{{odd"}]},
    ]
    items.append({"type": "equals", "value": "file://call.json"})
    path = config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": items}], assertionTemplates={"a": VALID})
    assert expected(path) == [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]
    half = {"type": "assert-set", "threshold": 0.5, "assert": [VALID]}
    assert "assert-set with a threshold" in refusal(config(tmp_path, tests=[{"vars": {"city": "x"}, "assert": [half]}]))
    lost = {"$ref": "#/assertionTemplates/b"}
    assert "leads nowhere" in refusal(config(tmp_path, tests=[{"vars": {"city": "x"}, "assert": [lost]}]))


ANY_WEATHER = [[{"name": "get_weather", "any_arguments": True}]]


@pytest.mark.parametrize(
    ("asserts", "read"),
    [
        ([{"type": "trajectory:tool-used", "value": "get_weather"}], ANY_WEATHER),
        ([{"type": "trajectory:tool-used", "value": {"pattern": "GET_*"}}], ANY_WEATHER),
        ([{"type": "trajectory:tool-used", "value": {"name": "get_weather", "min": 2, "max": 3}}], [ANY_WEATHER[0] * 2]),
        ([{"type": "trajectory:tool-used", "value": ["get_weather", "play"]}],
         [[*ANY_WEATHER[0], {"name": "play", "any_arguments": True}]]),
        ([{"type": "trajectory:tool-sequence", "value": {"steps": ["get_weather"]}}], ANY_WEATHER),
        ([{"type": "not-trajectory:tool-used", "value": ["get_weather", "play"]}], [[]]),
        ([{"type": "trajectory:tool-used", "value": {"pattern": "*", "min": 0, "max": 0}}], [[]]),
        ([{"type": "trajectory:tool-args-match", "value": {"name": "get_weather", "args": {"city": "{{city}}"}, "mode": "exact"}}],
         [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]),
        ([{"type": "trajectory:tool-used", "value": "get_weather"},
          {"type": "trajectory:tool-args-match", "value": {"pattern": "get*", "arguments": {"city": "Oslo"}, "defaults": {"unit": "c"}}}],
         [[{"name": "get_weather", "arguments": {"city": ["Oslo"], "unit": ["", "c"]}}]]),
        ([{"type": "trajectory:tool-args-match", "value": {"name": "play"}}], [[{"name": "play", "any_arguments": True}]]),
        ([{"type": "contains", "value": "get_weather"}], ANY_WEATHER),
        ([{"type": "icontains-all", "value": ["GET_WEATHER"]}], ANY_WEATHER),
        ([{"type": "finish-reason", "value": "tool_calls"}], "any"),
        ([{"type": "finish-reason", "value": "stop"}], [[]]),
        ([{"type": "tool-call-f1", "value": "get_weather", "threshold": 0.8}], ANY_WEATHER),
        ([{"type": "tool-call-f1", "value": "get_weather"}, {"type": "trajectory:tool-used", "value": "get_weather"}], ANY_WEATHER),
        ([{"type": "not-is-valid-function-call"}], [[]]),
    ],
)  # fmt: skip
def test_what_asserts_on_a_trace_or_a_text_state_of_calls_counts(tmp_path: Path, asserts: list[Any], read: Any) -> None:
    """Tools that are used, arguments that match, names in the output, how it finished."""
    assert expected(config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": asserts}])) == read


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "trajectory:tool-sequence", "value": ["a", "b"]}, "a prompt is judged by one reply"),
        ({"type": "trajectory:goal-success", "value": "x"}, "a model judges"),
        ({"type": "not-trajectory:tool-used", "value": "play"}, "other tools are offered"),
        ({"type": "trajectory:tool-used", "value": {"pattern": "*"}}, "states no single call"),
        ({"type": "trajectory:tool-args-match", "value": {"pattern": "*"}}, "a pattern that fits 2 tools"),
        ({"type": "trajectory:tool-args-match", "value": {"name": "play", "ignore": "x"}}, "with ignore"),
        ({"type": "contains", "value": "sunny"}, "contains of text that is no tool's name"),
        ({"type": "not-contains", "value": "play"}, "other tools are offered"),
        ({**VALID, "weight": 0}, "with weight 0"),
        ({"type": "equals", "value": "file://x.txt"}, "equals with a file of .txt"),
        ({"type": "javascript", "value": "output.includes('{{ nothing }}{%')"}, "javascript"),
    ],
)
def test_what_they_leave_open_is_left_out_with_a_word(tmp_path: Path, item: Any, said: str) -> None:
    """The test counts by its other asserts."""
    path = config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": [VALID, item]}])
    assert said in notes(path)
    assert expected(path) == "any"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "trajectory:tool-used", "value": 3},
        {"type": "trajectory:tool-used", "value": {"min": 1}},
        {"type": "trajectory:tool-args-match", "value": "play"},
        {"type": "assert-set", "assert": [3]},
    ],
)
def test_asserts_without_sense_are_refused(tmp_path: Path, item: Any) -> None:
    """A slip is not left out in silence."""
    assert "write " in refusal(config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": [item]}]))


NATIVE: list[Any] = [
    {"name": "get_weather", "input_schema": WEATHER["function"]["parameters"]},  # type: ignore[index]
    WEATHER,
    {"functionDeclarations": [{"name": "get_weather", "parameters": {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}, "unit": {"type": "STRING", "enum": ["c", "f"]}},
        "required": ["city"],
    }}]},
    {"toolSpec": {"name": "get_weather", "inputSchema": {"json": WEATHER["function"]["parameters"]}}},  # type: ignore[index]
]  # fmt: skip


def test_the_same_tool_in_all_dialects_is_one(tmp_path: Path) -> None:
    """Compared as it is read; tools that a server runs itself are left out with a word."""
    providers = [{"id": f"p{n}", "config": {"tools": [tool]}} for n, tool in enumerate(NATIVE)]
    providers[0]["config"]["tools"].append({"type": "web_search_20250305", "name": "web_search"})  # type: ignore[index]
    path = config(tmp_path, providers=providers)
    assert [tool.name for tool in imported(path).tool_sets["tools_1"]] == ["get_weather"]
    assert "a tool of type 'web_search_20250305', which its server runs itself" in notes(path)
    other = config(tmp_path, providers=[*providers, {"id": "q", "config": {"tools": [PLAY]}}])
    assert "offer different tools" in refusal(other)


@pytest.mark.parametrize(
    "tools",
    [
        ["file://t/one.json"],
        "file://t/one.json",
        "file://t/many.yaml",
        "file://t/*.json",
        WEATHER,
        [[WEATHER]],
        json.dumps([WEATHER]),
        {"tools": [WEATHER]},
        ["file://t/many.yaml"],
    ],
)
def test_tools_stand_in_files_lists_or_alone(tmp_path: Path, tools: Any) -> None:
    """As YAML, JSON, or JSON as text."""
    write(tmp_path / "t" / "one.json", WEATHER)
    write(tmp_path / "t" / "many.yaml", [WEATHER])
    path = config(tmp_path, providers=[{"id": "a", "config": {"tools": tools}}])
    assert [tool.name for tool in imported(path).tool_sets["tools_1"]] == ["get_weather"]


def test_providers_and_prompts_stand_in_files(tmp_path: Path) -> None:
    """A list, one alone, texts with labels, a conversation, rows, a name without `file://`."""
    body = {"config": {"tools": [WEATHER]}}
    write(tmp_path / "p" / "list.yaml", [{"id": "a", **body}, {"id": "b", "label": "B", **body}])
    write(tmp_path / "p" / "one.json", {"id": "c", **body})
    write(tmp_path / "q" / "list.yaml", ["One {{city}}", {"raw": "Two {{city}}", "label": "two"}, "file://text.md"])
    (tmp_path / "q" / "text.md").write_text("Three {{city}}")
    write(tmp_path / "q" / "chat.yaml", [{"role": "user", "content": "Four {{city}}"}])
    (tmp_path / "q" / "rows.csv").write_text('prompt,label\n"Five, {{city}}",five\n')
    (tmp_path / "six.txt").write_text("Six {{city}}")
    prompts = [
        "file://q/list.yaml",
        "file://q/chat.yaml",
        "file://q/rows.csv",
        "six.txt",
        "file://gen.js",
        {"Seven {{city}}": "seven"},
    ]
    path = config(tmp_path, providers=["file://p/list.yaml", "file://p/one.json"], prompts=prompts)
    words = ["One", "Two", "Three", "Four", "Five,", "Six", "Seven"]
    assert [prompt.messages[0].content for prompt in imported(path, provider="B").prompts] == [f"{word} Oslo" for word in words]
    assert "prompts[4]: file://gen.js: a file of code" in notes(path)
    chosen = config(tmp_path, prompts=prompts, tests=[{**CASE, "prompts": ["two", "sev*"]}])
    assert [prompt.messages[0].content for prompt in imported(chosen).prompts] == ["Two Oslo", "Seven Oslo"]


def test_a_prompt_that_is_code_is_left_out_of_all_tests_and_the_others_stay(tmp_path: Path) -> None:
    """With a word; a test that is meant for no other prompt goes with it."""
    path = config(tmp_path, prompts=["In {{city}}", "{% if city %}x{% endif %}"], tests=[CASE, ROME, {**CASE, "prompts": "none"}])
    assert [prompt.id for prompt in imported(path).prompts] == ["1", "2"]
    assert "prompt 2: '{%' begins code of a template, which is not executed; write the text out (tests 1, 2)" in notes(path)
    assert "meant for no prompt that is there (test 3)" in notes(path)
    assert "cannot be imported" in refusal(path, strict=True)


def test_vars_stand_in_files_and_in_each_other(tmp_path: Path) -> None:
    """A file of vars, one of a text, several by a pattern; media and code leave their test out."""
    write(tmp_path / "v" / "vars.yaml", {"city": "Oslo", "deep": {"a": [1, "x"]}})
    (tmp_path / "v" / "a.txt").write_text("Rome")
    (tmp_path / "v" / "b.txt").write_text("Bonn")
    tests: list[Any] = [
        {"vars": "file://v/vars.yaml"},
        {"vars": {"city": "file://v/a.txt"}},
        {"vars": {"city": "file://v/*.txt"}},
        {"vars": {"city": "{{land}}-{{ deep.a[1] }}", "land": "Ö", "deep": {"a": [1, "x"]}}},
        {"vars": {"city": "file://v/x.png"}},
        {"vars": {"city": "file://v/x.py"}},
        {"vars": {"city": "{{ env.CITY }}"}},
    ]
    path = config(tmp_path, tests=tests, defaultTest={"assert": [VALID]}, prompts=["{# a note {{x}} #}Weather in {{city}}?"])
    assert cities(path) == ["Oslo", "Rome", "Rome", "Bonn", "Ö-x"]
    said = notes(path)
    assert "pictures" in said
    assert "code (.py)" in said
    assert "variable of the environment" in said
