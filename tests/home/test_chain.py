"""The hash-chained file: what it keeps, what it notices, what it survives."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import AuditError, LockedError, NewerSchemaError, StoreError
from selfopt.home import GENESIS_HASH, AuditEvent, ChainedFile, files
from selfopt.home.chain_line import MAX_LINE_BYTES
from selfopt.records import canonical_json, sha256_hex
from tests.examples import some_of


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def chain(tmp_path: Path) -> ChainedFile:
    return ChainedFile(tmp_path / "trail.jsonl", clock=lambda: "2026-01-01T00:00:00.000Z")


def test_the_hash_covers_every_other_field(chain: ChainedFile) -> None:
    """SHA-256 over the canonical JSON of all other fields; the first record follows 64 zeros."""
    chain.append("diverted", original_model="a/b", details={"ü": [1, 2.5, None]})
    body = json.loads(chain.path.read_text())
    claimed = body.pop("hash")
    assert body["previous_hash"] == GENESIS_HASH
    assert sha256_hex(canonical_json(body)) == claimed


def test_records_come_back_as_appended_in_both_directions(chain: ChainedFile) -> None:
    """Forwards and backwards give the same records, and each links to the one before."""
    written = [chain.append("diverted", reason=f"r{i}", evidence=("e",), config_version=i) for i in range(20)]
    assert list(chain.records()) == written
    assert list(chain.newest_first()) == written[::-1]
    assert [r.previous_hash for r in written[1:]] == [r.hash for r in written[:-1]]
    assert [r.reason for r in chain.newest_first(b'"r7"')] == ["r7"]


def test_a_missing_trail_is_empty_and_fine(chain: ChainedFile) -> None:
    """No file: no records, verified, head at the genesis hash; nothing is created by reading."""
    report = chain.verify()
    assert (report.ok, report.n, report.head_hash) == (True, 0, GENESIS_HASH)
    assert list(chain.records()) == list(chain.newest_first()) == []
    assert chain.append_all([]) == ()
    assert not chain.path.exists()


def test_the_file_is_private_and_pure_ascii(chain: ChainedFile) -> None:
    """Mode 0600; terminal escapes, line separators and lone surrogates cannot act when the file is shown."""
    record = chain.append("x", reason="\x1b[31m\u2028\u202e\ud800é", details={"k\ud800": "\x9b"})
    data = chain.path.read_bytes()
    assert chain.path.stat().st_mode & 0o777 == 0o600
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert b"\x1b" not in data
    assert record.reason == "\x1b[31m\u2028\u202e?é"
    assert chain.verify().ok


@pytest.mark.parametrize("line", [1, 4, 7])
def test_tampering_is_found_at_the_right_line(chain: ChainedFile, line: int) -> None:
    """A changed field, a removed line and a swapped line are each named by their line number."""
    for i in range(7):
        chain.append("diverted", reason=f"reason {i}")
    lines = chain.path.read_bytes().splitlines(keepends=True)
    changed = [*lines]
    changed[line - 1] = changed[line - 1].replace(b"reason", b"raisin")
    chain.path.write_bytes(b"".join(changed))
    report = chain.verify()
    assert (report.ok, report.first_bad_line, report.n) == (False, line, line - 1)
    assert "hash" in report.reason
    if line < 7:
        chain.path.write_bytes(b"".join(lines[: line - 1] + lines[line:]))
        assert chain.verify().first_bad_line == line


def test_a_rewritten_record_with_its_own_right_hash_breaks_the_next_link(chain: ChainedFile) -> None:
    """Recomputing one record's hash only moves the break to the line after it."""
    for i in range(3):
        chain.append("diverted", reason=f"reason {i}")
    lines = chain.path.read_text().splitlines()
    body = json.loads(lines[1])
    body["reason"] = "forged"
    del body["hash"]
    body["hash"] = sha256_hex(canonical_json(body))
    lines[1] = json.dumps(body, sort_keys=True, separators=(",", ":"))
    chain.path.write_text("\n".join(lines) + "\n")
    assert chain.verify().first_bad_line == 3


