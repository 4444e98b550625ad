"""`selfopt suites`: one's own suites, made, looked at and checked."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from selfopt.cli.main import run

from .world import Project


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """The lines that a terminal of 80 columns gets on standard output."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        run(arguments)
    return out.getvalue().splitlines()


def test_show_prints_what_other_programs_read(project: Project) -> None:
    """Exactly the documented keys; the tools are those that the prompt offers; messages without what they do not have."""
    body = project.ok("suites", "show", "extended.yaml", "--json").json()
    assert list(body) == ["name", "phase", "prompts"]
    prompt = body["prompts"][0]
    assert list(prompt) == ["id", "kind", "split", "tool_set", "tools", "messages", "expected", "reason"]
    assert [tool["name"] for tool in prompt["tools"]] == ["get_weather", "play"]
    assert prompt["messages"][0] == {"role": "user", "content": "hi"}
    assert prompt["expected"] == [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]
    history = project.ok("suites", "show", "extended", "--json").json()["prompts"]
    called = [m for p in history for m in p["messages"] if m.get("tool_calls")]
    assert all(set(m) <= {"role", "content", "tool_calls"} for m in called)
    results = [m for p in history for m in p["messages"] if m["role"] == "tool"]
    assert all(m["tool_call_id"] for m in results)


