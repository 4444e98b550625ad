"""Files of live requests: whatever is changed, cut, moved or added in them is found."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import AuditError
from selfopt.home import (
    GENESIS_HASH,
    SEGMENT_SCHEMA_VERSION,
    ChainedFile,
    Seal,
    chain_line,
    read_seals,
    segment_name,
    verify_segment,
    verify_segments,
)
from selfopt.home.head import Head, HeadFile

WRITER = "ab12cd34ef"


def lines_of(number: int, n: int, head: str = GENESIS_HASH, writer: str = WRITER) -> tuple[list[bytes], list[str]]:
    """The first line of a file and n records, and their hashes."""
    told = {"kind": "segment", "schema_version": SEGMENT_SCHEMA_VERSION, "writer": writer, "number": number}
    lines, heads = [], []
    for body in (told, *({"kind": "request", "id": f"req-{number}-{place}"} for place in range(n))):
        line, head = chain_line(json.dumps(body).encode(), head)
        lines.append(line)
        heads.append(head)
    return lines, heads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of one writer, of three records each."""
    head = GENESIS_HASH
    for number in (1, 2):
        lines, heads = lines_of(number, 3, head)
        (tmp_path / segment_name(WRITER, number)).write_bytes(b"".join(lines))
        head = heads[-1]
    return tmp_path


def seals_of(folder: Path, *, final: bool = True) -> list[Seal]:
    """What a trail would hold of them."""
    found = []
    for path in sorted(folder.iterdir()):
        report = verify_segment(path)
        found.append(Seal(path.name, report.n, report.head_hash, final))
    return found


def test_a_line_is_json_and_holds_its_hash(folder: Path) -> None:
    """Any tool can read it."""
    first, *rest = [json.loads(line) for line in (folder / segment_name(WRITER, 1)).read_bytes().splitlines()]
    assert (first["kind"], first["previous_hash"]) == ("segment", GENESIS_HASH)
    assert [line["previous_hash"] for line in rest] == [first["hash"], *(line["hash"] for line in rest[:-1])]


def test_what_was_written_verifies_with_and_without_seals(folder: Path) -> None:
    """Records are counted without the files' own first lines."""
    for seals, unsealed in ((seals_of(folder), 0), (seals_of(folder, final=False), 2), ([], 2)):
        report = verify_segments(folder, seals)
        assert (report.ok, report.n, report.segments, report.problems) == (True, 6, 2, ())
        assert len(report.unsealed) == unsealed


def test_no_folder_is_nothing_to_check(tmp_path: Path) -> None:
    """A home that never served."""
    report = verify_segments(tmp_path / "none", [])
    assert (report.ok, report.n, report.segments) == (True, 0, 0)


@given(data=st.data())
def test_every_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Under a seal of the end there is no byte that could be another."""
    lines, heads = lines_of(1, 3)
    whole = b"".join(lines)
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path = tmp_path_factory.mktemp("changed") / segment_name(WRITER, 1)
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    assert not verify_segments(path.parent, [Seal(path.name, 4, heads[-1], True)]).ok


@given(cut=st.integers(0, 10_000))
def test_every_cut_is_found(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """At a line's end, where the chain itself shows nothing, as well as within one."""
    lines, heads = lines_of(1, 3)
    whole = b"".join(lines)
    path = tmp_path_factory.mktemp("cut") / segment_name(WRITER, 1)
    path.write_bytes(whole[: cut % len(whole)])
    assert not verify_segments(path.parent, [Seal(path.name, 4, heads[-1], True)]).ok


def test_what_is_missing_added_or_in_another_place_is_named(folder: Path) -> None:
    """A file that is gone, one that goes on after its end, one under another's name, one of somebody else."""
    seals = seals_of(folder)
    first, second = (folder / segment_name(WRITER, number) for number in (1, 2))
    kept = {path: path.read_bytes() for path in (first, second)}

    def problems() -> str:
        report = verify_segments(folder, seals)
        assert not report.ok
        for path, content in kept.items():
            path.write_bytes(content)
        return " / ".join(report.problems)

    first.unlink()
    assert f"{first.name} is missing" in problems()
    second.unlink()
    assert f"{second.name} is missing: 4 of its lines were sealed" in problems()
    more, _ = chain_line(b'{"kind":"request"}', seals[1].head_hash)
    second.write_bytes(kept[second] + more)
    assert "goes on after its end" in problems()
    first.write_bytes(kept[second])
    assert "its previous_hash is not the hash of the line before" in problems()
    other = folder / segment_name("cccc000000", 1)
    other.write_bytes(kept[first])
    assert f"{other.name} line 1: it says that its name is {first.name}" in problems()
    (folder / "notes.jsonl").write_text("{}")
    assert "notes.jsonl is not a file of selfopt" in problems()


def test_a_rewritten_chain_is_found_by_its_seal(folder: Path) -> None:
    """Whoever rewrites a file can make new hashes, but not the trail's."""
    seals = seals_of(folder)
    lines, _ = lines_of(1, 2)
    forged, _ = chain_line(b'{"kind":"request","id":"req-forged"}', json.loads(lines[-1])["hash"])
    (folder / segment_name(WRITER, 1)).write_bytes(b"".join(lines) + forged)
    (problem, *_) = verify_segments(folder, seals).problems
    assert problem == f"{segment_name(WRITER, 1)} line 4: it is not the line that was sealed"


TORN = b'{"previous_hash":"0123'


