"""What somebody meets who uses selfopt for the first time: help that fits, messages that say how."""

from __future__ import annotations

import re

import click
import pytest

from selfopt.cli.main import COMMANDS, cli
from tests.cli.world import Project


def groups() -> list[str]:
    """The commands that have commands."""
    found = [(name, cli.get_command(click.Context(cli), name)) for name in COMMANDS]
    return [name for name, command in found if isinstance(command, click.Group)]


@pytest.mark.parametrize("name", groups())
def test_lists_of_commands_are_whole_on_a_narrow_terminal(name: str) -> None:
    """Folded, not cut."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, terminal_width=50))
    listed = text[text.index("Commands:") :]
    assert "..." not in listed
    assert max(map(len, listed.splitlines())) <= 50


def test_compare_says_that_it_takes_several_models(project: Project) -> None:
    """Or none, with --ollama."""
    assert "Usage: selfopt compare [OPTIONS] [MODEL]..." in project.ok("compare", "--help").out


def test_intervals_are_spoken_of_only_where_they_stand(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow table has none, and a wide one has them below each share."""
    command = ("compare", "good", "mute", "--suite", "atomic.yaml", "--suite", "more.yaml")
    more = (project.root / "atomic.yaml").read_text("utf-8").replace("name: small", "name: more")
    project.write("more.yaml", more)
    monkeypatch.setenv("COLUMNS", "50")
    narrow = " ".join(project.ok(*command).out.split())
    monkeypatch.setenv("COLUMNS", "100")
    wide = " ".join(project.ok(*command).out.split())
    markdown = project.ok(*command, "--markdown").out
    assert "95 % intervals over" not in narrow
    assert ("below each share 95 % intervals over" in wide) == bool(re.search(r"\d\.\d\d-\d\.\d\d", wide))
    assert ("in brackets 95 % intervals over" in markdown) == bool(re.search(r"\(\d\.\d\d-\d\.\d\d\)", markdown))


def test_a_suite_for_another_file_may_have_the_name_of_one_in_the_home(project: Project) -> None:
    """`--to` says where it goes, and what is there stays."""
    project.ok("suites", "new", "kiosk")
    project.ok("suites", "new", "kiosk", "--to", "kiosk.yaml")
    project.run("suites", "new", "kiosk", "--to", "kiosk.yaml").assert_refused(2, "is there already")
    project.run("suites", "new", "kiosk").assert_refused(2, "already exists")
    project.run("suites", "new", "atomic", "--to", "a.yaml").assert_refused(2, "built in")


def test_a_variable_holds_a_table_as_json_as_toml_or_key_by_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither gets a line that says how."""
    name = "SELFOPT_ENDPOINTS__VLLM__RAY_RESOURCES"
    monkeypatch.setenv("SELFOPT_ENDPOINTS__VLLM__KIND", "openai_compatible")
    monkeypatch.setenv("SELFOPT_ENDPOINTS__VLLM__BASE_URL", "http://127.0.0.1:1/v1")
    for written in ('{"gpu_server": 0.01}', "{gpu_server = 0.01}"):
        monkeypatch.setenv(name, written)
        assert "ray_resources.gpu_server = 0.01" in project.ok("config", "show").out
    monkeypatch.setenv(name, "gpu_server=0.01")
    project.run("config", "show").assert_refused(2, f"{name}__NAME=VALUE")
    monkeypatch.delenv(name)
    monkeypatch.setenv(f"{name}__GPU_SERVER", "0.01")
    assert "ray_resources.gpu_server = 0.01" in project.ok("config", "show").out
