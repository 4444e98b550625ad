"""promptfoo's configurations as suites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from selfopt.errors import SuiteError
from selfopt.records import Suite
from selfopt.suites import parse_suite, suite_yaml, tools_from
from selfopt.suites.importers import ImportRequest, suite_of
from selfopt.suites.importers.promptfoo import read_promptfoo

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
            "required": ["city"],
        },
    },
}
PLAY = {
    "type": "function",
    "function": {"name": "play", "parameters": {"type": "object", "properties": {"title": {"type": "string"}}}},
}
OSLO = {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
VALID = {"type": "is-valid-openai-tools-call"}


def config(tmp_path: Path, **changes: Any) -> Path:
    """A configuration with one test, with changes; None leaves a key out."""
    body: dict[str, Any] = {
        "description": "Weather",
        "prompts": ["Weather in {{city}}?"],
        "providers": [{"id": "openai:chat:x", "config": {"tools": [WEATHER, PLAY]}}],
        "tests": [{"vars": {"city": "Oslo"}, "assert": [VALID]}],
        **changes,
    }
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in body.items() if v is not None}), "utf-8")
    return path


def sample(folder: Path) -> Path:
    """A configuration that can be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    return config(folder)


def imported(path: Path, **options: Any) -> Suite:
    """The suite that a configuration makes, as it is read back."""
    made = suite_of(read_promptfoo(path, **options)[0], ImportRequest(path, "mine"))
    again = parse_suite(suite_yaml(made), source="mine")
    assert again == made
    return again


def expected(path: Path) -> Any:
    """What the only prompt expects."""
    (prompt,) = imported(path).prompts
    return (
        prompt.expected
        if prompt.expected == "any"
        else [[c.model_dump(exclude_defaults=True) for c in s] for s in prompt.expected]
    )