@pytest.mark.parametrize("name", ["atomic", "extended"])
def test_a_suite_is_shown_within_80_columns(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Tools, conversation, expectation and reason of every prompt, wrapped between words."""
    lines = on_terminal(monkeypatch, "suites", "show", name)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "get_weather(city, unit?): Look up the current weather for a city." in text
    assert "expected: no call" in text


SHARED = """\
name: mine
phase: atomic
tool_sets:
  tower: [{name: ring, parameters: {type: object, properties: {bell: {type: string}}}}]
prompts:
  - {id: A1, kind: direct, tool_set: tower, messages: [{role: user, content: Hello.}], expected: [[]]}
  - {id: A2, kind: direct, tool_set: tower, messages: [{role: user, content: Bye.}], expected: [[]], split: heldout}
"""
BOMB = "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))


def test_splits_that_share_a_tool_set_are_refused(project: Project) -> None:
    """Named by validate, refused by whatever would measure them; nothing is recorded."""
    project.write("mine.yaml", SHARED)
    result = project.run("suites", "validate", "mine.yaml")
    assert result.code == 1
    assert "error: tool set 'tower': is used in the splits search and heldout" in result.out
    project.run("run", "good", "atomic", "--suite", "mine.yaml").assert_refused(2, "tool set 'tower'", "search and heldout")
    assert "ledger.sqlite3" not in project.files()


def test_an_unknown_type_is_refused(project: Project) -> None:
    """With the types that there are."""
    project.write("mine.yaml", SHARED.replace("split: heldout", "split: search").replace("type: string", "type: strng"))
    result = project.run("suites", "validate", "mine.yaml", "--json")
    assert result.code == 1
    assert "'strng' is no type of JSON Schema; use string" in result.json()["mine.yaml"]["errors"][0]


def test_a_suite_of_100_mb_and_anchors_that_explode_are_refused_at_once(project: Project) -> None:
    """Neither is read to its end."""
    with (project.root / "large.yaml").open("wb") as file:
        file.truncate(100_000_000)
    project.write("bomb.yaml", BOMB)
    for command in (("validate",), ("show",)):
        project.run("suites", *command, "large.yaml").assert_refused(2, "large.yaml", "larger than 5000000 bytes")
        project.run("suites", *command, "bomb.yaml").assert_refused(2, "bomb.yaml", "line 1: an anchor")


TWICE = SHARED.replace("split: heldout", "split: search").replace("Bye.", "hello")


def test_warnings_have_codes_and_are_errors_only_when_asked_for(project: Project) -> None:
    """Exit 0, with --strict 100; errors stay errors."""
    project.write("mine.yaml", TWICE)
    result = project.ok("suites", "validate", "mine.yaml")
    assert "mine.yaml: 1 warning\n" in result.out
    assert "  warning duplicate: prompts A1, A2 ask the same" in result.out
    assert project.run("suites", "validate", "mine.yaml", "--strict").code == 100
    assert project.ok("suites", "validate", "atomic", "extended", "--strict").out == "atomic: ok\nextended: ok\n"
    body = project.ok("suites", "validate", "mine.yaml", "--json").json()["mine.yaml"]
    assert body["errors"] == []
    assert body["warnings"][0]["code"] == "duplicate"
    assert body["warnings"][0]["prompts"] == ["A1", "A2"]
    assert {score["policy"]: score["passes"] for score in body["policies"]}["silent"] == 2
    project.write("mine.yaml", SHARED)
    assert project.run("suites", "validate", "mine.yaml", "--strict").code == 1


def test_what_is_wrong_with_a_suite_is_told_within_80_columns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and warnings, wrapped between words."""
    project.write("mine.yaml", TWICE)
    project.write("shared.yaml", SHARED)
    lines = on_terminal(monkeypatch, "suites", "validate", "mine.yaml", "shared.yaml")
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  warning duplicate: ") for line in lines)
    assert max(map(len, on_terminal(monkeypatch, "suites", "list"))) <= 80


SERVER = Path(__file__).parents[1] / "suites" / "mcp" / "server.py"
LINE = {
    "messages": [{"role": "user", "content": "weather in Oslo?"}],
    "tools": [
        {
            "type": "function",
            "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
        }
    ],
    "expected": [{"name": "get_weather", "arguments": {"city": "Oslo"}}],
}
PROMPTFOO = """\
prompts: ["Weather in {{city}}?"]
providers:
  - {id: "openai:x", config: {tools: &t [{type: function, function: {name: get_weather}}]}}
  - {id: "openai:y", config: {tools: *t}}
tests:
  - vars: {city: Oslo}
    assert: [{type: tool-call-f1, value: [get_weather]}]
"""


def mcp(how: str = "") -> str:
    """What names a server on standard input and output."""
    return f"mcp:{shlex.join([sys.executable, str(SERVER), how])}"


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_a_new_suite_validates_as_it_is_and_is_never_overwritten(project: Project, phase: str) -> None:
    """Found by its name at once; a second one of the name is refused and changes nothing."""
    made = project.ok("suites", "new", "mine", "--phase", phase, "--json").json()
    assert made["path"] == str(project.home / "suites" / "mine.yaml")
    assert project.ok("suites", "validate", "mine", "--strict").out == "mine: ok\n"
    before = project.files()
    project.run("suites", "new", "mine").assert_refused(2, "mine already exists")
    project.run("suites", "new", "atomic").assert_refused(2, "built in")
    project.run("suites", "new", "a/b").assert_refused(2, "cannot be a suite's name")
    assert project.files() == before
    project.ok("run", "mute", phase, "--suite", "mine", "--json")


def test_a_new_suite_may_be_a_file_of_the_project(project: Project) -> None:
    """Which is not overwritten either, and has to be YAML."""
    project.ok("suites", "new", "mine", "--to", "mine.yaml")
    text = (project.root / "mine.yaml").read_text("utf-8")
    assert "selfopt suites validate mine.yaml" in text
    project.run("suites", "new", "mine", "--to", "mine.yaml").assert_refused(2, "is there already and stays as it is")
    project.run("suites", "new", "mine", "--to", "mine.json").assert_refused(2, "give the path of a .yaml file")
    project.run("suites", "new", "mine", "--to", "nowhere/mine.yaml").assert_refused(1, "nowhere/mine.yaml")
    assert (project.root / "mine.yaml").read_text("utf-8") == text


def test_tools_come_from_a_file_or_from_an_mcp_server(project: Project) -> None:
    """Read once and stored; the server's command line is not."""
    project.ok("suites", "new", "one", "--tools", "tools.json")
    assert project.ok("suites", "show", "one", "--json").json()["prompts"][0]["tools"][0]["name"] == "get_weather"
    project.ok("suites", "new", "two", "--tools", f"{mcp()} --key=secret")
    tools = project.ok("suites", "show", "two", "--json").json()["prompts"][0]["tools"]
    assert [tool["name"] for tool in tools] == ["tool_0", "tool_1", "tool_2"]
    assert "secret" not in (project.home / "suites" / "two.yaml").read_text("utf-8")
    assert "tool_0" in project.ok("try", "good", "hello", "--tools", mcp(), "--json").out


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (mcp("hang"), ("hangs", "was ended", "--tools-timeout")),
        (mcp("flood"), ("floods", "sent more than 4000000 bytes")),
        (mcp("dies"), ("exit code 3", "I need a")),
        (mcp("bad tool"), ("breaks the protocol", "tools.1.name")),
        ("mcp:/nowhere/server", ("/nowhere/server", "cannot be started")),
        ("mcp:", ("names no server",)),
        ("mcp:http://127.0.0.1:1/mcp", ("127.0.0.1:1", "cannot be reached")),
        ("mcp:https://tools.example/mcp", ("not on this machine", "allow_remote")),
        ("none.json", ("none.json", "no such file")),
    ],
)
def test_a_server_that_hangs_floods_or_is_none_leaves_nothing_behind(
    project: Project, server: str, words: tuple[str, ...]
) -> None:
    """One line with its name; no suite, no part of one."""
    project.write("lines.jsonl", json.dumps({**LINE, "tools": None}))
    for command in (["new", "mine"], ["import", "jsonl", "lines.jsonl", "--name", "mine"]):
        result = project.run("suites", *command, "--tools", server, "--tools-timeout", "1.5" if "hangs" in words else "60")
        result.assert_refused(1 if "allow_remote" in words else 2, *words)
    assert project.files() == {}


