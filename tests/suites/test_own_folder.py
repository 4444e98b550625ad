"""Suites in a folder of one's own: found by name, stored whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.errors import StoreError, SuiteError
from selfopt.suites import find_problems, list_suites, load_suite, store_suite

from .test_load import a_suite


def text_of(name: str) -> str:
    """The smallest usable suite of this name."""
    return json.dumps(a_suite(name=name))


def test_a_stored_suite_is_found_by_its_name(tmp_path: Path) -> None:
    """As YAML or JSON, behind the built-in ones; without the folder it is unknown."""
    folder = tmp_path / "suites"
    assert list_suites(folder) == list_suites()
    store_suite(folder, "mine", text_of("mine"))
    store_suite(folder, "yours", text_of("yours"), suffix=".json")
    assert list_suites(folder) == [*list_suites(), "mine", "yours"]
    assert load_suite("mine", folder).name == "mine"
    assert find_problems("yours", folder) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(SuiteError, match="unknown suite 'mine'"):
        load_suite("mine")
    with pytest.raises(SuiteError, match="yours are mine, yours"):
        load_suite("nope", folder)


@pytest.mark.parametrize("name", ["atomic", "a b", "../up", "", "mine.yaml", "mine.json", "x" * 65])
def test_a_name_that_would_not_be_found_is_refused(tmp_path: Path, name: str) -> None:
    """Built-in names, paths, and what looks like a file; nothing is written."""
    with pytest.raises(SuiteError):
        store_suite(tmp_path / "suites", name, text_of(name))
    assert not (tmp_path / "suites").exists()


def test_nothing_is_replaced_and_nothing_unusable_is_stored(tmp_path: Path) -> None:
    """A second one of the name, another name inside, a broken one, one that is too large."""
    path = store_suite(tmp_path, "mine", text_of("mine"))
    before = path.read_text()
    with pytest.raises(SuiteError, match="already exists"):
        store_suite(tmp_path, "mine", text_of("mine"), suffix=".json")
    with pytest.raises(SuiteError, match="gives itself the name 'mine'"):
        store_suite(tmp_path, "other", text_of("mine"))
    with pytest.raises(SuiteError, match="not valid YAML"):
        store_suite(tmp_path, "other", "{")
    with pytest.raises(SuiteError, match="at most 5000000"):
        store_suite(tmp_path, "other", text_of("other") + " " * 5_000_000)
    assert [f.name for f in tmp_path.iterdir()] == ["mine.yaml"]
    assert path.read_text() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the folder belongs."""
    (tmp_path / "suites").write_text("")
    with pytest.raises((StoreError, SuiteError), match="suites"):
        store_suite(tmp_path / "suites", "mine", text_of("mine"))


def test_a_file_that_names_another_suite_is_refused(tmp_path: Path) -> None:
    """Records would not find it again."""
    (tmp_path / "mine.yaml").write_text(text_of("theirs"))
    with pytest.raises(SuiteError, match="name: is theirs, but the file is found as mine"):
        load_suite("mine", tmp_path)
    assert "found as mine" in find_problems("mine", tmp_path)[0]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which one was meant, nobody can tell; built-in suites are not disturbed."""
    for suffix in ("yaml", "json"):
        (tmp_path / f"mine.{suffix}").write_text(text_of("mine"))
    with pytest.raises(SuiteError, match=r"both mine\.json and mine\.yaml"):
        load_suite("mine", tmp_path)
    assert load_suite("atomic", tmp_path).name == "atomic"


def test_a_built_in_name_stays_the_built_in_suites(tmp_path: Path) -> None:
    """A file called atomic.yaml changes nothing for who asks for atomic."""
    (tmp_path / "atomic.yaml").write_text(text_of("atomic"))
    assert load_suite("atomic", tmp_path) == load_suite("atomic")
    assert list_suites(tmp_path) == list_suites()
