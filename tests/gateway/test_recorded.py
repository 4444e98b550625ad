"""What gateways recorded is read back while they write, whatever the end of a file looks like."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway import recorded
from selfopt.gateway.journal import encode_record
from selfopt.gateway.recorded import RecordedRequests
from selfopt.gateway.ticket import FeedbackRecord, JournalRecord, RequestRecord, Ticket
from selfopt.home import chain_line, segment_name

WRITERS = ("0123456789", "abcdef0123")


def request(name: str, **fields: object) -> RequestRecord:
    """Return a record."""
    made = Ticket(0.0).record("2026-01-02T03:04:05.678Z", 0.01, 200)
    return msgspec.structs.replace(made, id=name, **fields)


def first_line(writer: str = WRITERS[0], number: int = 1) -> bytes:
    """Return the line that says which file it begins."""
    told = {"kind": "segment", "schema_version": 1, "writer": writer, "number": number, "at": "2026-01-02T03:04:05.678Z"}
    return chain_line(json.dumps(told, separators=(",", ":")).encode(), "0" * 64)[0]


def line_of(record: JournalRecord) -> bytes:
    """Return a record's line."""
    return chain_line(encode_record(record), "0" * 64)[0]


def put(folder: Path, data: bytes, writer: str = WRITERS[0], number: int = 1) -> Path:
    """Append bytes to a file."""
    path = folder / segment_name(writer, number)
    with path.open("ab") as file:
        file.write(data)
    return path


def ids(found: object) -> list[str]:
    """The ids of requests and of feedback."""
    return [record.id for _, record in found]  # type: ignore[attr-defined]


def test_each_record_is_read_once_while_several_write(tmp_path: Path) -> None:
    """Of all files, also of those that begin later; feedback as well; and a place leads back to its record."""
    reader = RecordedRequests(tmp_path)
    assert ids(reader.first(100)) == []
    put(tmp_path, first_line() + line_of(request("a")))
    put(tmp_path, line_of(request("b")), WRITERS[1])
    found = list(reader.more())
    assert sorted(record.id for _, record in found) == ["a", "b"]
    assert ids(reader.more()) == []
    put(tmp_path, line_of(FeedbackRecord("2026-01-02T03:04:05Z", "a", True, None, "", None)) + line_of(request("c")))
    put(tmp_path, line_of(request("d")), number=2)
    assert sorted(ids(reader.more())) == ["a", "c", "d"]
    assert {record.id for place, _ in found if (record := reader.record(place)) is not None} == {"a", "b"}
    assert reader.faults == 0


@given(cut=st.integers(0, 2000), piece=st.integers(1, 400))
def test_a_torn_end_waits_for_its_newline(tmp_path_factory: pytest.TempPathFactory, cut: int, piece: int) -> None:
    """However the bytes of lines come, each record is read once, and none in half."""
    folder = tmp_path_factory.mktemp("requests")
    whole = first_line() + b"".join(line_of(request(name)) for name in "abc")
    reader, found = RecordedRequests(folder), list[str]()
    put(folder, whole[:cut])
    found += ids(reader.first(100))
    for at in range(cut, len(whole), piece):
        put(folder, whole[at : min(at + piece, len(whole))])
        found += ids(reader.more())
    assert found == ["a", "b", "c"]
    assert reader.faults == 0


def test_a_write_that_failed_and_was_repeated_is_read_once(tmp_path: Path) -> None:
    """The gateway cuts the file, and writes the same bytes again."""
    reader = RecordedRequests(tmp_path)
    kept = first_line() + line_of(request("a"))
    path = put(tmp_path, kept + line_of(request("b")))
    assert ids(reader.first(10)) == ["a", "b"]
    os.truncate(path, len(kept))
    assert ids(reader.more()) == []
    put(tmp_path, line_of(request("b")) + line_of(request("c")))
    assert ids(reader.more()) == ["c"]