def test_json_lines_become_a_suite(project: Project) -> None:
    """Stored in the home, found by name, measured; a bad line names itself and nothing is written."""
    project.write("lines.jsonl", json.dumps(LINE) + "\n" + json.dumps({**LINE, "expected": []}))
    made = project.ok("suites", "import", "jsonl", "lines.jsonl", "--name", "mine", "--json").json()
    assert (made["prompts"], made["phase"]) == (2, "atomic")
    verdicts = project.ok("run", "good", "atomic", "--suite", "mine", "--json").json()["verdicts"]
    assert sorted(v["outcome"] for v in verdicts) == ["pass", "uncalled_for"]
    project.write("lines.jsonl", json.dumps({**LINE, "team": "a"}))
    noted = project.ok("suites", "import", "jsonl", "lines.jsonl", "--name", "noted")
    assert noted.err.startswith("note: keys that say nothing about a call; kept as they are: team (1)")
    before = project.files()
    project.run("suites", "import", "jsonl", "lines.jsonl", "--name", "mine").assert_refused(2, "already exists")
    project.write("lines.jsonl", json.dumps(LINE) + "\n{")
    project.run("suites", "import", "jsonl", "lines.jsonl", "--name", "other").assert_refused(2, "lines.jsonl: line 2", "JSON")
    project.write("lines.jsonl", json.dumps({**LINE, "expected": [{"name": "nope"}]}))
    project.run("suites", "import", "jsonl", "lines.jsonl", "--name", "other").assert_refused(2, "prompt 1", "'nope'")
    project.run("suites", "import", "jsonl", "none.jsonl", "--name", "other").assert_refused(2, "none.jsonl", "no such file")
    with (project.root / "large.jsonl").open("wb") as file:
        file.truncate(100_000_000)
    project.run("suites", "import", "jsonl", "large.jsonl", "--name", "other").assert_refused(2, "larger than 32000000 bytes")
    assert project.files() == before


