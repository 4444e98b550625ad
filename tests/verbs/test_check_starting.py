"""`check --new` writes a file that a check can use as it is, and `check --list` tells what checks said."""

from __future__ import annotations

import pytest
import yaml

from selfopt.verbs.check_file import CheckFile, parse_check_file
from tests.cli.conftest import project
from tests.cli.world import ATOMIC, Project

__all__ = ["project"]

MINE = "variants:\n  mine: {like: native_api, instructions: Call tools.}\n"


def read(project: Project, name: str) -> CheckFile:
    """A check file that was written."""
    return parse_check_file((project.root / name).read_text("utf-8"), name)


def test_a_new_file_names_what_is_at_hand_and_a_check_takes_it_as_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite of one's own beside it, a model of the settings, a variant of one's own, prompts that there are."""
    (project.root / "suites").mkdir()
    project.write("suites/kiosk.yaml", ATOMIC.replace("name: small", "name: kiosk").replace("id: A1", 'id: "1"'))
    monkeypatch.setenv("SELFOPT_VARIANTS", str(project.write("mine.yaml", MINE)))
    out = project.ok("check", "--new").out
    assert "written: selfopt.check.yaml" in out
    found = read(project, "selfopt.check.yaml")
    assert (found.suite, found.model, found.variant, found.must_pass) == (
        "suites/kiosk.yaml",
        "scripted/good",
        "mine",
        ("1", "A2"),
    )
    project.ok("check")


def test_what_it_leaves_out_can_be_taken_in_line_by_line(project: Project) -> None:
    """Each key behind a # is one that a check file has, with a value that it takes."""
    project.ok("check", "--new", "c.yaml")
    text = (project.root / "c.yaml").read_text("utf-8")
    left_out = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and ": " in line]
    keys = [key for line in left_out for key in (yaml.safe_load(line) if line[:4] in KEYS else ())]
    assert {"rule", "baseline", "min_restraint", "max_regression", "max_cost", "on_undecided"} <= set(keys)
    for line in left_out:
        if line[:4] in KEYS and not line.startswith("rule"):
            assert parse_check_file(f"{text}{line}\n", "c.yaml") is not None


KEYS = {key[:4] for key in CheckFile.model_fields}


def test_the_model_that_was_measured_last_comes_first(project: Project) -> None:
    """Whoever measured a model means to check it."""
    project.ok("run", "mute", "atomic", "--suite", "atomic.yaml")
    made = project.ok("check", "--new", "--json").json()
    assert (made["model"], made["model_found"]) == ("scripted/mute", True)


def test_without_any_model_an_example_stands_there_and_a_line_says_so(project: Project) -> None:
    """It asks no server elsewhere and downloads nothing."""
    project.write("selfopt.toml", "")
    out = project.ok("check", "--new").out
    assert "no model was found" in out
    assert read(project, "selfopt.check.yaml").model == "ollama/qwen2.5:3b"


def test_nothing_is_overwritten_and_a_file_that_is_missing_is_named(project: Project) -> None:
    """Each with the command that helps."""
    project.run("check", "c.yaml").assert_refused(2, "selfopt check --new c.yaml")
    project.run("check").assert_refused(2, "selfopt check --new")
    project.ok("check", "--new", "c.yaml")
    before = (project.root / "c.yaml").read_text("utf-8")
    project.run("check", "--new", "c.yaml").assert_refused(2, "is there already")
    assert (project.root / "c.yaml").read_text("utf-8") == before
    project.run("check", "--new", "c.json").assert_refused(2, ".yaml")
    project.run("check", "--new", "no/c.yaml").assert_refused(1, "no/c.yaml")
    for flags in (("--list",), ("--record", "s.json"), ("--junit", "j.xml")):
        project.run("check", "--new", *flags).assert_refused(2, "--new")


def test_an_unknown_key_gets_the_nearest_one(project: Project) -> None:
    """At the top and in a baseline."""
    project.write("c.yaml", "suite: atomic.yaml\nmodel: good\nvarient: native_api\nmin_accuracy: 0.5\n")
    project.run("check", "c.yaml").assert_refused(2, "unknown key varient", "did you mean variant?")
    project.write("c.yaml", "suite: atomic.yaml\nmodel: good\nbaseline: {modle: mute}\n")
    project.run("check", "c.yaml").assert_refused(2, "unknown key baseline.modle", "did you mean model?")


def test_checks_that_are_over_are_listed_newest_first(project: Project) -> None:
    """With what `selfopt show` takes."""
    assert "no check is over" in project.ok("check", "--list").out
    project.write("c.yaml", "suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.5\n")
    project.write("d.yaml", "suite: atomic.yaml\nmodel: mute\nmin_accuracy: 0.9\nbaseline: {model: good}\n")
    project.ok("check", "c.yaml")
    project.said_no("check", "d.yaml")
    rows = project.ok("check", "--list", "--json").json()
    assert [(row["model"], row["verdict"], row["before"]) for row in rows] == [
        ("scripted/mute", "fail", "scripted/good native_api"),
        ("scripted/good", "pass", ""),
    ]
    lines = project.ok("check", "--list").out
    assert "scripted/mute native_api" in lines
    project.ok("show", rows[1]["check_id"])
