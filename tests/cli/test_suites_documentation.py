"""docs/SUITES.md is true: its commands are executed one by one, its files are imported, its codes are all there are."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from selfopt.suites import CODES

from .test_suites import on_terminal
from .world import Project

TEXT = (Path(__file__).parents[2] / "docs" / "SUITES.md").read_text("utf-8")
SERVER = Path(__file__).parents[1] / "suites" / "mcp" / "server.py"


def commands_of(section: str) -> list[str]:
    """Every command of the shell blocks of a section (and of those below it)."""
    level = section.partition(" ")[0]
    body = TEXT.split(f"\n{section}\n", 1)[1]
    body = re.split(rf"\n#{{1,{len(level)}}} ", body, maxsplit=1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", body, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("selfopt ")]


def write_files(project: Project) -> None:
    """The files that the page shows, under the names that it gives them."""
    shown = re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    assert [name for name, _ in shown] == ["lines.jsonl", "promptfooconfig.yaml"]
    for name, text in shown:
        project.write(name, text)


def executable(command: str, trial: str) -> list[str]:
    """The words of a command, with a model, a server and a trial that are at hand here."""
    server = f"mcp:{shlex.join([sys.executable, str(SERVER)])}"
    words = shlex.split(command.replace("local/qwen2.5-coder-0.5b", "scripted/mute").replace("TRIAL", trial))[1:]
    return [server if word.startswith("mcp:") else word for word in words]


def test_the_walk_through_works_command_by_command(project: Project) -> None:
    """From nothing to a suite of one's own that grows by what goes wrong; every command succeeds."""
    commands = commands_of("## A suite of your own in ten minutes")
    assert len(commands) == 11
    trial = ""
    for command in commands:
        words = executable(command, trial)
        result = project.ok(*words)
        if words[0] == "run":
            body = project.ok(*words, "--json").json()
            trial = next(v["trial_id"] for v in body["verdicts"] if v["outcome"] != "pass")
            found = re.search(r"selfopt show (\S+)", result.out)
            assert found is not None
            trial = found.group(1)  # as the person sees it
    assert "warning to-review" in result.out


def test_the_imports_that_are_shown_work(project: Project) -> None:
    """Both files, as they stand on the page."""
    write_files(project)
    for command in commands_of("## Imports"):
        project.ok(*executable(command, ""))
    shown = project.ok("suites", "show", "weather").out + project.ok("suites", "show", "from-promptfoo").out
    assert 'get_weather(city="Oslo")' in shown
    assert 'get_weather(city="Rome")' in shown
    assert "get_weather(any arguments)" in shown


def test_every_code_is_explained() -> None:
    """The table has exactly the codes that there are, in their order."""
    table = TEXT.split("\n## Warnings\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(CODES)


def test_the_walk_through_fits_a_terminal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it shows is no wider than 80 columns."""
    for command in commands_of("## A suite of your own in ten minutes")[:3]:
        lines = on_terminal(monkeypatch, *executable(command, ""))
        assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
