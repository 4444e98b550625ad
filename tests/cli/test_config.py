"""`selfopt config`: the place of one's own settings, what is in force, and an editor that leaves nothing broken unsaid."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from .world import Project


@pytest.fixture
def own(project: Project) -> Path:
    """The user's own file, which is not there yet."""
    return Path(project.ok("config", "path").out.strip())


def editor(project: Project, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """An editor that does this to the file `name`."""
    script = project.root / "editor.py"
    script.write_text(f"import sys\nname = sys.argv[1]\n{program}\n", "utf-8")
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")


def test_the_path_is_told_even_where_the_settings_are_broken(project: Project, own: Path) -> None:
    """Whoever has to mend the file must find it."""
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("nonsense = [", "utf-8")
    assert project.ok("config", "path").out.strip() == str(own)
    project.run("config", "show").assert_refused(2, str(own))


def test_what_is_shown_is_toml_and_reads_as_the_settings_in_force(project: Project, own: Path) -> None:
    """With every setting, and without those that have their built-in value."""
    every = tomllib.loads(project.ok("config", "show", "--all").out)
    some = tomllib.loads(project.ok("config", "show").out)
    assert every["limits"]["timeout_s"] == some["limits"]["timeout_s"] == 90.0
    assert "gateway" in every
    assert "gateway" not in some
    assert every["models"]["aliases"]["good"] == "scripted/good"


def test_it_says_which_files_are_read_and_shows_no_key(project: Project, own: Path) -> None:
    """One's own first; a later one wins."""
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(
        '[endpoints.lab]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "sk-verysecret"\n', "utf-8"
    )
    result = project.ok("config", "show")
    assert [line for line in result.out.splitlines() if line.startswith("endpoints.lab.")] == [
        'endpoints.lab.kind = "openai_compatible"',
        'endpoints.lab.base_url = "http://127.0.0.1:9/v1"',
    ]
    assert result.out.index(f"# read: {own}") < result.out.index(f"# read: {project.root / 'selfopt.toml'}")
    assert "sk-verysecret" not in result.out + project.ok("config", "show", "--json").out
    assert project.ok("config", "show", "--json").json()["path"] == str(own)


def test_editing_makes_a_file_that_explains_itself(project: Project, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes nothing by itself."""
    before = project.ok("config", "show", "--all").out
    editor(project, monkeypatch, "open(name).read()")
    assert "made and understood" in project.ok("config", "edit").out
    assert tomllib.loads(own.read_text("utf-8")) == {}
    assert tomllib.loads(project.ok("config", "show", "--all").out) == tomllib.loads(before)


def test_what_an_edit_breaks_is_said_at_once(project: Project, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file stays as it was left."""
    editor(project, monkeypatch, "open(name, 'w').write('limit = 3')")
    project.run("config", "edit").assert_refused(2, "limit")
    assert own.read_text("utf-8") == "limit = 3"


def test_an_editor_that_fails_or_is_missing_is_said(project: Project, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each."""
    editor(project, monkeypatch, "sys.exit(3)")
    project.run("config", "edit").assert_refused(1, "ended with 3")
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    project.run("config", "edit").assert_refused(2, "could not be started")
    monkeypatch.setenv("EDITOR", "vi 'unclosed")
    project.run("config", "edit").assert_refused(2, "cannot be split")
    monkeypatch.delenv("EDITOR")
    project.run("config", "edit").assert_refused(2, "no terminal", str(own))


def test_doctor_names_ones_own_file_whether_or_not_it_is_there(project: Project, own: Path) -> None:
    """Beside the project's."""
    out = project.run("doctor").out
    assert f"own settings: {own} (not there" in out
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("", "utf-8")
    assert f"own settings: {own}" in project.run("doctor").out


def test_secrets_in_fields_of_all_requests_are_not_shown(project: Project, own: Path) -> None:
    """By the name of the field; what is no secret is shown as it is."""
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(
        '[endpoints.lab]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n'
        'extra_body = {seen = "plain", max_tokens = 7, accessToken = "s3cret-0", auth = {list = ["s3cret-1"], n = 3}}\n',
        "utf-8",
    )
    for flags in ((), ("--json",), ("--all",)):
        out = project.ok("config", "show", *flags).out
        assert "s3cret" not in out
        assert "plain" in out
        assert "[hidden]" in out
