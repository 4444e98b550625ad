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
