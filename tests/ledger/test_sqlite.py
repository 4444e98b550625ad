"""The ledger file when things go wrong: other files, newer and older ones, damage, a full disk, a read-only one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import CorruptError, NewerSchemaError, ReadOnlyError, StoreError
from selfopt.ledger import SqliteLedger, open_ledger
from selfopt.ledger.codec import decode, record_types
from selfopt.ledger.schema import VERSION_WITH_OBJECTS, needs_migration
from selfopt.records import Blob, Trial, TrialStart, Verdict
from tests.golden.forms import as_0_1
from tests.ledger import samples

GOLDEN = Path(__file__).parent / "golden"


def _batch(n: int) -> list[Trial | TrialStart | Verdict | Blob]:
    """An append as the runner makes it."""
    return [Blob.of(f"reply {n} " * 60), samples.start(f"t-{n}"), samples.trial(f"t-{n}"), samples.verdict(f"t-{n}")]


def _filled(path: Path, count: int = 30) -> None:
    ledger = open_ledger(path)
    for n in range(count):
        samples.put(ledger, _batch(n))
    ledger.close()


def _trials(path: Path) -> list[str]:
    """The committed trials; fails when one of them is not whole."""
    ledger = open_ledger(path)
    trials = [t.trial_id for t in ledger.read(Trial)]
    assert [s.trial_id for s in ledger.read(TrialStart)] == trials
    assert [v.trial_id for v in ledger.read(Verdict)] == trials
    assert ledger.check() == []
    ledger.close()
    return trials


def test_a_new_file_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    """Replies can be confidential."""
    path = tmp_path / "deep" / "home" / "ledger.sqlite3"
    open_ledger(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


def test_every_append_is_synced(tmp_path: Path) -> None:
    """WAL with synchronous = FULL, on a new file and when it is opened again."""
    for _ in range(2):
        ledger = open_ledger(tmp_path / "ledger.sqlite3")
        assert ledger._fetch("PRAGMA journal_mode", ()) == [("wal",)]
        assert ledger._fetch("PRAGMA synchronous", ()) == [(2,)]
        ledger.close()


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    """All kinds, after closing."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    samples.put(ledger, samples.every_kind())
    ledger.close()
    again = open_ledger(path)
    assert all(list(again.read(type(r), {"id": r.record_id})) == [r] for r in samples.every_kind())
    samples.put(again, samples.every_kind())
    assert all(sum(1 for _ in again.read(type(r))) == 1 for r in samples.every_kind())
    again.close()


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """As left by a process that died before its first write."""
    path = tmp_path / "ledger.sqlite3"
    path.touch()
    _filled(path, 2)
    assert _trials(path) == ["t-0", "t-1"]