def test_a_configuration_of_promptfoo_becomes_a_suite(project: Project) -> None:
    """Named as its file; asserts that are code are refused by name, anchors that explode by what they stand for."""
    project.write("foo.yaml", PROMPTFOO)
    project.ok("suites", "import", "promptfoo", "foo.yaml")
    assert "expected: get_weather(any arguments)" in project.ok("suites", "show", "foo").out
    assert project.ok("suites", "show", "foo", "--json").json()["prompts"][0]["expected"] == [
        [{"name": "get_weather", "arguments": {}, "any_arguments": True}]
    ]
    before = project.files()
    project.write("foo.yaml", PROMPTFOO.replace("tool-call-f1", "javascript"))
    project.run("suites", "import", "promptfoo", "foo.yaml", "--name", "other").assert_refused(
        2, "javascript (code, which is not executed) (test 1)"
    )
    project.write("foo.yaml", PROMPTFOO.replace("assert: [", "assert: [{type: python, value: x}, "))
    strictly = ("suites", "import", "promptfoo", "foo.yaml", "--name", "other", "--strict")
    project.run(*strictly).assert_refused(2, "asserts that cannot be imported: python (code, which is not executed) (test 1)")
    assert project.files() == before
    noted = project.ok("suites", "import", "promptfoo", "foo.yaml", "--name", "noted")
    assert noted.err == "note: asserts left out: python (code, which is not executed) (test 1)\n"
    before = project.files()
    project.write("foo.yaml", PROMPTFOO + BOMB)
    project.run("suites", "import", "promptfoo", "foo.yaml", "--name", "other").assert_refused(2, "more than 1000000 values")
    with (project.root / "large.yaml").open("wb") as file:
        file.truncate(100_000_000)
    project.run("suites", "import", "promptfoo", "large.yaml", "--name", "other").assert_refused(2, "larger than 5000000 bytes")
    assert project.files() == before


def failed_trials(project: Project, model: str = "mute", suite: str = "atomic.yaml") -> list[str]:
    """The ids of the trials that failed in one pass."""
    body = project.ok("run", model, "atomic", "--suite", suite, "--json").json()
    return [v["trial_id"] for v in body["verdicts"] if v["outcome"] != "pass"]


def test_failed_trials_become_prompts_for_review(project: Project) -> None:
    """In a new file with the suite's expectation; then in it again, comments and all; never twice."""
    first, second = failed_trials(project)
    made = project.ok("suites", "add-from-ledger", first, "--to", "review.yaml", "--json").json()
    assert made["created"] is True
    assert made["prompts"] == {first: "A1"}
    path = project.root / "review.yaml"
    path.write_text("# mine\n" + path.read_text("utf-8"), "utf-8")
    out = project.ok("suites", "add-from-ledger", second, "--to", "review.yaml").out
    assert "is prompt A2" in out
    text = path.read_text("utf-8")
    assert text.startswith("# mine\n")
    prompts = project.ok("suites", "show", "review.yaml", "--json").json()["prompts"]
    assert [p["id"] for p in prompts] == ["A1", "A2"]
    assert prompts[0]["reason"] == "review: missed by scripted/mute with native_api; It is asked for."
    assert prompts[0]["expected"][0][0]["arguments"] == {"city": ["Oslo", "Oslo, Norway"]}
    project.run("suites", "add-from-ledger", second, "--to", "review.yaml").assert_refused(2, "asks what prompt A2 asks already")
    assert path.read_text("utf-8") == text
    assert project.ok("suites", "validate", "review.yaml").code == 0


def test_without_the_suite_what_was_called_is_expected(project: Project) -> None:
    """Messages and tools are those of the request; --suite gives the suite where the settings do not name it."""
    project.write("other.yaml", (project.root / "atomic.yaml").read_text("utf-8").replace("name: small", "name: other"))
    (trial,) = failed_trials(project, "scripted/evil_tool", "other.yaml")[:1]
    known = project.ok("suites", "add-from-ledger", trial, "--to", "known.yaml", "--suite", "other.yaml", "--json").json()
    assert known["prompts"]
    (project.root / "other.yaml").unlink()
    project.ok("suites", "add-from-ledger", trial, "--to", "unknown.json")
    (prompt,) = project.ok("suites", "show", "unknown.json", "--json").json()["prompts"]
    assert prompt["reason"].startswith("review: wrong by scripted/evil_tool with native_api; expected is what was called")
    assert [tool["name"] for tool in prompt["tools"]] == ["get_weather", "play"]
    assert prompt["messages"][-1]["content"] == "weather in Oslo?"
    assert prompt["expected"] == [[]]


