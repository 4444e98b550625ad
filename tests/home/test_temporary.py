"""Files that killed writers left half-written: cleared by one rule, and only when their writer is gone."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from selfopt.errors import StoreError
from selfopt.home import Home, atomic_write_text, clear_temporaries
from selfopt.home import files as files_module
from selfopt.home.temporary import is_temporary, temporary_name

NO_PROCESS = 4_194_304 + 7  # above the largest id that Linux gives


def left(folder: Path, name: str = "x.json", pid: int = NO_PROCESS) -> Path:
    """A half-written file of this process id."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{name}.{pid}-0123456789ab.tmp"
    path.write_text("half")
    return path


def test_those_of_killed_writers_are_cleared_in_every_folder(tmp_path: Path) -> None:
    """At the start of whatever writes into the home; nothing else is touched."""
    home = Home(tmp_path / "home").ensure()
    folders = (home.root, home.routing_versions, home.reports, home.requests, home.suites, home.suites / "mine")
    paths = [left(folder, f"{n}.json") for n, folder in enumerate(folders)]
    others = [home.root / name for name in ("notes.tmp", ".hidden.tmp", "x.1-0123456789ab.tmp", f".x.{NO_PROCESS}-xyz.tmp")]
    for path in others:
        path.write_text("mine")
    home.ensure()
    assert not any(path.exists() for path in paths)
    assert all(path.exists() for path in others)


def test_those_of_live_writers_stay(tmp_path: Path) -> None:
    """By their process, or by their lock where the process id means nothing (another container)."""
    mine, locked = left(tmp_path, "a", os.getpid()), left(tmp_path, "b")
    with locked.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert clear_temporaries(tmp_path) == 0
    assert clear_temporaries(tmp_path) == 1
    assert mine.exists()


def test_a_process_id_that_was_used_again_keeps_nothing(tmp_path: Path) -> None:
    """A process that began after the file was written did not write it."""
    path = left(tmp_path, "a", os.getpid())
    os.utime(path, (1, 1))
    assert clear_temporaries(tmp_path) == 1


def test_a_link_in_place_of_one_is_left_alone(tmp_path: Path) -> None:
    """Nothing is removed through it, and it is none of ours."""
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / f".x.{NO_PROCESS}-0123456789ab.tmp").symlink_to(target)
    clear_temporaries(tmp_path)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("point", ["write_all", "replace"])
def test_what_a_killed_writer_left_is_cleared(tmp_path: Path, point: str) -> None:
    """SIGKILL in the middle of writing and before the rename: one file is left, and is cleared."""
    pid = os.fork()
    if pid == 0:
        owner = files_module if point == "write_all" else os
        setattr(owner, point, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        atomic_write_text(tmp_path / "x.json", "whole")
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    (name,) = os.listdir(tmp_path)
    assert is_temporary(name)
    assert clear_temporaries(tmp_path) == 1
    assert os.listdir(tmp_path) == []


def test_a_live_writer_is_not_robbed_between_its_write_and_its_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where its process id would not protect it."""
    monkeypatch.setattr("selfopt.home.files.temporary_name", lambda path: path.with_name(f".x.{NO_PROCESS}-0123456789ab.tmp"))
    real, cleared = os.replace, []

    def looked(source: Path, target: Path) -> None:
        cleared.append(clear_temporaries(tmp_path))
        real(source, target)

    monkeypatch.setattr(os, "replace", looked)
    atomic_write_text(tmp_path / "x.json", "whole")
    assert cleared == [0]
    assert (tmp_path / "x.json").read_text() == "whole"


def test_every_file_that_is_written_whole_goes_by_this_rule(tmp_path: Path) -> None:
    """The names that the rule makes are the names that it clears, whatever the file is called."""
    for name in ("x.json", ".hidden", "a b", "x\ny", "ü"):
        assert is_temporary(temporary_name(tmp_path / name).name)


def test_a_folder_without_room_is_an_error(tmp_path: Path) -> None:
    """Really written, so that root and a full disk are told as well; nothing is left."""
    home = Home(tmp_path / "home").ensure()
    before = sorted(os.listdir(home.root))
    home.check_room()
    assert sorted(os.listdir(home.root)) == before
    home.requests.rmdir()
    with pytest.raises(StoreError, match="requests"):
        home.check_room()