def asserting(tmp_path: Path, *asserts: Any) -> Any:
    """What a test with these asserts expects."""
    return expected(config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": list(asserts)}]))


def notes(path: Path, **options: Any) -> str:
    """What is said about a configuration that is imported."""
    said = read_promptfoo(path, **options)[1]
    assert all(line.isprintable() for line in said)
    return "; ".join(said)


def refusal(path: Path, **options: Any) -> str:
    """The one line with which a configuration is refused."""
    with pytest.raises(SuiteError) as caught:
        imported(path, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


CONST = {"type": "object", "properties": {"name": {"const": "get_weather"}}}
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Oslo, Norway"]}, "unit": {"const": "c"}},
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("asserts", "read"),
    [
        ([VALID], "any"),
        ([{"type": "is-valid-function-call"}], "any"),
        ([{"type": "not-is-valid-openai-tools-call"}], [[]]),
        ([{"type": "tool-call-f1", "value": ["get_weather"]}], [[{"name": "get_weather", "any_arguments": True}]]),
        (
            [{"type": "tool-call-f1", "value": "get_weather, play", "threshold": 1.0}, VALID],
            [[{"name": "get_weather", "any_arguments": True}, {"name": "play", "any_arguments": True}]],
        ),
        ([{"type": "equals", "value": [OSLO]}], [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]),
        ([{"type": "equals", "value": OSLO}, VALID], [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]),
        ([{"type": "equals", "value": {"tool_calls": [OSLO]}}], [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]),
        (
            [{"type": "equals", "value": '[{"name": "get_weather", "arguments": {"city": "{{city}}"}}]'}],
            [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]],
        ),
        ([{"type": "equals", "value": []}], [[]]),
        ([{"type": "contains-json", "value": CONST}], [[{"name": "get_weather", "any_arguments": True}]]),
        (
            [{"type": "is-json", "value": {"type": "array", "items": {"properties": {"function": {"properties": {
                "name": {"const": "get_weather"}, "arguments": ARGUMENTS}}}}}}],
            [[{"name": "get_weather", "arguments": {"city": ["Oslo", "Oslo, Norway"], "unit": ["", "c"]}}]],
        ),
        ([{"type": "contains-json", "value": {"name": "play", "arguments": {}}}], [[{"name": "play"}]]),
        (
            [{"type": "equals", "value": [OSLO]}, {"type": "tool-call-f1", "value": ["get_weather"]}],
            [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]],
        ),
    ],
)  # fmt: skip
def test_asserts_that_state_tool_calls_are_what_is_expected(tmp_path: Path, asserts: list[Any], read: Any) -> None:
    """Valid calls, names, calls as they are, schemas with const and enum, none; the more precise one counts."""
    assert asserting(tmp_path, *asserts) == read


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "javascript", "value": "process.exit(1)"}, "javascript (code, which is not executed) (test 1)"),
        ({"type": "python", "value": "file://x.py"}, "python (code, which is not executed) (test 1)"),
        ({"type": "llm-rubric", "value": "good"}, "llm-rubric (a model judges) (test 1)"),
        ({"type": "equals", "value": "hello"}, "equals of text that is no tool call"),
        ({"type": "equals", "value": {"a": 1}}, "equals of a value that is no tool call"),
        ({"type": "equals", "value": 3}, "equals without a value that is tool calls"),
        ({"type": "equals", "value": "play", "transform": "output[0].function.name"}, "equals with transform (code"),
        ({"type": "contains-json"}, "contains-json without a value"),
        ({"type": "contains-json", "value": {"type": "object", "properties": {}}}, "states no tool's name"),
        (
            {"type": "is-json", "value": {"properties": {"name": {"const": "play"}, "arguments": {"properties": {"title": {}}}}}},
            "states no values",
        ),
        ({"type": "tool-call-f1", "value": ["play"], "threshold": 0.6}, "tool-call-f1 with a threshold"),
        ({"type": "\u001b[2J"}, "\\x1b[2J (test 1)"),
    ],
)
def test_asserts_that_state_none_are_left_out_with_a_word(tmp_path: Path, item: Any, said: str) -> None:
    """Nothing is executed; the test keeps what its other asserts state. Strictly, the file is refused, and nothing else is."""
    path = config(tmp_path, tests=[{"vars": {"city": "Oslo"}, "assert": [VALID, item]}])
    assert said in notes(path)
    assert expected(path) == "any"
    text = refusal(path, strict=True)
    assert "asserts that cannot be imported: " in text
    assert said in text
    assert "tool-call-f1" in text
    assert not notes(config(tmp_path), strict=True)


