"""Which home folder, and what is in it."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from selfopt.errors import StoreError, UsageError
from selfopt.home import Home, find_home


def test_the_flag_wins_over_the_variable_over_the_folder(tmp_path: Path) -> None:
    """--home, else SELFOPT_HOME, else the nearest .selfopt upwards."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".selfopt").mkdir()
    environ = {"SELFOPT_HOME": str(tmp_path / "env")}
    assert find_home(Path("rel"), environ, inner).root == inner / "rel"
    assert find_home(None, environ, inner).root == tmp_path / "env"
    assert find_home(None, {"SELFOPT_HOME": ""}, inner).root == tmp_path / ".selfopt"
    (inner / ".selfopt").mkdir()
    assert find_home(None, {}, inner).root == inner / ".selfopt"


def test_without_any_it_is_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .selfopt upwards (a file of that name does not count): platformdirs; nothing is created."""
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    (tmp_path / ".selfopt").write_text("")
    assert find_home(None, {}, tmp_path).root == tmp_path / "data"
    assert not (tmp_path / "data").exists()


def test_a_foreign_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .selfopt of another user upwards (as in /tmp) is not used, except by root."""
    (tmp_path / ".selfopt").mkdir()
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    owner = (tmp_path / ".selfopt").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 4321)
    assert find_home(None, {}, tmp_path).root == tmp_path / "data"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_home(None, {}, tmp_path).root == tmp_path / ".selfopt"


def test_a_file_is_no_home(tmp_path: Path) -> None:
    """A named home that is a file is a usage error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        find_home(tmp_path / "file", {}, tmp_path)


def test_ensure_makes_private_folders_once(tmp_path: Path) -> None:
    """0700 folders and a .gitignore that ignores all; a second call keeps what the user changed."""
    home = Home(tmp_path / "deep" / "home").ensure()
    for folder in (home.root, home.routing_versions, home.reports, home.requests):
        assert folder.stat().st_mode & 0o777 == 0o700
    ignore = home.root / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.write_text("mine\n")
    assert home.ensure() is home
    assert ignore.read_text() == "mine\n"


def test_ensure_does_not_follow_links_or_files(tmp_path: Path) -> None:
    """A linked subfolder, or a file in the home's place, is a StoreError."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.reports.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="symbolic link"):
        home.ensure()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not create"):
        Home(tmp_path / "file").ensure()


def test_every_path_is_inside(tmp_path: Path) -> None:
    """The names that the architecture gives, all under the root."""
    home = Home(tmp_path)
    names = {
        p.name
        for p in (home.ledger, home.routing_config, home.routing_versions, home.audit_trail, home.audit_log, home.feedback,
                  home.loop_history, home.reports, home.requests, home.lock, home.routing_lock)
        if p.parent == tmp_path
    }  # fmt: skip
    assert names == {
        "ledger.sqlite3", "routing_config.json", "routing_versions", "routing_decisions.jsonl", "routing_decisions.log",
        "harness_feedback.json", "meta_loop_history.json", "reports", "requests", "lock", "routing.lock",
    }  # fmt: skip