def test_a_torn_line_counts_for_nothing_and_is_told(folder: Path) -> None:
    """It was never durable. Until it is sealed it is a problem; sealed as torn, or by an older selfopt, it is a note."""
    path = folder / segment_name(WRITER, 2)
    first, second = seals_of(folder)
    path.write_bytes(path.read_bytes() + TORN)
    report = verify_segments(folder, [])
    assert (report.ok, report.n) == (False, 6)
    assert f"{path.name} ends in an incomplete line, and its writer is gone" in report.problems[0]
    for torn_bytes in (None, len(TORN)):
        report = verify_segments(folder, [first, replace(second, torn_bytes=torn_bytes)])
        assert (report.ok, report.n, report.torn) == (True, 6, (path.name,))


def test_bytes_after_a_sealed_end_are_found(folder: Path) -> None:
    """Half a line that was not there when the file was sealed, or that is not any more."""
    path = folder / segment_name(WRITER, 2)
    first, second = seals_of(folder)
    for torn_bytes, more in ((0, TORN), (len(TORN), b""), (len(TORN), TORN[:-1])):
        kept = path.read_bytes()
        path.write_bytes(kept + more)
        report = verify_segments(folder, [first, replace(second, torn_bytes=torn_bytes)])
        assert "goes on after its end" in report.problems[0] or "bytes of an incomplete one" in report.problems[0]
        path.write_bytes(kept)


def test_an_end_that_was_sealed_is_the_end(folder: Path) -> None:
    """Lines that somebody added are not made good by a seal that came later."""
    first, second = seals_of(folder)
    path = folder / segment_name(WRITER, 2)
    more, digest = chain_line(b'{"kind":"request"}', second.head_hash)
    path.write_bytes(path.read_bytes() + more)
    report = verify_segments(folder, [first, second, replace(second, n=5, head_hash=digest)])
    assert f"{path.name} was sealed to its end at 4 lines, and again at 5" in report.problems


def test_half_a_line_of_a_file_that_is_being_written_is_no_problem(folder: Path) -> None:
    """Its writer holds the file."""
    path = folder / segment_name(WRITER, 2)
    path.write_bytes(path.read_bytes() + TORN)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert verify_segments(folder, []).ok
    assert not verify_segments(folder, []).ok


def test_the_head_of_a_writer_tells_of_lines_that_no_seal_knows(folder: Path) -> None:
    """Cut at the end of a line, removed, rewritten: found before anything is sealed."""
    path = folder / segment_name(WRITER, 2)
    last = verify_segment(path)
    head = HeadFile(folder / f"{WRITER}.head")
    head.create(Head(last.n, path.stat().st_size, last.head_hash, announced=True, number=2))
    kept = path.read_bytes()
    assert verify_segments(folder, []).ok
    path.write_bytes(b"".join(kept.splitlines(keepends=True)[:-1]))
    assert "was cut: 4 of its lines were sealed, but only 3 are left" in verify_segments(folder, []).problems[0]
    path.unlink()
    assert f"{path.name} is missing" in verify_segments(folder, []).problems[0]
    path.write_bytes(kept)
    assert verify_segments(folder, []).ok
    head.path.write_bytes(b"{}" * 512)
    assert "is damaged" in verify_segments(folder, []).problems[0]


def test_a_head_that_was_removed_is_missed(tmp_path: Path) -> None:
    """The file's first line tells of it."""
    told = {"kind": "segment", "schema_version": SEGMENT_SCHEMA_VERSION, "writer": WRITER, "number": 1, "head_kept": True}
    line, digest = chain_line(json.dumps(told, separators=(",", ":")).encode(), GENESIS_HASH)
    path = tmp_path / segment_name(WRITER, 1)
    path.write_bytes(line)
    assert f"{WRITER}.head, is missing" in verify_segments(tmp_path, []).problems[0]
    assert verify_segments(tmp_path, [Seal(path.name, 1, digest, True, 0)]).ok


def test_a_newer_schema_is_refused_by_its_version(tmp_path: Path) -> None:
    """And no record of it is counted."""
    told = {"kind": "segment", "schema_version": SEGMENT_SCHEMA_VERSION + 1, "writer": WRITER, "number": 1}
    line, _ = chain_line(json.dumps(told).encode(), GENESIS_HASH)
    (tmp_path / segment_name(WRITER, 1)).write_bytes(line)
    (problem,) = verify_segments(tmp_path, []).problems
    assert f"schema version {SEGMENT_SCHEMA_VERSION + 1}" in problem


def test_a_line_without_end_is_not_read_whole(tmp_path: Path) -> None:
    """At most a megabyte of it."""
    (tmp_path / segment_name(WRITER, 1)).write_bytes(b"x" * 3_000_000)
    assert "longer than 1000000 bytes" in verify_segments(tmp_path, []).problems[0]


def test_a_link_in_the_folder_is_not_followed(folder: Path) -> None:
    """Nor is a pipe waited for."""
    (folder / segment_name(WRITER, 3)).symlink_to(folder / segment_name(WRITER, 1))
    with pytest.raises(AuditError, match="could not read"):
        verify_segments(folder, [])


def test_seals_go_through_the_trail_unchanged(tmp_path: Path, folder: Path) -> None:
    """In the order in which they were written, whatever else stands in it."""
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = seals_of(folder)
    trail.append("refused", reason='"event":"requests_sealed"')
    for seal in seals:
        trail.append_all([seal.event("rotation")])
    assert read_seals(trail) == seals
    assert trail.verify().ok