def test_all_asserts_in_the_way_are_named_at_once(tmp_path: Path) -> None:
    """With the tests in which they stand; tests that state nothing else are left out, and counted."""
    tests = [{"vars": {"city": "x"}, "assert": [{"type": kind}]} for kind in ("javascript", "similar", "javascript")]
    tests.append({"vars": {"city": "x"}, "assert": []})
    path = config(tmp_path, tests=tests)
    assert "javascript (code, which is not executed) (tests 1, 3); similar (a model judges) (test 2)" in refusal(
        path, strict=True
    )
    assert "no test can be imported: no assert states a tool call (tests 1, 2, 3, 4)" in refusal(path)
    mixed = config(tmp_path, tests=[*tests, {"vars": {"city": "x"}, "assert": [VALID]}])
    assert [prompt.id for prompt in imported(mixed).prompts] == ["5"]
    assert "left out: no assert states a tool call (tests 1, 2, 3, 4)" in notes(mixed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tests": None}, "no configuration of promptfoo"),
        ({"tests": []}, "write a list of tests"),
        ({"tests": [3]}, "tests[0]: is 3"),
        ({"tests": [{"assert": [VALID]}]}, "{{ city }} has no value; add it to vars"),
        ({"tests": [{"vars": {"city": "x"}}]}, "no assert states a tool call"),
        ({"tests": [{"vars": {"city": "x"}, "assert": [3]}]}, "assert[0]: is 3"),
        ({"tests": [{"vars": {"city": "file://x.txt"}, "assert": [VALID]}]}, "the var city: file://x.txt: no such file"),
        ({"tests": [{"vars": {"city": "{{x}}"}, "assert": [VALID]}]}, "the var city: {{ x }} has no value"),
        ({"tests": [{"vars": {"city": "{{x}}", "x": "{{city}}"}, "assert": [VALID]}]}, "is a template itself"),
        ({"tests": [{"vars": {"city": "x"}, "assert": [VALID], "options": {"transform": "output"}}]}, "transform is code"),
        ({"tests": [{"vars": {"city": "x"}, "assert": [VALID], "provider": "x"}]}, "a provider of its own"),
        ({"tests": [{"vars": {"city": "x"}, "assert": [VALID, {"type": "not-is-valid-openai-tools-call"}]}]}, "and that none is"),
        (
            {
                "tests": [
                    {
                        "vars": {"city": "x"},
                        "assert": [{"type": "equals", "value": [OSLO]}, {"type": "tool-call-f1", "value": ["play"]}],
                    }
                ]
            },
            "name different tools",
        ),
        (
            {
                "tests": [
                    {"vars": {"city": "x"}, "assert": [{"type": "equals", "value": [OSLO]}, {"type": "equals", "value": []}]}
                ]
            },
            "states other calls",
        ),
        ({"tests": [{"vars": {"city": "x"}, "assert": [{"type": "tool-call-f1", "value": 3}]}]}, "write a list of tools' names"),
        (
            {"tests": "tests.xlsx"},
            "no file of .yaml, .yml, .json, .jsonl, .csv, .tsv; only these are read, and nothing is executed",
        ),
        ({"tests": "file://make_tests.py:create"}, "a file of code (.py), which is not executed"),
        ({"tests": "https://docs.google.com/x"}, "is nothing beside the configuration"),
        ({"tests": "file://../tests.yaml"}, "leads outside the folder"),
        ({"tests": "file://none.yaml"}, "no such file"),
        ({"tests": None, "scenarios": [{}]}, "no assert states a tool call"),
        ({"defaultTest": 3}, "defaultTest: is 3"),
        ({"prompts": ["{% if x %}a{% endif %}"]}, "'{%' begins code of a template"),
        ({"prompts": ["{{ city | upper | shout }}"]}, "more than a name with"),
        ({"prompts": ["{{ env.HOME + 1 }}"]}, "more than a name with"),
        ({"prompts": ["{{ env.HOME }}"]}, "{{ env.HOME }} stands for a variable of the environment, which is not read"),
        ({"prompts": ["file://prompt.py"]}, "a file of code (.py), which is not executed"),
        ({"prompts": [3]}, "prompts[0]: is 3"),
        ({"providers": ["openai:x"]}, "offer no tools; give them with --tools"),
        (
            {"providers": [{"id": "a", "config": {"tools": [PLAY]}}, {"id": "b", "config": {"tools": [WEATHER]}}]},
            "offer different tools; choose one with --provider",
        ),
        ({"providers": [{"id": "a", "config": {"tools": "file://tools.js"}}]}, "a file of code (.js), which is not executed"),
        (
            {"tests": [{"vars": {"city": "x"}, "assert": [{"type": "tool-call-f1", "value": ["nope"]}]}]},
            "'nope' is not in the tool set",
        ),
    ],
)
def test_what_cannot_be_imported_is_named_with_the_fix(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """One line that leads to the place."""
    assert said in refusal(config(tmp_path, **changes))


def test_anchors_are_read_but_not_those_that_explode(tmp_path: Path) -> None:
    """promptfoo's documentation shares tools between providers with them."""
    path = tmp_path / "c.yaml"
    text = yaml.safe_dump({"prompts": ["{{city}}"], "tests": [{"vars": {"city": "x"}, "assert": [VALID]}]})
    tools = "providers:\n- {id: a, config: {tools: &t [{name: play}]}}\n- {id: b, config: {tools: *t}}\n"
    path.write_text(text + tools, "utf-8")
    assert imported(path).tool_sets["tools_1"][0].name == "play"
    bomb = "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    path.write_text(text + bomb, "utf-8")
    assert "more than 1000000 values" in refusal(path)


def test_prompts_tests_and_vars_are_combined_as_promptfoo_does(tmp_path: Path) -> None:
    """Every prompt with every test; a list of texts is one test each; defaults are added."""
    path = config(
        tmp_path,
        prompts=["Weather in {{city}}?", {"raw": "{{ city | lower }}, {{ n }}: weather", "label": "short"}],
        defaultTest={"vars": {"n": 3}, "assert": [VALID], "options": {"prefix": "Please: "}},
        tests=[
            {"vars": {"city": ["Oslo", "Rome"]}, "description": "Two cities.", "metadata": {"kind": "city", "split": "canary"}},
            {"vars": {"city": "Bonn"}, "options": {"disableDefaultAsserts": True}, "assert": [{"type": "equals", "value": []}]},
        ],
    )
    suite = imported(path)
    assert [p.id for p in suite.prompts] == ["1", "1-p2", "1-v2", "1-v2-p2", "2", "2-p2"]
    assert [p.messages[0].content for p in suite.prompts[1:3]] == ["Please: oslo, 3: weather", "Please: Weather in Rome?"]
    assert (suite.prompts[0].kind, suite.prompts[0].split, suite.prompts[0].reason) == ("city", "canary", "Two cities.")
    assert suite.prompts[4].expected == ((),)


def test_conversations_and_files_beside_the_configuration_are_read(tmp_path: Path) -> None:
    """Messages in JSON or YAML, tests and tools in files of their own, several texts in one file."""
    (tmp_path / "chat.json").write_text('[{"role": "system", "content": "Brief."}, {"role": "user", "content": "In {{city}}?"}]')
    (tmp_path / "two.txt").write_text("One {{city}}\n---\nTwo {{city}}\n")
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump([{"vars": {"city": 'O"slo'}, "assert": [VALID]}]))
    (tmp_path / "tools.json").write_text('[{"name": "play"}]')
    prompts = [
        "file://chat.json",
        "file://two.txt",
        "- role: user\n  content: Y {{city}}",
        '[{"role":"user","content":{{ city | dump }}}]',
    ]
    providers = [{"openai:x": {"config": {"tools": "file://tools.json"}, "label": "x"}}]
    suite = imported(config(tmp_path, prompts=prompts, tests="file://tests.yaml", providers=providers))
    said = [[m.content for m in p.messages] for p in suite.prompts]
    assert said == [["Brief.", 'In O"slo?'], ['One O"slo'], ['Two O"slo'], ['Y O"slo'], ['O"slo']]


