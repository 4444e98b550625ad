"""`selfopt check` as a build sees it: JUnit XML, annotations, the summary of a step."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from .world import Project

FILE = "suite: atomic.yaml\nmodel: scripted/{model}\nvariant: native_api\nmin_accuracy: 0.9\nmust_pass: [A1]\n"


def check_file(project: Project, model: str) -> None:
    """What the checks of this page ask for."""
    project.write("selfopt.check.yaml", FILE.format(model=model))


def test_a_failed_check_says_why_in_every_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 100; JUnit and Markdown files, annotations on standard error, and the summary after what was in it."""
    check_file(project, "mute")
    Path("summary.md").write_text("# Earlier\n", "utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    result = project.said_no("check", "--junit", "junit.xml", "--markdown", "check.md", "--json")
    assert result.json()["verdict"] == "fail"
    cases = {case.get("name"): case for case in ET.parse("junit.xml").getroot().iter("testcase")}
    assert set(cases) == {"accuracy", "must pass", "A1", "A2", "A3"}
    assert cases["A1"].find("failure") is not None
    told = cases["A1"].findtext("failure") or ""
    for words in ("expected: get_weather(", "replied: I would rather not.", "read: no call"):
        assert words in told
    assert "replied: I would rather not." in (cases["A2"].findtext("system-out") or "")
    lines = [line for line in result.err.splitlines() if line.startswith("::")]
    assert len(lines) == 2
    assert all(line.startswith("::error file=selfopt.check.yaml,title=selfopt check%3A ") for line in lines)
    markdown = Path("check.md").read_text("utf-8")
    assert markdown.startswith("## ❌ selfopt check")
    assert "I would rather not." in markdown
    assert Path("summary.md").read_text("utf-8") == "# Earlier\n" + markdown


def test_a_check_that_passes_annotates_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And elsewhere than on GitHub there are no commands either."""
    check_file(project, "good")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = project.ok("check", "--junit", "junit.xml").out.splitlines()
    assert lines[0].startswith("::stop-commands::selfopt-")
    assert lines[-1] == f"::{lines[0].removeprefix('::stop-commands::')}::"
    assert not any(line.startswith("::") for line in lines[1:-1])
    assert ET.parse("junit.xml").getroot().get("failures") == "0"
    monkeypatch.delenv("GITHUB_ACTIONS")
    check_file(project, "mute")
    assert "::" not in project.said_no("check").err


@pytest.mark.parametrize("model", ["evil", "evil_tool"])
def test_what_a_hostile_model_wrote_breaks_no_report(project: Project, model: str) -> None:
    """Its escape codes and its markup are text."""
    check_file(project, model)
    project.said_no("check", "--junit", "junit.xml", "--markdown", "check.md")
    text = Path("junit.xml").read_text("utf-8") + Path("check.md").read_text("utf-8")
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "owned" in text
    assert "<script>" not in text
    ET.parse("junit.xml")


def test_a_summary_stays_within_what_github_takes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is nearly full takes what fits; one that is away is told of, and fails nothing."""
    check_file(project, "mute")
    summary = Path("summary.md")
    summary.write_text("x" * (1024 * 1024 - 300), "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.said_no("check")
    assert 1024 * 1024 - 300 <= summary.stat().st_size <= 1024 * 1024
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "nowhere" / "summary.md"))
    check_file(project, "good")
    result = project.ok("check")
    assert "GITHUB_STEP_SUMMARY" in result.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--junit", "."), "is a folder; name a file"),
        (("--junit", "nowhere/x.xml"), "does not exist; make it first"),
        (("--markdown", "nowhere/x.md"), "does not exist; make it first"),
        (("--record", "state.json", "--junit", "x.xml"), "comes to no verdict"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_asked(
    project: Project, arguments: tuple[str, ...], says: str
) -> None:
    """Exit code 2, one line, nothing in the home."""
    check_file(project, "good")
    project.run("check", *arguments).assert_refused(2, says)
    assert project.files() == {}
    assert not any(name.endswith(".xml") for name in os.listdir("."))
