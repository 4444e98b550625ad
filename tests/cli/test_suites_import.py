"""`selfopt suites import` with importers that others bring: a command, its options and its warnings, made from what they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selfopt.errors import SuiteError
from selfopt.suites import IMPORTERS, Imported, ImportOption, ImportRequest, parse_suite

from .world import Project

SUITE = """
schema_version: 1
name: NAME
title: Questions
phase: atomic
tool_sets: {t: [{name: ring}]}
prompts:
  - {id: P1, kind: KIND, tool_set: t, messages: [{role: user, content: Ring.}], expected: [[{name: ring, any_arguments: true}]]}
"""


class Questions:
    """An importer of a package: one suite, or one for each line."""

    about = "Questions, one a line."
    takes = "A text file."
    options: tuple[ImportOption, ...] = (
        ImportOption("--sort", "sort", "The kind of all prompts."),
        ImportOption("--skip", "skip", "Lines to leave out.", "TEXT", multiple=True),
    )

    def __init__(self, *, many: bool) -> None:
        self.many = many

    def read(self, asked: ImportRequest) -> Imported:
        """A suite, and a warning for each line that was left out."""
        if not asked.source.is_file():
            raise SuiteError(f"{asked.source.name}: no such file; give a text file")
        kind = asked.options.get("sort", ("plain",))[0]
        names = asked.source.read_text("utf-8").split() if self.many else [asked.name]
        suites = [parse_suite(SUITE.replace("NAME", name).replace("KIND", kind), source=name) for name in names]
        return Imported(tuple(suites), tuple(f"left out {line}" for line in asked.options.get("skip", ())))


@pytest.fixture
def questions() -> Iterator[None]:
    """Both sorts, as if a package offered them."""
    with IMPORTERS.adding("questions", Questions(many=False)), IMPORTERS.adding("lists", Questions(many=True)):
        yield


@pytest.mark.usefixtures("questions")
def test_an_importer_has_a_command_with_its_own_options(project: Project) -> None:
    """Listed, explained, called; what it left out is said on standard error, escaped."""
    assert "Questions, one a line." in project.ok("suites", "import", "--help").out
    assert "--sort" in project.ok("suites", "import", "questions", "--help").out
    project.write("q.txt", "a b")
    result = project.ok("suites", "import", "questions", "q.txt", "--sort", "odd", "--skip", "one", "--skip", "t\x1bwo", "--json")
    assert result.json()["name"] == "q"
    assert result.err.splitlines() == ["note: left out one", "note: left out t\\x1bwo"]
    assert project.ok("suites", "show", "q", "--json").json()["prompts"][0]["kind"] == "odd"


@pytest.mark.usefixtures("questions")
def test_an_importer_of_many_names_its_suites_and_may_replace_them(project: Project) -> None:
    """All or none; the same again changes nothing."""
    project.write("q.txt", "one two")
    rows = project.ok("suites", "import", "lists", "--from", "q.txt", "--json").json()
    assert [(row["name"], row["state"]) for row in rows] == [("one", "new"), ("two", "new")]
    before = project.files()
    project.run("suites", "import", "lists", "--from", "q.txt", "--sort", "odd").assert_refused(2, "--replace")
    project.write("q.txt", "three three")
    project.run("suites", "import", "lists", "--from", "q.txt").assert_refused(2, "same name")
    project.write("q.txt", "")
    project.run("suites", "import", "lists", "--from", "q.txt").assert_refused(2, "0 suites")
    assert project.files() == before


def test_an_importer_that_is_not_there_is_named(project: Project) -> None:
    """With a hint at the help."""
    project.run("suites", "import", "nope", "x").assert_refused(2, "nope", "--help")


def test_a_command_of_an_importer_reads_its_variables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every option does; a misspelt one is refused with the right name."""
    project.write("empty.jsonl", "")
    monkeypatch.setenv("SELFOPT_SUITES_IMPORT_JSONL_NAME", "mine")
    project.run("suites", "import", "jsonl", "empty.jsonl").assert_refused(2, "has no lines")
    monkeypatch.setenv("SELFOPT_SUITES_IMPORT_JSONL_NAM", "mine")
    project.run("suites", "list").assert_refused(2, "IMPORT_JSONL_NAME")