@settings(max_examples=some_of(150), deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever single byte is replaced: the chain is not verified, or the loss shows as a torn tail."""
    chain = ChainedFile(tmp_path_factory.mktemp("chain") / "t.jsonl")
    for i in range(3):
        chain.append("diverted", reason=f"é{i}", details={"a": [1, {"b": None}]})
    before = chain.path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != before[place]))
    chain.path.write_bytes(before[:place] + bytes([byte]) + before[place + 1 :])
    report = chain.verify()
    assert not report.ok or report.torn_tail


def test_a_cut_trail_lacks_the_sealed_record(chain: ChainedFile) -> None:
    """Whole lines removed from the end leave a sound chain; the head shows the loss, and so does a hash that was sealed elsewhere."""
    chain.append("a")
    head = chain.append("b").hash
    lines = chain.path.read_bytes().splitlines(keepends=True)
    chain.path.write_bytes(lines[0])
    assert chain.verify().reason == "it was cut: its head has 2 records, but 1 are there"
    chain.head.path.unlink()
    report = chain.verify([head])
    assert not report.ok
    assert report.missing == (head,)


def test_a_torn_line_is_cut_off_kept_aside_and_reported(chain: ChainedFile) -> None:
    """The incomplete last line goes to `.torn-1`, and the next record says so."""
    first = chain.append("a")
    with chain.path.open("ab") as file:
        file.write(b'{"event":"half')
    report = chain.verify()
    assert (report.ok, report.torn_tail, report.n, report.head_hash) == (False, True, 1, first.hash)
    assert list(chain.records()) == [first] == list(chain.newest_first())
    record = chain.append("b", details={"own": 1})
    assert record.details == {"own": 1, "torn_tail": {"kept_in": "trail.jsonl.torn-1", "size_bytes": 14}}
    assert chain.path.with_name("trail.jsonl.torn-1").read_bytes() == b'{"event":"half'
    report = chain.verify()
    assert (report.ok, report.torn_tail, report.n, report.torn_aside) == (True, False, 2, ("trail.jsonl.torn-1",))


def test_every_torn_line_is_kept_and_a_failure_to_keep_it_changes_nothing(
    chain: ChainedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes to `.torn-2`; when it cannot be copied, the append fails and the file stays as it was."""
    for number in (1, 2):
        with chain.path.open("ab") as file:
            file.write(b"half %d" % number)
        if number == 2:
            before = chain.path.read_bytes()

            def full(*_: object) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

            with monkeypatch.context() as patch:
                patch.setattr(os, "write", full)
                with pytest.raises(AuditError, match="No space"):
                    chain.append("b")
            assert chain.path.read_bytes() == before
            assert chain.verify().torn_aside == ("trail.jsonl.torn-1",)
        chain.append("a")
    assert chain.verify().torn_aside == ("trail.jsonl.torn-1", "trail.jsonl.torn-2")
    assert chain.path.with_name("trail.jsonl.torn-2").read_bytes() == b"half 2"


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000))
def test_a_trail_cut_anywhere_is_named_and_not_appended_to(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Cut at any byte: `verify` says so, and the next append refuses; what was never acknowledged alone is cut off and goes on."""
    chain = ChainedFile(tmp_path_factory.mktemp("chain") / "t.jsonl")
    written = [chain.append("diverted", reason=f"r{i}") for i in range(4)]
    whole = chain.path.read_bytes()
    data = whole[: cut % len(whole)]
    chain.path.write_bytes(data)
    assert not chain.verify().ok
    with pytest.raises(AuditError, match="cut"):
        ChainedFile(chain.path).append("after")
    assert chain.path.read_bytes() == data
    chain.path.write_bytes(whole + data[:50])
    new = chain.append("after")
    assert list(chain.records()) == [*written, new]
    assert chain.verify().ok


def test_nothing_is_appended_after_a_damaged_record(chain: ChainedFile) -> None:
    """A complete but altered last line is refused, named, and left as it is."""
    chain.append("a", reason="true")
    forged = chain.path.read_bytes().replace(b"true", b"fake")
    chain.path.write_bytes(forged)
    with pytest.raises(AuditError, match="damaged"):
        chain.append("b")
    assert chain.path.read_bytes() == forged


@pytest.mark.parametrize("line", [b"not json", b"[]", b"{}", b'{"hash":1,"previous_hash":"x"}', b"[" * 50_000, b"\xff\xfe"])
def test_garbage_lines_are_named_not_raised_through(chain: ChainedFile, line: bytes) -> None:
    """Any garbage line: `verify` names it, `records` and `append` raise AuditError."""
    chain.append("a")
    with chain.path.open("ab") as file:
        file.write(line + b"\n")
    assert chain.verify().first_bad_line == 2
    with pytest.raises(AuditError, match="line 2"):
        list(chain.records())
    with pytest.raises(AuditError):
        chain.append("b")


def test_an_endless_line_is_bounded(chain: ChainedFile) -> None:
    """A line longer than the limit is a bad line, complete or not; it is not read into memory whole."""
    with chain.path.open("wb") as file:
        file.write(b"x" * (MAX_LINE_BYTES + 100_000) + b"\n")
    assert chain.verify().first_bad_line == 1
    with pytest.raises(AuditError):
        chain.append("a")
    with pytest.raises(AuditError, match="larger"):
        ChainedFile(chain.path.with_name("other")).append("a", reason="x" * MAX_LINE_BYTES)


def test_a_record_of_a_newer_program_is_refused_by_name(chain: ChainedFile) -> None:
    """Unknown fields under a right hash: verified, but not read."""
    chain.append("a")
    chain.head.path.unlink()
    body = json.loads(chain.path.read_text())
    del body["hash"]
    body["later"] = 1
    body["details"] = {}
    body["hash"] = sha256_hex(canonical_json(body))
    chain.path.write_text(json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n")
    assert chain.verify().ok
    with pytest.raises(NewerSchemaError, match="later"):
        list(chain.records())


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """A trail that is a link to elsewhere is refused, and its target stays empty."""
    outside = tmp_path / "outside"
    outside.write_text("")
    link = tmp_path / "trail.jsonl"
    link.symlink_to(outside)
    with pytest.raises(AuditError, match="symbolic link"):
        ChainedFile(link).append("a")
    assert outside.read_text() == ""


def test_a_failing_write_leaves_the_file_as_it_was(chain: ChainedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line written and then an error: truncated back, AuditError, and the chain goes on afterwards."""
    chain.append("a")
    before = chain.path.read_bytes()
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        real(descriptor, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(AuditError, match="No space left"):
            chain.append("b")
    assert chain.path.read_bytes() == before
    chain.append("c")
    assert chain.verify().n == 2


def test_a_failing_fsync_is_a_failed_append(chain: ChainedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be made durable is not acknowledged and not left behind."""
    chain.append("a")
    before = chain.path.read_bytes()
    failures = iter([True])

    def failing(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(AuditError, match="Input/output"):
            chain.append("b")
    assert chain.path.read_bytes() == before


def test_a_file_size_limit_stops_appends_cleanly(tmp_path: Path) -> None:
    """Under a real limit of the system (4 KiB a file), appends end in AuditError and the chain verifies."""
    done = run_python(
        """
        import resource, sys
        from pathlib import Path
        from selfopt.errors import AuditError
        from selfopt.home import ChainedFile
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        chain = ChainedFile(Path(sys.argv[1]))
        for i in range(100):
            try:
                chain.append("diverted", reason="r" * 100)
            except AuditError as error:
                print(i, error)
                break
        report = chain.verify()
        assert report.ok and not report.torn_tail and report.n == i, report
        """,
        str(tmp_path / "trail.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert "free some space" in done.stdout


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB; skipped where mounting is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_blocks_and_loses_nothing(tiny_disk: Path) -> None:
    """On a disk that fills up: AuditError, every acknowledged record there, and appends go on once there is room."""
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * 40_960)
    chain = ChainedFile(tiny_disk / "trail.jsonl")
    acknowledged, said = 0, ""
    while not said and acknowledged < 1000:
        try:
            chain.append("diverted", reason="r" * 300)
            acknowledged += 1
        except AuditError as error:
            said = str(error)
    assert "No space left" in said
    report = chain.verify()
    assert (report.ok, report.n, report.torn_tail) == (True, acknowledged, False)
    assert acknowledged > 0
    ballast.unlink()
    chain.append("after")
    assert chain.verify().n == acknowledged + 1


def test_concurrent_appenders_make_one_chain(tmp_path: Path) -> None:
    """Four processes append at the same time: one chain, no record lost, none twice."""
    code = """
    import sys
    from pathlib import Path
    from selfopt.home import ChainedFile
    sys.stdin.readline()
    chain = ChainedFile(Path(sys.argv[1]))
    for i in range(50):
        chain.append("diverted", reason=f"{sys.argv[2]}-{i}")
    """
    trail = tmp_path / "trail.jsonl"
    workers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(trail), str(n)], stdin=subprocess.PIPE)
        for n in range(4)
    ]
    for worker in workers:
        worker.communicate(b"go\n", timeout=120)
    assert [worker.returncode for worker in workers] == [0] * 4
    chain = ChainedFile(trail)
    assert chain.verify().n == 200
    reasons = [record.reason for record in chain.records()]
    assert sorted(reasons) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))


def test_a_killed_appender_leaves_a_chain_that_goes_on(tmp_path: Path) -> None:
    """kill -9 while appending: every record that was acknowledged is there, and the chain verifies after one more."""
    code = """
    import sys
    from pathlib import Path
    from selfopt.home import ChainedFile
    chain = ChainedFile(Path(sys.argv[1]))
    for i in range(100000):
        chain.append("diverted", reason=str(i))
        print(i, flush=True)
    """
    trail = tmp_path / "trail.jsonl"
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(trail)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    for _ in range(30):
        worker.stdout.readline()
    worker.kill()
    rest = worker.stdout.read().split("\n")
    worker.stdout.close()
    worker.wait()
    acknowledged = 30 + sum(1 for line in rest[:-1] if line)
    chain = ChainedFile(trail)
    chain.append("after")
    assert chain.verify().ok
    assert chain.verify().n >= acknowledged + 1


def test_a_file_moved_aside_while_waiting_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record goes to the file that has the name now, not to the one that was moved away, head and all."""
    chain = ChainedFile(tmp_path / "trail.jsonl")
    chain.append("old")
    real = files.flock_wait
    moves = iter([True])

    def moving(descriptor: int, *, exclusive: bool, what: str) -> None:
        real(descriptor, exclusive=exclusive, what=what)
        if next(moves, False):
            chain.path.rename(tmp_path / "aside")
            chain.head.path.rename(tmp_path / "aside.head")

    monkeypatch.setattr("selfopt.home.chain.flock_wait", moving)
    with pytest.raises(AuditError, match="head"):
        chain.append("not without a word")  # this object knows that there was a record
    ChainedFile(chain.path).append("new")
    assert [record.event for record in chain.records()] == ["new"]
    assert [record.event for record in ChainedFile(tmp_path / "aside").records()] == ["old"]


def test_a_file_that_stays_locked_is_an_error_not_a_hang(tmp_path: Path) -> None:
    """Waiting for another process ends after the given time, with a line that says what to do."""
    path = tmp_path / "guard"
    with files.guarded(path, what="the rules"):
        with pytest.raises(LockedError, match="the rules"), files.guarded(path, what="the rules", timeout_s=0.01):
            pytest.fail("entered twice")
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_unreadable_place_is_a_store_error(tmp_path: Path) -> None:
    """A folder in the trail's place, or a missing parent, is an AuditError that names the path."""
    (tmp_path / "trail").mkdir()
    chain = ChainedFile(tmp_path / "trail")
    for act in (lambda: chain.append("a"), chain.verify, lambda: list(chain.records())):
        with pytest.raises(AuditError, match="trail"):
            act()
    with pytest.raises(AuditError):
        ChainedFile(tmp_path / "no" / "trail").append("a")
    with pytest.raises(StoreError), files.guarded(tmp_path / "no" / "lock", what="x"):
        pytest.fail("entered")


def test_details_must_be_json(chain: ChainedFile) -> None:
    """NaN has no place in a trail: ValueError, nothing written."""
    chain.append("a")
    before = chain.path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        chain.append_all([AuditEvent("b", {"details": {"x": float("nan")}})])
    assert chain.path.read_bytes() == before