def test_a_file_in_the_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As after a home was restored."""
    reader = RecordedRequests(tmp_path)
    path = put(tmp_path, line_of(request("a")))
    assert ids(reader.first(10)) == ["a"]
    kept = path.with_suffix(".kept")  # so that its number is not given to the next file
    path.rename(kept)
    put(tmp_path, line_of(request("x")) + line_of(request("y")))
    assert ids(reader.more()) == ["x", "y"]


def test_what_is_no_record_is_counted_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, other JSON, bytes that are no text, and lines without an end."""
    monkeypatch.setattr(recorded, "LONGEST_LINE", 2000)
    monkeypatch.setattr(recorded, "CHUNK", 3000)
    reader = RecordedRequests(tmp_path)
    bad = [b"garbage\n", b"{}\n", b"\n", b"\xff\xfe\n", b'{"previous_hash":"","kind":"request","id":1}\n', b"x" * 9000 + b"\n"]
    put(tmp_path, b"".join([line_of(request("a")), *bad, line_of(request("b"))]))
    assert ids(reader.first(10)) == ["a", "b"]
    assert reader.faults == len(bad)
    put(tmp_path, b"y" * 5000)
    assert ids(reader.more()) == []
    put(tmp_path, b"y" * 5000 + b"\n" + line_of(request("c")))
    assert ids(reader.more()) == ["c"]


@pytest.mark.parametrize("odd", ["\ud800", "é\u202e", "\x00", "\u2028", '"\\'])
def test_odd_characters_come_back_as_they_were(tmp_path: Path, odd: str) -> None:
    """Also half a surrogate pair, for which the gateway writes another form of JSON."""
    put(tmp_path, line_of(request("a", model=odd)) + line_of(FeedbackRecord("2026-01-02T03:04:05Z", "a", None, None, odd, None)))
    reader = RecordedRequests(tmp_path)
    (_, one), (_, other) = reader.first(10)
    assert isinstance(one, RequestRecord)
    assert isinstance(other, FeedbackRecord)
    assert (one.model, other.comment, reader.faults) == (odd, odd, 0)


def test_a_glimpse_shows_the_newest_and_reads_nothing(tmp_path: Path) -> None:
    """What is older than something that was left out is left out as well; all of it is read afterwards."""
    for place in range(20):
        put(tmp_path, line_of(request(f"a{place}", at=f"2026-01-02T03:04:{place:02d}.000Z")))
        put(tmp_path, line_of(request(f"b{place}", at=f"2026-01-02T03:04:{place:02d}.500Z", reason="x" * 2000)), WRITERS[1])
    reader = RecordedRequests(tmp_path)
    found = ids(reader.glimpse(size_bytes=8000))
    assert "b19" in found
    times = {record.id: record.at for _, record in reader.first(100)}
    assert min(times[name] for name in found) > max(at for name, at in times.items() if name not in found)
    assert len(times) == 40
    assert reader.faults == 0


def test_only_files_of_requests_are_read(tmp_path: Path) -> None:
    """No link, no folder, no other name; and a folder that is not there holds nothing."""
    (tmp_path / "secret").write_bytes(line_of(request("a")))
    (tmp_path / segment_name(WRITERS[0], 1)).symlink_to(tmp_path / "secret")
    (tmp_path / segment_name(WRITERS[0], 2)).mkdir()
    (tmp_path / "other.jsonl").write_bytes(line_of(request("b")))
    assert ids(RecordedRequests(tmp_path).first(10)) == []
    assert ids(RecordedRequests(tmp_path / "nowhere").first(10)) == []


def test_enough_of_the_newest_files_are_read(tmp_path: Path) -> None:
    """Older ones are left out, and not read later either."""
    for number, name in enumerate("abc", 1):
        path = put(tmp_path, line_of(request(name)), number=number)
        os.utime(path, (number, number))
    reader = RecordedRequests(tmp_path)
    assert ids(reader.first(2)) == ["c", "b"]
    assert reader.left_out == 1
    assert ids(reader.more()) == []
