"""Imported suites in a folder of one's own."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import StoreError, SuiteError
from selfopt.home import atomic_write_text
from selfopt.records import Suite
from selfopt.suites import find_problems, list_suites, load_suite, parse_suite, store_suites
from selfopt.suites.load import MAX_SIZE_BYTES

from .test_load import a_suite


def suite(**changes: Any) -> Suite:
    """The smallest usable suite, with changes."""
    return parse_suite(json.dumps(a_suite(**changes)), source="test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home's folder of suites."""
    path = tmp_path / "suites"
    path.mkdir()
    return path


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    """The one line with which something is refused."""
    with pytest.raises(SuiteError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert not re.search(r"[\x00-\x1f]", text)
    return text


def test_a_stored_suite_is_found_by_its_name(folder: Path) -> None:
    """It comes back as it was, after the built-in ones, readable by its owner only."""
    mine = suite(origin="somewhere 1.0", judging="bfcl", title="Glocken läuten")
    (stored,) = store_suites(folder, [mine])
    assert stored.state == "new"
    assert load_suite("mine", folder) == mine
    assert load_suite("mine", folder).content_id() == mine.content_id()
    assert list_suites(folder) == [*list_suites(), "mine"]
    assert find_problems("mine", folder) == []
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600


def test_another_content_replaces_a_stored_suite_only_when_told_to(folder: Path) -> None:
    """The same content again changes nothing; measurements may rest on what is there."""
    first, second = suite(), suite(title="Other")
    store_suites(folder, [first])
    assert [s.state for s in store_suites(folder, [first])] == ["unchanged"]
    assert "--replace" in refusal(store_suites, folder, [second])
    assert load_suite("mine", folder) == first
    assert [s.state for s in store_suites(folder, [second], replace=True)] == ["replaced"]
    assert load_suite("mine", folder) == second


def test_nothing_is_written_unless_everything_can_be(folder: Path) -> None:
    """A built-in name, an unusable suite and a stored name each refuse all of them."""
    store_suites(folder, [suite()])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for bad, words in (
        (suite(name="atomic"), "built in"),
        (suite(title="Other"), "--replace"),
        (suite(name="other").model_copy(update={"prompts": ()}), "there are none"),
    ):
        assert words in refusal(store_suites, folder, [suite(name="new"), bad])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_leaves_everything_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half stored, and nothing is left lying about."""
    store_suites(folder, [suite()])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    written: list[str] = []

    def failing(path: Path, text: str, **options: Any) -> None:
        if written:
            raise StoreError(f"could not write {path}: No space left on device")
        written.append(text)
        atomic_write_text(path, text, **options)

    monkeypatch.setattr("selfopt.suites.store.atomic_write_text", failing)
    with pytest.raises(StoreError, match="No space left"):
        store_suites(folder, [suite(title="Other"), suite(name="more"), suite(name="most")], replace=True)
    assert written
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_leads_elsewhere_is_not_written_to(tmp_path: Path) -> None:
    """Symbolic links are not followed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "suites").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        store_suites(tmp_path / "suites", [suite()])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_built_in_suite_wins_over_a_file_of_its_name(folder: Path) -> None:
    """However the file came there."""
    store_suites(folder, [suite()])
    (folder / "mine.json").rename(folder / "atomic.json")
    assert load_suite("atomic", folder) == load_suite("atomic")
    assert list_suites(folder) == list_suites()


def test_a_renamed_file_is_named(folder: Path) -> None:
    """Measurements are found by the suite's name, which therefore has to be its file's."""
    store_suites(folder, [suite()])
    (folder / "mine.json").rename(folder / "yours.json")
    assert "make them the same" in refusal(load_suite, "yours", folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 60 + b"]" * 60, "nested deeper"),
        (b"{", "not valid JSON"),
        (b"[]", "no mapping"),
        (b"\xff", "UTF-8"),
        (b'{"schema_version": 2}', "newer"),
        (b"[" + b"0," * 1_100_000 + b"0]", "more than"),
        (b"[" + b"{}," * 1_100_000 + b"0]", "more than"),
        (b" " * (MAX_SIZE_BYTES[".json"] + 1), "larger than"),
    ],
)
def test_a_hostile_file_is_one_line(folder: Path, content: bytes, words: str) -> None:
    """Damaged or made to hurt: refused by name, in bounded time."""
    (folder / "mine.json").write_bytes(content)
    text = refusal(load_suite, "mine", folder)
    assert "mine.json" in text
    assert words in text


def test_an_unknown_name_is_answered_with_those_that_are_there(folder: Path) -> None:
    """Built in and stored."""
    store_suites(folder, [suite()])
    assert "yours are mine" in refusal(load_suite, "nope", folder)
    assert "unknown suite" in refusal(load_suite, "mine")
