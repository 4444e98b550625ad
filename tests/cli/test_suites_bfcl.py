"""`selfopt suites import bfcl` and `selfopt suites pull bfcl`."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from selfopt.engine.catalogue import ModelEntry
from tests.suites.bfcl_kit import VERSION, lines, question, texts, write_folder, write_wheel

from .world import Project

NAMES = ["bfcl_simple_python", "bfcl_irrelevance", "bfcl_live_parallel", "bfcl_live_relevance"]


@pytest.fixture
def pinned(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of our own, which is all that pip finds and what the pull expects."""
    folder = project.root / "wheels"
    folder.mkdir()
    wheel = write_wheel(folder, texts())
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    data = wheel.read_bytes()
    entry = ModelEntry(
        name=f"bfcl/bfcl-eval-{VERSION}",
        file=wheel.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        sources=((f"pypi:bfcl-eval=={VERSION}:*",),),
    )
    monkeypatch.setattr("selfopt.verbs.bfcl.BFCL_WHEEL", entry)
    return wheel


def names_of(rows: Any) -> list[str]:
    """The suites' names."""
    return [row["name"] for row in rows]


def test_imported_suites_are_found_by_name_everywhere(project: Project) -> None:
    """Listed, shown, validated, measured; private files in the home."""
    source = write_folder(project.root / "data", texts())
    rows = project.ok("suites", "import", "bfcl", "--from", str(source), "--json").json()
    assert names_of(rows) == NAMES
    assert [row["state"] for row in rows] == ["new"] * 4
    assert all(row["search"] + row["heldout"] == row["prompts"] for row in rows)
    for name in NAMES:
        path = project.home / "suites" / f"{name}.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = {row["name"]: row for row in project.ok("suites", "list", "--json").json()}
    assert (listed[NAMES[0]]["judging"], listed[NAMES[0]]["source"]) == ("bfcl", "home")
    assert "tower.ring" in project.ok("suites", "show", NAMES[0]).out
    project.ok("suites", "validate", *NAMES)
    measured = project.ok("run", "mute", "atomic", "--suite", "bfcl_irrelevance", "--split", "all", "--json").json()
    assert measured["evaluation"]["metrics"]["restraint"] == 1.0


def test_the_same_import_again_changes_nothing_and_another_asks(project: Project) -> None:
    """What measurements rest on is replaced only when told to; then all of it or nothing."""
    source = write_folder(project.root / "data", texts())
    project.ok("suites", "import", "bfcl", "--from", str(source))
    before = project.files()
    again = project.ok("suites", "import", "bfcl", "--from", str(source), "--json").json()
    assert {row["state"] for row in again} == {"unchanged"}
    assert project.files() == before
    named = ("--category", "irrelevance,live_relevance", "--category", "live_parallel")
    rows = project.ok("suites", "import", "bfcl", "--from", str(source), *named, "--json").json()
    assert names_of(rows) == ["bfcl_irrelevance", "bfcl_live_relevance", "bfcl_live_parallel"]
    other = write_folder(project.root / "other", texts() | {"BFCL_v4_irrelevance.json": lines([question("irrelevance_7")])})
    project.run("suites", "import", "bfcl", "--from", str(other)).assert_refused(2, "bfcl_irrelevance", "--replace")
    assert project.files() == before
    replaced = project.ok("suites", "import", "bfcl", "--from", str(other), "--replace", "--json").json()
    assert [row["state"] for row in replaced] == ["unchanged", "replaced", "unchanged", "unchanged"]


def test_nothing_is_half_imported(project: Project) -> None:
    """One bad file refuses all, in one line."""
    bad = write_folder(project.root / "bad", texts() | {"BFCL_v4_live_relevance.json": '{"id": 1'})
    project.run("suites", "import", "bfcl", "--from", str(bad)).assert_refused(2, "BFCL_v4_live_relevance.json", "line 1")
    assert not (project.home / "suites").exists()
    project.run("suites", "import", "bfcl", "--from", "nowhere").assert_refused(2, "nowhere")
    project.run("suites", "import", "bfcl").assert_refused(2, "--from")
    project.run("suites", "import", "bfcl", "--from", str(bad), "--category", "nope").assert_refused(2, "nope", "simple_python")


def test_a_pull_fetches_checks_and_imports(project: Project, pinned: Path) -> None:
    """Once: the wheel stays in the cache, and nothing in it is executed or shown among the models."""
    result = project.ok("suites", "pull", "bfcl", "--json")
    assert names_of(result.json()) == NAMES
    assert all(row["origin"].startswith(f"bfcl-eval {VERSION}, BFCL_v4_") for row in result.json())
    pinned.unlink()
    again = project.ok("suites", "pull", "bfcl", "--category", "irrelevance", "--json").json()
    assert [(row["name"], row["state"]) for row in again] == [("bfcl_irrelevance", "unchanged")]
    assert "bfcl" not in project.ok("models", "list").out


def test_a_wheel_with_another_hash_is_refused_and_removed(project: Project, pinned: Path) -> None:
    """Nothing is imported, and nothing is left of it."""
    write_wheel(pinned.parent, texts() | {"BFCL_v4_irrelevance.json": lines([question("irrelevance_7")])})
    project.run("suites", "pull", "bfcl").assert_refused(1, "bfcl-eval", "sha256")
    assert not (project.home / "suites").exists()
    assert not list((project.root / "cache").rglob("*.whl"))


def test_a_wheel_that_cannot_be_had_says_so(project: Project, pinned: Path) -> None:
    """With what pip said."""
    pinned.unlink()
    project.run("suites", "pull", "bfcl").assert_refused(1, "bfcl-eval", "could not be pulled")


DOTS = """\
models:
  good:
    default: {tool_calls: [{name: tower_ring, arguments: {bell: LARGE, force: 2}}]}
  mute:
    default: {text: '{"name": "tower.ring", "arguments": {"bell": "large"}}'}
"""


def test_calls_under_the_names_that_apis_take_are_judged_as_the_functions(project: Project) -> None:
    """A server is never sent a dot; a stored reply is judged again the same."""
    project.write("script.yaml", DOTS)
    project.ok("suites", "import", "bfcl", "--from", str(write_folder(project.root / "data", texts())))
    run = ("--suite", "bfcl_simple_python", "--split", "all", "--limit", "1", "--json")
    measured = project.ok("run", "good", "atomic", *run).json()
    assert [v["outcome"] for v in measured["verdicts"]] == ["pass"]
    shown = project.ok("show", measured["verdicts"][0]["trial_id"], "--json").json()
    assert '"tower_ring"' in shown["exchanges"][0]["attempts"][0]["request"]
    assert '"tower.ring"' not in shown["exchanges"][0]["attempts"][0]["request"]
    unread = project.ok("run", "mute", "atomic", *run).json()
    assert [v["outcome"] for v in unread["verdicts"]] == ["unparsed"]
    rescored = project.ok("rescore", unread["evaluation"]["run_ids"][0], "--parser", "json", "--json").json()
    assert "pass" in str(rescored)
