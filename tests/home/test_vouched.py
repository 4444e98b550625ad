"""Which homes and folders are the user's: a register in the user's own data folder, and an id in the home."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, NewerSchemaError, StoreError
from selfopt.home import Home, HomeRegister, TrustStore, find_home, look_for_home
from selfopt.home.vouched import ID_FILE, user_folder


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "selfopt"


def made(folder: Path) -> Path:
    """A `.selfopt` that selfopt made in a folder."""
    return Home(folder / ".selfopt").ensure().root


def shipped(folder: Path) -> Path:
    """A `.selfopt` with rules that came with a folder."""
    root = folder / ".selfopt"
    root.mkdir(parents=True)
    (root / "routing_config.json").write_text("{}")
    return root


def test_a_home_that_was_made_here_counts(tmp_path: Path) -> None:
    """From the folder and from below it; the entries are the user's alone."""
    root = made(tmp_path / "a")
    below = tmp_path / "a" / "b"
    below.mkdir()
    assert find_home(None, {}, below).root == root
    entries = list((user_folder() / "homes").iterdir())
    assert len(entries) == 1
    assert entries[0].stat().st_mode & 0o777 == 0o600
    assert entries[0].parent.stat().st_mode & 0o777 == 0o700


def test_a_home_that_came_from_elsewhere_is_passed_over(tmp_path: Path) -> None:
    """The next one upwards is taken, else the user's data folder; both are named."""
    outer = made(tmp_path / "a")
    inner = shipped(tmp_path / "a" / "b")
    found = look_for_home(None, {}, tmp_path / "a" / "b")
    assert (found.home.root, found.passed_over) == (outer, (inner,))
    lone = shipped(tmp_path / "c")
    found = look_for_home(None, {}, tmp_path / "c")
    assert (found.home.root, found.passed_over) == (user_folder(), (lone,))
    assert find_home(lone, {}, tmp_path).root == lone, "named, it is the user's word"


def test_a_copy_or_a_moved_home_does_not_count(tmp_path: Path) -> None:
    """The id is known, but at another place."""
    root = made(tmp_path / "a")
    shutil.copytree(root, tmp_path / "b" / ".selfopt")
    assert find_home(None, {}, tmp_path / "b").root == user_folder()
    shutil.move(root, tmp_path / "c")
    assert find_home(None, {}, tmp_path / "a").root == user_folder()


def test_a_link_to_another_home_of_the_users_does_not_count(tmp_path: Path) -> None:
    """A project must not choose which of the user's homes is used."""
    root = made(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".selfopt").symlink_to(root)
    assert find_home(None, {}, tmp_path / "b").root == user_folder()
    with pytest.raises(StoreError, match="symbolic link"):
        HomeRegister().adopt(tmp_path / "b" / ".selfopt")


def test_a_shipped_home_is_not_noted_by_being_named_or_made_sure_of(tmp_path: Path) -> None:
    """`--home` once is no word for the next time; a shipped id is unknown here."""
    root = shipped(tmp_path / "a")
    (root / ID_FILE).write_text("0" * 32 + "\n")
    Home(root).ensure()
    assert find_home(None, {}, tmp_path / "a").root == user_folder()


def test_trusting_a_home_gives_it_a_new_id(tmp_path: Path) -> None:
    """Whoever shipped it knows the old one; withdrawing ends it."""
    root = shipped(tmp_path / "a")
    (root / ID_FILE).write_text("0" * 32 + "\n")
    HomeRegister().adopt(root)
    assert find_home(None, {}, tmp_path / "a").root == root
    assert (root / ID_FILE).read_text() != "0" * 32 + "\n"
    assert HomeRegister().all() == [root]
    assert HomeRegister().forget(root)
    assert not HomeRegister().forget(root)
    assert find_home(None, {}, tmp_path / "a").root == user_folder()


@pytest.mark.parametrize("content", ["", "x" * 32, "0" * 31, "0" * 65])
def test_an_id_that_is_none_counts_for_nothing(tmp_path: Path, content: str) -> None:
    """Empty, torn or too long."""
    root = made(tmp_path / "a")
    (root / ID_FILE).write_text(content)
    assert not HomeRegister().knows(root)


def test_an_empty_home_puts_no_rules_out_of_force(tmp_path: Path) -> None:
    """It is taken where the home that would be used otherwise has none, and passed over where it has."""
    (tmp_path / "a" / ".selfopt").mkdir(parents=True)
    assert find_home(None, {}, tmp_path / "a").root == tmp_path / "a" / ".selfopt"
    user_folder().mkdir(parents=True, exist_ok=True)
    (user_folder() / "routing_config.json").write_text("{}")
    found = look_for_home(None, {}, tmp_path / "a")
    assert (found.home.root, found.passed_over) == (user_folder(), (tmp_path / "a" / ".selfopt",))


@pytest.mark.parametrize("name", [".gitkeep", ".keep.tmp", ".home_id.1-000000000000.tmp", ".gitignore"])
def test_a_folder_with_anything_in_it_is_not_empty(tmp_path: Path, name: str) -> None:
    """A repository can ship no empty folder, and what it ships is not taken for a home that nobody has used yet."""
    root = tmp_path / "a" / ".selfopt"
    root.mkdir(parents=True)
    (root / name).touch()
    assert find_home(None, {}, tmp_path / "a").root == user_folder()


def test_processes_that_make_a_home_at_once_agree_on_its_id(tmp_path: Path) -> None:
    """Whoever is first; no entry without a home is left."""
    root = tmp_path / "a" / ".selfopt"
    root.mkdir(parents=True)
    barrier = threading.Barrier(8)

    def one() -> None:
        barrier.wait()
        HomeRegister().add(root)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert HomeRegister().knows(root)
    assert len(list((user_folder() / "homes").iterdir())) == 1


def test_a_data_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The home is made and used; next time it has to be named."""
    own_folder.parent.mkdir()
    own_folder.write_text("a file in the folder's place")
    with caplog.at_level(logging.WARNING):
        root = made(tmp_path / "a")
    assert root.is_dir()
    assert "could not be noted as your own" in caplog.text


def test_trust_is_kept_by_the_real_place_of_a_folder(tmp_path: Path) -> None:
    """A link leads to the same entry; another folder has none; what cannot be read is named."""
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    store = TrustStore()
    store.add(tmp_path / "link", {"selfopt.toml": "0" * 64, ".env": ""}, "now")
    found = store.find(tmp_path / "a")
    assert found is not None
    assert found.folder == str(tmp_path / "a")
    assert store.find(tmp_path) is None
    assert [entry.folder for entry in store.all()] == [str(tmp_path / "a")]
    path = next((user_folder() / "trusted").iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
    for text, error in (
        ("[]", CorruptError),
        ('{"schema_version": 2}', NewerSchemaError),
        ('{"schema_version": 1}', CorruptError),
    ):
        path.write_text(text)
        with pytest.raises(error):
            store.find(tmp_path / "a")
    assert store.remove(tmp_path / "a")
    assert not store.remove(tmp_path / "a")