def test_tools_are_those_of_the_provider_that_is_named_or_given(tmp_path: Path) -> None:
    """By id or label; --tools instead of any."""
    providers = [
        {"id": "a", "config": {"tools": [PLAY]}},
        {"id": "b", "label": "second", "config": {"functions": [WEATHER["function"]]}},
    ]
    path = config(tmp_path, providers=providers)
    assert imported(path, provider="a").tool_sets["tools_1"][0].name == "play"
    assert imported(path, provider="second").tool_sets["tools_1"][0].name == "get_weather"
    given = tools_from([{"name": "sing"}], "x")
    assert imported(path, tools=given).tool_sets["tools_1"][0].name == "sing"
    assert "no provider 'c'; there are a, second" in refusal(path, provider="c")


def test_a_template_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    """Filled once, bounded."""
    path = config(tmp_path, prompts=["{{city}}" * 2000], tests=[{"vars": {"city": "x" * 1000}, "assert": [VALID]}])
    assert "once filled" in refusal(path)


def test_very_many_combinations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of texts multiply."""
    monkeypatch.setattr("selfopt.suites.importers.promptfoo.MAX_PROMPTS", 100)
    many = {f"v{n}": [str(i) for i in range(50)] for n in range(9)}
    path = config(tmp_path, tests=[{"vars": {"city": "x", **many}, "assert": [VALID]}])
    assert "its vars have more than 100 combinations" in refusal(path)
