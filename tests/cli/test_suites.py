"""`selfopt suites`: one's own suites, made, looked at and checked."""

from __future__ import annotations

import contextlib
import io

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
    assert "error: tool set 'tower': stands in the splits search and heldout" in result.out
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
