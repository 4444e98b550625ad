"""How far a chained file has come: what its head shows, and what it survives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from selfopt.errors import AuditError
from selfopt.home import GENESIS_HASH, AuditEvent, ChainedFile
from selfopt.home.head import SLOT_BYTES, Head, HeadFile

from .killing import killed
from .old import without_head


@pytest.fixture
def chain(tmp_path: Path) -> ChainedFile:
    """Three records."""
    chain = ChainedFile(tmp_path / "trail.jsonl")
    for i in range(3):
        chain.append("diverted", reason=f"r{i}")
    return chain


def again(chain: ChainedFile) -> ChainedFile:
    """The same file as another process sees it."""
    return ChainedFile(chain.path)


def test_the_head_is_the_last_record(chain: ChainedFile) -> None:
    """Count, size, hash; its file is private."""
    found = chain.head.read()
    assert found is not None
    (head, fault), last = found, next(chain.newest_first())
    assert fault == ""
    assert (head.n, head.size, head.hash, head.announced) == (3, chain.path.stat().st_size, last.hash, True)
    assert chain.head.path.stat().st_mode & 0o777 == 0o600


def test_the_first_record_says_that_there_is_a_head(chain: ChainedFile) -> None:
    """Once: a head that is removed is then missed, by verify and by the next append."""
    assert ["head_kept" in r.details for r in chain.records()] == [True, False, False]
    chain.head.path.unlink()
    assert chain.verify().reason == "its head is missing: records may have been cut off at its end"
    for act in (lambda: again(chain).append("x"), lambda: chain.append("x"), again(chain).noted, again(chain).check):
        with pytest.raises(AuditError, match="head"):
            act()
    assert chain.verify().n == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "rewritten", "older copy"])
def test_a_trail_that_lost_records_is_named_and_not_appended_to(chain: ChainedFile, tmp_path: Path, damage: str) -> None:
    """Whole lines are missing, or are others with right hashes: nothing is written, and a look at the end alone shows it."""
    lines = chain.path.read_bytes().splitlines(keepends=True)
    if damage == "rewritten":
        other = ChainedFile(tmp_path / "other.jsonl")
        for i in range(3):
            other.append("diverted", reason=f"x{i}")
        shutil.copy(other.path, chain.path)
    elif damage == "gone":
        chain.path.unlink()
    else:
        chain.path.write_bytes({"cut": lines[0] + lines[1], "empty": b"", "older copy": lines[0]}[damage])
    before = chain.path.read_bytes() if damage != "gone" else None
    assert not chain.verify().ok
    assert again(chain).fault()
    with pytest.raises(AuditError, match="audit verify"):
        again(chain).append("after")
    assert (chain.path.read_bytes() if chain.path.exists() else None) == before


def test_an_older_trail_with_its_own_head_is_noticed_by_who_wrote_the_newer(chain: ChainedFile, tmp_path: Path) -> None:
    """A running gateway knows how far it came, whatever is put in place of both files."""
    other = ChainedFile(tmp_path / "other.jsonl")
    other.append("diverted")
    shutil.copy(other.path, chain.path)
    shutil.copy(other.head.path, chain.head.path)
    assert again(chain).verify().ok
    with pytest.raises(AuditError, match="cut"):
        chain.append("after")


def test_a_trail_of_an_older_selfopt_gets_a_head_with_the_next_record(chain: ChainedFile) -> None:
    """It verifies with a word before, is checked whole then, and is not cut unnoticed afterwards."""
    without_head(chain)
    report = chain.verify()
    assert (report.ok, report.n, report.notes) == (True, 3, ("it has no head yet: the next record adds one",))
    assert again(chain).fault() == ""
    again(chain).append("new")
    report = chain.verify()
    assert (report.ok, report.n, report.notes) == (True, 4, ())
    lines = chain.path.read_bytes().splitlines(keepends=True)
    chain.path.write_bytes(b"".join(lines[:3]))
    assert not chain.verify().ok


def test_a_damaged_trail_of_an_older_selfopt_gets_no_head(chain: ChainedFile) -> None:
    """What is not sound is not vouched for."""
    without_head(chain)
    chain.path.write_bytes(chain.path.read_bytes().replace(b'"r0"', b'"x0"'))
    with pytest.raises(AuditError, match="does not verify"):
        again(chain).append("new")
    assert not chain.head.path.exists()


def test_one_damaged_entry_is_named_and_the_other_tells(chain: ChainedFile) -> None:
    """The next record writes over it."""
    good = chain.head.path.read_bytes()
    for slot in (0, 1):
        data = bytearray(good)
        data[slot * SLOT_BYTES + 20] ^= 1
        chain.head.path.write_bytes(data)
        assert "one of the two entries" in chain.verify().reason
        again(chain).append("after")
        assert chain.verify().ok
        good = chain.head.path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"x" * 1024, b"x" * 5000, b"{}\n" * 341 + b"{", b'{"count":1}'.ljust(511) + b"\n"])
def test_a_head_that_is_none_is_named(chain: ChainedFile, content: bytes) -> None:
    """By verify; nothing is appended."""
    chain.head.path.write_bytes(content)
    assert "is damaged" in chain.verify().reason
    with pytest.raises(AuditError, match="is damaged"):
        again(chain).append("after")


def test_what_is_no_file_in_its_place_is_named(chain: ChainedFile, tmp_path: Path) -> None:
    """A pipe is not waited for, a link not followed."""
    chain.head.path.unlink()
    os.mkfifo(chain.head.path)
    assert "not a regular file" in chain.verify().reason
    chain.head.path.unlink()
    chain.head.path.symlink_to(tmp_path / "elsewhere")
    assert not chain.verify().ok


def test_values_of_another_kind_are_no_head(tmp_path: Path) -> None:
    """Whoever writes a right checksum over a text where a number belongs."""
    head = HeadFile(tmp_path / "x.head")
    head.create(Head("3", 0, GENESIS_HASH))  # type: ignore[arg-type]
    with pytest.raises(AuditError, match="damaged"):
        head.read()


def test_the_noted_version_only_grows(chain: ChainedFile) -> None:
    """And is kept over appends."""
    assert chain.noted() == 0
    chain.note(4)
    chain.note(2)
    chain.append("x")
    assert again(chain).noted() == 4


GROUP = [AuditEvent("diverted", {"reason": "x"}), AuditEvent("diverted", {"reason": "y"})]


@pytest.mark.parametrize("begun", ["fresh", "begun", "of an older selfopt", "torn"])
def test_killed_between_any_two_steps_of_an_append(tmp_path: Path, begun: str) -> None:
    """The chain verifies, or its torn end is named and the next append repairs it; what was acknowledged before is there."""
    step, done = 0, False
    while not done:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        chain = ChainedFile(folder / "t.jsonl")
        n = 0 if begun == "fresh" else 2
        for i in range(n):
            chain.append("diverted", reason=f"r{i}")
        if begun == "of an older selfopt":
            without_head(chain)
        if begun == "torn":
            with chain.path.open("ab") as file:
                file.write(b'{"half')
        done = not killed(lambda chain=chain: again(chain).append_all(GROUP), step)  # type: ignore[misc]
        report = again(chain).verify()
        assert report.ok or report.problems == (
            "its last line is incomplete: it was never acknowledged, and the next record sets it aside",
        ), (step, report)
        assert report.n >= n
        again(chain).append("after")
        report = again(chain).verify()
        assert report.ok, (step, report)
        assert [r.event for r in chain.records()][-1] == "after"
    assert step > 4
