"""Commands on a ledger whose long texts are files of a folder (`SELFOPT_BLOBS`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ledger.test_blobs import large

from .world import ATOMIC, Project

NOISE = large(7).text.translate({ord(mark): "x" for mark in "\"\\'{}[]&<>#:%"})


@pytest.fixture
def texts(project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the setting names; the prompts of the project are long."""
    folder = tmp_path_factory.mktemp("texts")
    project.write("atomic.yaml", ATOMIC.replace("Play a song.", f"'Play a song. {NOISE}'"))
    monkeypatch.setenv("SELFOPT_BLOBS", f"file://{folder}")
    return folder


def _run(project: Project) -> None:
    project.ok("run", "good", "atomic")


def test_commands_read_texts_from_where_they_are(project: Project, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show, rescore, export with content and audit verify, with the setting and without it."""
    _run(project)
    assert len(list(texts.glob("*/*.z"))) >= 3
    [line, *_] = project.ok("export", "trials", "--format", "jsonl", "--content").out.splitlines()
    trial = json.loads(line)
    for named in (True, False):
        if not named:
            monkeypatch.delenv("SELFOPT_BLOBS")
        assert NOISE in project.ok("export", "trials", "--format", "jsonl", "--content").out
        assert NOISE in project.ok("show", trial["trial_id"], "--json").out
        project.ok("rescore", trial["run_id"])
        project.ok("audit", "verify")


def test_a_missing_and_a_changed_text_are_listed(project: Project, texts: Path) -> None:
    """Exit code 100 with both hashes; a command that needs one of them says so in one line."""
    _run(project)
    one, other, *_ = sorted(texts.glob("*/*.z"))
    one.unlink()
    other.write_bytes(b"something else")
    said = project.said_no("audit", "verify").out
    assert f"blob {one.stem} missing: its text in file://{texts}" in said
    assert f"blob {other.stem} changed: its text in file://{texts}" in said
    project.run("export", "trials", "--format", "jsonl", "--content").assert_refused(1, "is damaged: the text of blob")


def test_doctor_tries_the_folder(project: Project, texts: Path) -> None:
    """It makes no home for that, and names a folder that is not there."""

    def check() -> tuple[str, str]:
        [found] = [one for one in json.loads(project.run("doctor", "--json").out) if one["name"] == "blobs"]
        return found["status"], found["detail"]

    assert check() == ("ok", f"long prompts and replies go to file://{texts}")
    assert not project.home.exists()
    [left] = texts.iterdir()
    left.unlink()
    texts.rmdir()
    status, detail = check()
    assert (status, f"file://{texts} does not exist" in detail) == ("FAIL", True)


def test_nothing_is_asked_where_texts_cannot_be_stored(project: Project, texts: Path) -> None:
    """One line, exit code 1."""
    texts.rmdir()
    project.run("run", "good", "atomic").assert_refused(1, f"file://{texts} does not exist", "make it or mount it")
    assert not texts.exists()
    assert project.ok("export", "trials", "--format", "jsonl").out == ""


def test_a_url_with_a_key_is_refused_and_not_shown(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every command, with exit code 2."""
    monkeypatch.setenv("SELFOPT_BLOBS", "s3://me:hidden@bucket/x")
    result = project.run("run", "good", "atomic")
    result.assert_refused(2, "blobs: the URL holds a key", "AWS_PROFILE")
    assert "hidden" not in result.err