def test_what_cannot_be_added_is_refused_and_the_file_stays(project: Project) -> None:
    """A trial that passed, no trial, another phase, a file that is none, one that would lose its comments."""
    trials = failed_trials(project)
    passed = project.ok("run", "good", "atomic", "--json").json()["verdicts"][0]["trial_id"]
    project.write(
        "flow.yaml",
        SHARED.replace("split: heldout", "split: search")
        .replace("prompts:\n", "prompts: [\n")
        .replace("  - {id", "  {id")
        .replace("[[]]}", "[[]]},")
        .rstrip(",\n")
        .replace(", split: search},", ", split: search}")
        + "]\n",
    )
    project.ok("suites", "new", "talk", "--phase", "extended")
    before = {**project.files(), **{p.name: p.read_bytes() for p in project.root.glob("*.yaml")}}
    add = ("suites", "add-from-ledger")
    project.run(*add, passed, "--to", "new.yaml").assert_refused(2, "passed", "only failed ones")
    project.run(*add, *trials, passed, "--to", "new.yaml").assert_refused(2, "passed")
    project.run(*add, "nope", "--to", "new.yaml").assert_refused(2, "no trial")
    project.run(*add, *trials, *trials, "--to", "new.yaml").assert_refused(2, "already")
    project.run(*add, *trials, "--to", "talk").assert_refused(2, "phase extended")
    project.run(*add, *trials, "--to", "nope").assert_refused(2, "neither a suite of the home nor a file")
    project.run(*add, *trials, "--to", "script.yaml").assert_refused(2, "script.yaml")
    project.run(*add, *trials, "--to", "flow.yaml").assert_refused(2, "flow.yaml", "without rewriting it")
    assert not (project.root / "new.yaml").exists()
    after = {**project.files(), **{p.name: p.read_bytes() for p in project.root.glob("*.yaml")}}
    assert {k: v for k, v in after.items() if "ledger" not in k} == {k: v for k, v in before.items() if "ledger" not in k}


def test_prompts_are_added_to_a_suite_of_the_home_by_its_name(project: Project) -> None:
    """Its tool sets stay apart; ids that are taken get another."""
    project.ok("suites", "new", "mine")
    path = project.home / "suites" / "mine.yaml"
    path.write_text(path.read_text("utf-8").replace("id: shop-1", "id: A1"), "utf-8")
    trials = failed_trials(project)
    added = project.ok("suites", "add-from-ledger", *trials, "--to", "mine", "--json").json()
    assert sorted(added["prompts"].values()) == ["A1-2", "A2"]
    assert "# A suite of your own" in path.read_text("utf-8")
    assert project.ok("suites", "validate", "mine").code == 0


def test_what_is_made_is_told_within_80_columns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is and what to do next; long paths stay in one piece."""
    trials = failed_trials(project)
    project.write("lines.jsonl", json.dumps(LINE))
    project.write("foo.yaml", PROMPTFOO)
    lines: list[str] = []
    for arguments in (
        ["new", "mine"],
        ["import", "jsonl", "lines.jsonl", "--name", "mine2"],
        ["import", "promptfoo", "foo.yaml"],
        ["add-from-ledger", *trials, "--to", "review.yaml"],
    ):
        shown = on_terminal(monkeypatch, "suites", *arguments)
        assert shown, arguments
        lines += shown
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines), lines
    for arguments in (
        ["--help"],
        ["new", "--help"],
        ["import", "--help"],
        ["import", "jsonl", "--help"],
        ["add-from-ledger", "--help"],
    ):
        assert max(map(len, on_terminal(monkeypatch, "suites", *arguments))) <= 80


def test_a_file_with_thousands_of_problems_prints_ten_and_a_count(project: Project) -> None:
    """A hostile or broken suite fills no terminal; --json has all."""
    body = json.loads(json.dumps(project.ok("suites", "show", "extended.yaml", "--json").json()))
    path = project.root / "many.json"
    path.write_text(json.dumps({**body, **{f"key{i}": 1 for i in range(16_000)}, "k" * 60_000: 1}))
    shown = project.run("suites", "validate", "./many.json")
    lines = shown.out.splitlines()
    assert shown.code == 1
    assert len(lines) == 12
    assert "more; --json prints all" in lines[-1]
    assert max(map(len, lines)) < 500
    twice = project.root / "twice.json"
    twice.write_text(json.dumps({**body, "prompts": [{**body["prompts"][0], "id": f"p{i // 2}"} for i in range(3000)]}))
    assert len(project.run("suites", "validate", "./twice.json").out.splitlines()) == 12
    assert len(project.run("suites", "validate", "./many.json", "--json").json()["./many.json"]["errors"]) > 16_000