@pytest.mark.parametrize("content", [b"not a database", b"{}", b"SQLite format 3\0" + b"\xff" * 4096, b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_named_and_left(tmp_path: Path, content: bytes) -> None:
    """CorruptError with the path; not a byte is changed."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=str(path)):
        open_ledger(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_named_and_left(tmp_path: Path) -> None:
    """A database that is not a ledger gets no tables."""
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CorruptError, match="not a ledger of selfopt"):
        open_ledger(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_ledger_that_is_made_while_another_process_looks_is_a_ledger(tmp_path: Path, moment: int) -> None:
    """Whenever the other commits: nobody takes the new file for the database of another program."""
    path = tmp_path / "ledger.sqlite3"
    seen = 0

    def another(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            with suppress(StoreError):  # the file is locked: then it is made later
                open_ledger(path, busy_timeout_s=0).close()

    with closing(sqlite3.connect(path)) as connection:
        connection.set_trace_callback(another)
        needs_migration(connection, path)
        assert seen
    with closing(open_ledger(path)) as ledger:
        samples.put(ledger, _batch(1))


def test_a_newer_file_is_named_and_left(tmp_path: Path) -> None:
    """NewerSchemaError with both versions; not a byte is changed."""
    path = tmp_path / "ledger.sqlite3"
    _filled(path, 1)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION_WITH_OBJECTS + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        NewerSchemaError, match=f"version {VERSION_WITH_OBJECTS + 1}, this selfopt reads up to {VERSION_WITH_OBJECTS}"
    ):
        open_ledger(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_a_store_error(tmp_path: Path) -> None:
    """Named, in one line."""
    with pytest.raises(StoreError, match="cannot be opened: Is a directory") as caught:
        open_ledger(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_as_parent_is_a_store_error(tmp_path: Path) -> None:
    """The home's path goes through a file."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        open_ledger(tmp_path / "file" / "ledger.sqlite3")


def _read_damaged(path: Path) -> str:
    """What is told of the damage: by a CorruptError on the way, else by the check."""
    try:
        ledger = open_ledger(path)
    except CorruptError as error:
        return str(error)
    try:
        for record_type in (Trial, TrialStart, Verdict, Blob):
            list(ledger.read(record_type))
        return "\n".join(ledger.check())
    except CorruptError as error:
        return str(error)
    finally:
        ledger.close()


def test_damaged_pages_are_reported_and_left(tmp_path: Path) -> None:
    """Reading a file with overwritten pages raises CorruptError naming it, or gives records that are right."""
    path = tmp_path / "ledger.sqlite3"
    _filled(path, 60)
    whole = path.read_bytes()
    seen = 0
    for page in range(1, len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        told = _read_damaged(path)
        assert told
        seen += str(path) in told
        for side in ("-wal", "-shm"):
            Path(f"{path}{side}").unlink(missing_ok=True)
    assert seen > 3


@pytest.mark.parametrize("body", ["{", '{"trial_id": 1}', "[]", "null", '{"trial_id": "t-0", "surplus": 1}'])
def test_a_damaged_record_is_named(tmp_path: Path, body: str) -> None:
    """CorruptError with file and record."""
    path = tmp_path / "ledger.sqlite3"
    _filled(path, 1)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE records SET body = ? WHERE kind = 'trial'", (body,))
    connection.commit()
    connection.close()
    ledger = open_ledger(path)
    with pytest.raises(CorruptError, match=r"ledger\.sqlite3 \(trial t-0\) is damaged"):
        list(ledger.read(Trial))
    ledger.close()


@pytest.mark.parametrize(
    ("codec", "data"), [(1, b"junk"), (0, b"\xff\xfe"), (0, b"another text"), (1, zlib.compress(b"another"))]
)
def test_a_damaged_blob_is_named(tmp_path: Path, codec: int, data: bytes) -> None:
    """Not unpackable, not UTF-8, or not what its hash says."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    samples.put(ledger, [samples.BLOB])
    ledger._fetch("UPDATE blobs SET codec = ?, data = ?", (codec, data))
    with pytest.raises(CorruptError, match=f"damaged: blob {samples.BLOB.blob_hash}"):
        list(ledger.read(Blob))
    ledger.close()


# Old files


def holds(whole: Any, part: Any) -> bool:
    """Whether every value of the part is in the whole; fields that came later may be there too."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def test_a_file_of_the_first_version_is_read_whole(tmp_path: Path) -> None:
    """The golden file holds one record of every kind of its day; each is read with every value it was written with."""
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(GOLDEN / "ledger-v1.sqlite3", path)
    expected = json.loads((GOLDEN / "ledger-v1.json").read_text())
    ledger = open_ledger(path)
    assert len(expected) >= 17
    for kind, (record_id, body) in expected.items():
        [record] = ledger.read(record_types()[kind], {"id": record_id})
        assert record == decode(type(record), json.dumps(body), where="golden")
        assert holds(as_0_1(record.model_dump(mode="json")), body)
        samples.put(ledger, [record])
        for field in record.index_fields:
            if (value := getattr(record, field)) is not None:
                assert list(ledger.read(type(record), {field: value})) == [record]
    ledger.close()


def test_a_field_that_is_no_index_any_more_is_forgotten(tmp_path: Path) -> None:
    """So that a later selfopt that wants it again indexes the records that were appended in between."""
    path = tmp_path / "ledger.sqlite3"
    _filled(path, 5)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO indexed_fields VALUES ('trial', 'prompt_id'), ('of the future', 'x')")
    connection.execute("INSERT INTO record_index SELECT 'P1', kind, 'prompt_id', seq FROM records WHERE kind = 'trial'")
    connection.commit()
    open_ledger(path).close()
    fields = set(connection.execute("SELECT kind, field FROM indexed_fields"))
    assert ("trial", "prompt_id") not in fields
    assert {("trial", "run_id"), ("of the future", "x")} <= fields
    assert connection.execute("SELECT count(*) FROM record_index WHERE field = 'prompt_id'").fetchone() == (0,)
    connection.close()


def test_a_field_that_becomes_an_index_later_finds_old_records(tmp_path: Path) -> None:
    """What an older selfopt did not index is indexed when the file is opened."""
    path = tmp_path / "ledger.sqlite3"
    _filled(path, 5)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM indexed_fields WHERE field = 'run_id'")
    connection.execute("DELETE FROM record_index WHERE field = 'run_id'")
    connection.commit()
    connection.close()
    ledger = open_ledger(path)
    assert [t.trial_id for t in ledger.read(Trial, {"run_id": "run-1"})] == [f"t-{n}" for n in range(5)]
    assert sum(1 for _ in ledger.read(Verdict, {"run_id": "run-1"})) == 5
    ledger.close()


# Torn writes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flip=st.booleans())
def test_a_torn_wal_loses_whole_appends_from_its_end_only(tmp_path: Path, cut: float, flip: bool) -> None:
    """Cut anywhere, or with one byte changed anywhere: what remains is a beginning of the appends, each of them whole."""
    source = tmp_path / "whole.sqlite3"
    if not source.exists():
        ledger = open_ledger(source)
        for n in range(12):
            samples.put(ledger, _batch(n))
        for side in ("", "-wal"):
            shutil.copy(f"{source}{side}", tmp_path / f"kept{side}")
        ledger.close()
    path = tmp_path / "torn.sqlite3"
    for side in ("-shm", "-wal"):
        Path(f"{path}{side}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "kept", path)
    wal = bytearray((tmp_path / "kept-wal").read_bytes())
    at = int(cut * (len(wal) - 1))
    if flip:
        wal[at] ^= 0x5A
    Path(f"{path}-wal").write_bytes(wal if flip else wal[:at])
    kept = _trials(path)
    assert kept == [f"t-{n}" for n in range(len(kept))]
    assert len(kept) <= 12


def test_an_untorn_wal_loses_nothing(tmp_path: Path) -> None:
    """The counterpart of the test above: the copy of a file in use is complete."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    for n in range(12):
        samples.put(ledger, _batch(n))
    for side in ("", "-wal"):
        shutil.copy(f"{path}{side}", tmp_path / f"copy.sqlite3{side}")
    ledger.close()
    assert len(_trials(tmp_path / "copy.sqlite3")) == 12


# No space, no permission


def _append_until_full(ledger: SqliteLedger) -> int:
    """How many appends went in before the one that was refused."""
    count = 0

    def append() -> None:
        nonlocal count
        while count < 5_000:
            samples.put(ledger, [Blob.of(os.urandom(3_000).hex()), *_batch(count)])
            count += 1

    with pytest.raises(StoreError, match=str(ledger.path)) as caught:
        append()
    assert not isinstance(caught.value, CorruptError)
    assert "\n" not in str(caught.value)
    return count


def test_a_full_file_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    """The database may not grow: StoreError with a remedy; all appends before are there, none in half; later it goes on."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    ledger._fetch("PRAGMA max_page_count = 60", ())
    count = _append_until_full(ledger)
    assert count > 3
    with pytest.raises(StoreError, match="free some space"):
        samples.put(ledger, [Blob.of("y" * 300_000 + os.urandom(30_000).hex())])
    assert [t.trial_id for t in ledger.read(Trial)] == [f"t-{n}" for n in range(count)]
    ledger._fetch("PRAGMA max_page_count = 100000", ())
    samples.put(ledger, [samples.start("after"), samples.trial("after"), samples.verdict("after")])
    ledger.close()
    assert _trials(path) == [*(f"t-{n}" for n in range(count)), "after"]


def test_a_write_protected_ledger_is_a_store_error(tmp_path: Path) -> None:
    """With what to do about it; reading goes on."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    samples.put(ledger, [samples.trial()])
    ledger._fetch("PRAGMA query_only = 1", ())
    with pytest.raises(StoreError, match="make the file and its folder writable"):
        samples.put(ledger, [samples.trial("trial-2")])
    assert list(ledger.read(Trial)) == [samples.trial()]
    ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this machine does not let root mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_refuses_and_keeps_what_it_has(small_disk: Path) -> None:
    """A real file system without space left: what was committed is there, and with space it goes on."""
    path = small_disk / "ledger.sqlite3"
    ledger = open_ledger(path)
    count = _append_until_full(ledger)
    assert count > 3
    assert [t.trial_id for t in ledger.read(Trial)] == [f"t-{n}" for n in range(count)]
    ledger.close()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    again = open_ledger(path)
    samples.put(again, [samples.start("after"), samples.trial("after"), samples.verdict("after")])
    again.close()
    assert _trials(path) == [*(f"t-{n}" for n in range(count)), "after"]


def _write_for_ever(file: IO[bytes]) -> None:
    while True:
        file.write(b"x" * 65_536)


def test_a_disk_that_is_full_from_the_start_gives_no_ledger(small_disk: Path) -> None:
    """StoreError when even the tables find no place, and a proper ledger once there is some."""
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        _write_for_ever(file)
    with pytest.raises(StoreError, match=r"ledger\.sqlite3"):
        open_ledger(small_disk / "ledger.sqlite3")
    ballast.unlink()
    _filled(small_disk / "ledger.sqlite3", 2)
    assert len(_trials(small_disk / "ledger.sqlite3")) == 2


def test_a_read_only_disk_is_read_and_a_store_error_when_written(small_disk: Path) -> None:
    """The file stays as it is."""
    path = small_disk / "ledger.sqlite3"
    _filled(path, 2)
    before = path.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ledger = open_ledger(path)
    assert [trial.trial_id for trial in ledger.read(Trial)] == ["t-0", "t-1"]
    with pytest.raises(ReadOnlyError, match=r"ledger\.sqlite3 cannot be written"):
        samples.put(ledger, _batch(2))
    ledger.close()
    assert path.read_bytes() == before
