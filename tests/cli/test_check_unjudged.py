"""`selfopt check` where it comes to no verdict: its reports say so, and none of an earlier check is left."""

from __future__ import annotations

import asyncio
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from selfopt.errors import EndpointError
from selfopt.verbs import checking

from .test_check_outputs import check_file
from .world import Project

REPORTS = ("--junit", "junit.xml", "--markdown", "check.md")
AWAY = '[endpoints.lab]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9"\nlocal = true\n'


def the_error() -> tuple[str, str]:
    """Type and message of the one error in the JUnit file."""
    root = ET.parse("junit.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "0", "1")
    (case,) = root.iter("testcase")
    error = case.find("error")
    assert error is not None
    assert error.text == error.get("message")
    return error.get("type") or "", error.text or ""


@pytest.mark.parametrize(
    ("text", "arguments", "code", "kind", "says"),
    [
        ("suite: atomic.yaml\nmodel: lab/x\nmin_accuracy: 0.9\n", (), 1, "error", "127.0.0.1:9"),
        ("suite: nothing.yaml\nmodel: good\nmin_accuracy: 0.9\n", (), 2, "usage", "nothing.yaml"),
        ("- 1\n", (), 2, "usage", "selfopt.check.yaml"),
        ("suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.9\n", ("--max-trials", "many"), 2, "usage", "max-trials"),
        ("suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.9\n", ("--concurrency", "900"), 2, "usage", "concurrency"),
    ],
)
def test_every_report_says_why(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str, arguments: tuple[str, ...], code: int, kind: str, says: str
) -> None:
    """A server that is away, a bad file, a bad option: an error in JUnit, in Markdown, in the summary, as an annotation."""
    check_file(project, "good")
    project.ok("check", *REPORTS)
    own = project.root / "xdg" / "selfopt" / "selfopt.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(AWAY, "utf-8")
    project.write("selfopt.check.yaml", text)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    done = project.run("check", *REPORTS, *arguments)
    assert done.code == code
    found, message = the_error()
    assert found == kind
    assert says in message
    assert f"selfopt: {message}" == done.err.splitlines()[-1]
    markdown = Path("check.md").read_text("utf-8")
    assert markdown.startswith("## ⚠️ selfopt check\n")
    assert "no verdict" in markdown
    assert Path("summary.md").read_text("utf-8") == markdown
    lines = [line for line in (done.out + done.err).splitlines() if line.startswith("::")]
    assert len(lines) == 1
    assert lines[0].startswith("::error file=selfopt.check.yaml,title=selfopt check::")


@pytest.mark.parametrize("report", [("--junit", "junit.xml"), ("--markdown", "check.md"), ()])
def test_a_bad_option_is_told_in_what_was_asked_for(project: Project, report: tuple[str, ...]) -> None:
    """One report, or none."""
    check_file(project, "good")
    project.run("check", *report, "--max-trials", "many").assert_refused(2, "max-trials")
    assert [name for name in ("junit.xml", "check.md") if Path(name).exists()] == list(report[1:])


def test_one_report_tells_of_the_other_that_cannot_be_written(project: Project) -> None:
    """And what stood there is not taken for this check's."""
    check_file(project, "good")
    Path("check.md").write_text("# Earlier\n", "utf-8")
    project.run("check", "--junit", "nowhere/junit.xml", "--markdown", "check.md").assert_refused(2, "does not exist")
    assert "nowhere" in Path("check.md").read_text("utf-8")


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), MemoryError("x"), EndpointError("##[add-mask]x\n::error::y", kind="connect")]
)
def test_whatever_ends_it_is_told(project: Project, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """An interruption, a bug, and a server whose words would be a command to GitHub."""

    async def ends(*_: object) -> None:
        raise error

    check_file(project, "good")
    Path("junit.xml").write_text("<testsuites/>", "utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setattr(checking, "run_check", ends)
    done = project.run("check", "--junit", "junit.xml")
    assert done.code == (130 if isinstance(error, asyncio.CancelledError) else 1)
    assert the_error()[0] == ("interrupted" if isinstance(error, asyncio.CancelledError) else "error")
    commands = [line for line in (done.out + done.err).splitlines() if line.startswith("::") or "##[" in line]
    assert len(commands) == 1
    assert commands[0].startswith("::error ")


def test_an_old_report_is_gone_while_a_check_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is killed leaves no verdict of an earlier check."""
    seen = list[str]()

    async def looks(*_: object) -> None:
        seen.extend(name for name in os.listdir(".") if name in REPORTS)
        raise asyncio.CancelledError

    check_file(project, "good")
    project.ok("check", *REPORTS)
    monkeypatch.setattr(checking, "run_check", looks)
    assert project.run("check", *REPORTS).code == 130
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--junit", "selfopt.check.yaml"), "would replace the check file"),
        (("--junit", "./x.md", "--markdown", "x.md"), "name two files"),
        (("--junit", "/dev/null"), "no regular file"),
    ],
)
def test_a_report_takes_no_other_files_place(project: Project, arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2, one line, and the check file is what it was."""
    check_file(project, "good")
    before = Path("selfopt.check.yaml").read_text("utf-8")
    project.run("check", *arguments).assert_refused(2, says)
    assert Path("selfopt.check.yaml").read_text("utf-8") == before
    assert Path("/dev/null").is_char_device()
