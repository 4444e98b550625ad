"""Replacing a file whole and reading versioned JSON."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import CorruptError, NewerSchemaError, StoreError
from selfopt.home import InputFileError, atomic_write_text, escape_control, read_input, read_json_file


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    """New text, mode 0600, no temporary left, lone surrogates replaced."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    atomic_write_text(path, "new é\ud800")
    assert path.read_text("utf-8") == "new é?"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whichever step fails: the old text stays, no temporary is left, the message names the file."""
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(StoreError, match=r"file: No space left on device; free some space"):
            atomic_write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    """Writing to a symbolic link changes the link's name, not what it points to."""
    target = tmp_path / "target"
    target.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(target)
    atomic_write_text(link, "new")
    assert target.read_text() == "mine"
    assert not link.is_symlink()


def test_what_stands_there_is_kept_when_it_may_not_be_replaced(tmp_path: Path) -> None:
    """A file and a dangling link both stand in the way; nothing of the attempt is left."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            atomic_write_text(tmp_path / name, "new", replace=False)
    assert (tmp_path / "file").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    atomic_write_text(tmp_path / "fresh", "new", replace=False)
    assert (tmp_path / "fresh").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["file", "fresh", "link"]


def test_a_linked_folder_does_not_lead_outside(tmp_path: Path) -> None:
    """With `within`, a parent that links out of the home is refused; a home that is itself a link is fine."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (home / "versions").symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        atomic_write_text(home / "versions" / "1.json", "x", within=home)
    assert os.listdir(outside) == []
    alias = tmp_path / "alias"
    alias.symlink_to(home)
    atomic_write_text(alias / "file", "x", within=alias)
    assert (home / "file").read_text() == "x"


def test_a_good_file_is_read(tmp_path: Path) -> None:
    """The whole object comes back; older schemas are read too."""
    path = tmp_path / "file"
    path.write_text('{"schema_version": 1, "a": [1]}')
    assert read_json_file(path, what="the file", schema_version=2) == {"schema_version": 1, "a": [1]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"schema_version": 1', "not valid JSON"),
        (b"[1]", "not an object"),
        (b"{}", "schema_version"),
        (b'{"schema_version": true}', "schema_version"),
        (b'{"schema_version": "1"}', "schema_version"),
        (b'{"schema_version": 0}', "schema_version"),
        (b'{"schema_version": 1, "a": NaN}', "NaN"),
        (b'{"schema_version": 1, "schema_version": 1}', "twice"),
        (b'{"schema_version": 1, "a": "\xff"}', "UTF-8"),
        (b"[" * 100_000, "not valid JSON|too deeply"),
        (b'{"\x1b[2J', "not valid JSON"),
    ],
)
def test_a_damaged_file_is_named_and_left(tmp_path: Path, data: bytes, said: str) -> None:
    """CorruptError with path and reason on one line without control characters; the bytes stay."""
    path = tmp_path / "file.json"
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=said) as caught:
        read_json_file(path, what="the file", schema_version=1)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert path.read_bytes() == data


def test_a_newer_file_is_refused_by_both_versions(tmp_path: Path) -> None:
    """The message has the file's version and the newest that is read."""
    path = tmp_path / "file.json"
    path.write_text('{"schema_version": 9}')
    with pytest.raises(NewerSchemaError, match=r"version 9.*up to 2"):
        read_json_file(path, what="the file", schema_version=2)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """Missing: FileNotFoundError. A folder and a pipe without writer: CorruptError, at once."""
    with pytest.raises(FileNotFoundError):
        read_json_file(tmp_path / "none", what="it", schema_version=1)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CorruptError):
            read_json_file(path, what="it", schema_version=1)


@settings(deadline=None)
@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    """No control, format or separator character survives; printable ASCII is untouched."""
    shown = escape_control(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u200b\u2028" for c in shown)
    if text.isascii() and text.isprintable():
        assert shown == text


def test_long_text_is_cut() -> None:
    """At most `limit` characters, then dots."""
    assert escape_control("abcdef", 3) == "abc ..."
    assert escape_control("a\x1b\u202e\U000e0001") == "a\\x1b\\u202e\\U000e0001"


def test_a_file_that_the_user_names_is_text_or_says_what_it_is(tmp_path: Path) -> None:
    """A pipe is not waited for, a device not read; a byte order mark is no harm."""
    (tmp_path / "good").write_bytes(b"\xef\xbb\xbfa\xc3\xa9")
    assert read_input(tmp_path / "good", 100) == "a\xe9"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"a\xe9")
    for path, words in (
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "a folder"),
        (tmp_path / "none", "no such file"),
        (tmp_path / "good" / "below", "cannot be read"),
        (tmp_path / "latin", "byte 1 is not UTF-8"),
        (tmp_path / "good", "larger than 3 bytes"),
    ):
        with pytest.raises(InputFileError, match=words):
            read_input(path, 3)
