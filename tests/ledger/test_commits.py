"""Commits of the ledger, their seals, and what a verification finds: changed, missing and added rows, other files, damaged bytes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import AuditError, CorruptError, StoreError
from selfopt.home import ChainedFile
from selfopt.ledger import LedgerSeals, SqliteLedger, check_records, open_ledger, read_ledger_seals, verify_ledger_file
from selfopt.ledger.codec import record_types
from selfopt.ledger.commits import CommitHead, commit_body, commit_hash, parse_commit, record_entry
from selfopt.records import Blob, LedgerReport, Record, Trial, TrialStart
from tests.ledger import samples
from tests.tampering import LONG

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
Sealed = Mapping[str, Mapping[int, str]]


def _batch(n: int) -> list[Record]:
    name = f"t-{n}"
    return [Blob.of(f"reply {n} " * 60), samples.start(name), samples.trial(name), samples.verdict(name)]


def small_ledger(folder: Path, count: int = 6) -> tuple[Path, Sealed]:
    """A sealed ledger with a record of every kind and a few trials, and what the trail says of it."""
    trail = ChainedFile(folder / "trail.jsonl")
    seals = LedgerSeals(trail)
    ledger = open_ledger(folder / "ledger.sqlite3", after_commit=seals.committed)
    samples.put(ledger, samples.every_kind())
    for n in range(count):
        samples.put(ledger, _batch(n))
    seals.close(ledger)
    ledger.close()
    return folder / "ledger.sqlite3", read_ledger_seals(trail)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    """One such ledger, to be copied."""
    return small_ledger(tmp_path_factory.mktemp("sealed"))


def _changed(path: Path, folder: Path, *statements: str) -> Path:
    copy = folder / "copy.sqlite3"
    shutil.copy(path, copy)
    connection = sqlite3.connect(copy)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return copy


def _told(report: LedgerReport) -> set[str]:
    return {f"{fault.kind} {fault.id} {fault.what}" for fault in report.faults}


def test_a_sealed_ledger_verifies_to_its_end(sealed: tuple[Path, Sealed]) -> None:
    """Every record, every text and every commit is looked at, and nothing is left unsealed."""
    report = verify_ledger_file(*sealed)
    assert (report.ok, report.faults, report.unsealed, report.commits) == (True, (), 0, 7)
    assert report.records == len(samples.every_kind()) - 1 + 18
    assert report.blobs == 7


def test_what_nobody_sealed_yet_is_counted_and_no_fault(sealed: tuple[Path, Sealed]) -> None:
    """The commits of a writer that is at work, or was killed."""
    report = verify_ledger_file(sealed[0], {})
    assert (report.ok, report.unsealed) == (True, 7)


VERDICT = "verdict verdict-t-3-e651152b873359d49e2460b8"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE records SET body = replace(body, '\"pass\"', '\"wrong\"') WHERE kind = 'verdict' AND id LIKE '%t-3-%'",
            f"{VERDICT} changed",
        ),
        ("DELETE FROM records WHERE kind = 'verdict' AND id LIKE '%t-3-%'", f"{VERDICT} missing"),
        ("DELETE FROM records WHERE kind = 'trial' AND id = 't-2'", "trial t-2 missing"),
        ("UPDATE records SET body = NULL || 'x' WHERE 0", ""),
        ("UPDATE records SET id = 't-x' WHERE kind = 'trial' AND id = 't-2'", "trial t-2 missing"),
        ("UPDATE records SET id = 't-x' WHERE kind = 'trial' AND id = 't-2'", "trial t-x added"),
        ("UPDATE records SET body = replace(body, '0.5', '0.9') WHERE kind = 'decision'", "decision dec-1 changed"),
        ("INSERT INTO records (kind, id, at, body) VALUES ('baseline', 'base-x', '', '{}')", "baseline base-x added"),
        ("UPDATE records SET seq = 900 WHERE kind = 'trial' AND id = 't-1'", "trial t-1 missing"),
        ("DELETE FROM blobs WHERE seq = 3", f"blob {Blob.of('reply 1 ' * 60).blob_hash} missing"),
        ("UPDATE blobs SET codec = 0, data = x'41' WHERE seq = 3", f"blob {Blob.of('reply 1 ' * 60).blob_hash} changed"),
        ("INSERT INTO blobs (hash, codec, data) VALUES ('ab', 0, x'41')", "blob ab added"),
        (
            "DELETE FROM record_index WHERE kind = 'trial' AND seq IN (SELECT seq FROM records WHERE id = 't-4')",
            "index trial t-4 changed",
        ),
        ("INSERT INTO record_index VALUES ('run-9', 'trial', 'run_id', 2)", "changed"),
        ("INSERT INTO record_index VALUES ('run-9', 'trial', 'run_id', 9000)", "index record 9000 added"),
        ("DELETE FROM commits WHERE seq = 3", "/3 missing"),
        ("DELETE FROM commits WHERE seq > 4", "/5 missing"),
        ("DELETE FROM commits", "/1 missing"),
        ("UPDATE commits SET body = replace(body, ' t-2 ', ' t-9 ') WHERE seq = 4", "/4 changed"),
        ("UPDATE commits SET body = 'x' WHERE seq = 4", "/4 damaged"),
        ("UPDATE commits SET hash = 'x' WHERE seq = 7", "/7 changed"),
        ("DROP TABLE commits", "table table commits missing"),
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END", "table trigger t added"),
        ("PRAGMA user_version = 1", "ledger copy.sqlite3 changed"),
    ],
)
def test_what_a_shell_changes_is_named(sealed: tuple[Path, Sealed], tmp_path: Path, statement: str, fault: str) -> None:
    """By kind and id, as changed, missing or added; a statement that changes nothing is no fault."""
    report = verify_ledger_file(_changed(sealed[0], tmp_path, statement), sealed[1])
    assert any(told.endswith(fault) for told in _told(report)) if fault else report.ok
    assert report.ok is not bool(fault)


def test_a_change_with_its_commit_made_to_fit_is_found_by_the_seal(sealed: tuple[Path, Sealed], tmp_path: Path) -> None:
    """Whoever changes a record, the entry that lists it and all hashes after it meets the trail."""
    copy = _changed(
        sealed[0], tmp_path, "UPDATE records SET body = replace(body, '12.5', '99.5') WHERE kind = 'trial' AND id = 't-2'"
    )
    connection = sqlite3.connect(copy)
    [body] = connection.execute("SELECT body FROM records WHERE kind = 'trial' AND id = 't-2'").fetchone()
    head = CommitHead("")
    for seq, writer, listed in connection.execute("SELECT seq, writer, body FROM commits ORDER BY seq").fetchall():
        lines = [record_entry("trial", "t-2", body) if line.startswith("trial t-2 ") else line for line in listed.split("\n")]
        made = "\n".join(lines)
        head = CommitHead(writer, head.n, head.hash)
        head = CommitHead(writer, head.n + 1, commit_hash(head, made))
        connection.execute("UPDATE commits SET body = ?, hash = ? WHERE seq = ?", (made, head.hash, seq))
    connection.commit()
    connection.close()
    assert verify_ledger_file(copy, {}).ok
    report = verify_ledger_file(copy, sealed[1])
    assert [fault.detail for fault in report.faults] == ["it is not what the audit trail sealed"]


def test_a_ledger_that_is_gone_or_another_one_is_named(sealed: tuple[Path, Sealed], tmp_path: Path) -> None:
    """With how many commits the trail sealed; where nothing was sealed, no ledger is no fault."""
    missing = verify_ledger_file(tmp_path / "none.sqlite3", sealed[1])
    assert missing.faults[0].sentence() == "ledger none.sqlite3 missing: the audit trail sealed 7 commits of it"
    assert verify_ledger_file(tmp_path / "none.sqlite3", {}).ok
    other, _ = small_ledger(tmp_path, 2)
    assert "none of its commits is there" in verify_ledger_file(other, sealed[1]).faults[0].detail
    (tmp_path / "junk.sqlite3").write_bytes(b"junk" * 2000)
    assert verify_ledger_file(tmp_path / "junk.sqlite3", sealed[1]).faults[0].what == "damaged"


def _content(path: Path) -> Any:
    """Everything that can be read from a ledger, or None when something cannot."""
    try:
        ledger = open_ledger(path)
    except StoreError:
        return None
    try:
        found: list[Any] = []
        for record_type in record_types().values():
            records = list(ledger.read(record_type))
            found.append([r.model_dump_json() for r in records])
            for record in records:
                for name in record.index_fields:
                    if (value := getattr(record, name)) is not None:
                        wanted = value[0] if isinstance(value, tuple) and value else value
                        if not isinstance(wanted, tuple):
                            found.append([r.record_id for r in ledger.read(record_type, {name: wanted})])
        return found
    except (StoreError, ValueError):
        return None
    finally:
        ledger.close()


def check_bytes(sealed: tuple[Path, Sealed], folder: Path, places: Iterator[tuple[str, int]] | list[tuple[str, int]]) -> int:
    """Change single bytes (`flip`, `zero`) of a small ledger, or cut it (`cut`), at the given places; each change either changes nothing
    that is read, or is found and named. Returns how many were found."""
    whole = sealed[0].read_bytes()
    copy = folder / "bytes.sqlite3"
    copy.write_bytes(whole)
    wanted = _content(copy)
    assert wanted is not None
    found = 0
    for how, at in places:
        changed = whole[:at] if how == "cut" else whole[:at] + bytes([whole[at] ^ 0x41 if how == "flip" else 0]) + whole[at + 1 :]
        for side in ("", "-wal", "-shm"):
            Path(f"{copy}{side}").unlink(missing_ok=True)
        copy.write_bytes(changed)
        report = verify_ledger_file(copy, sealed[1])
        found += not report.ok
        if report.ok:
            assert _content(copy) == wanted, f"{how} at byte {at} changes what is read, and nothing says so"
        else:
            assert report.faults
            assert all(fault.sentence() for fault in report.faults)
    return found


def test_tables_whose_definition_was_changed_are_named(sealed: tuple[Path, Sealed], tmp_path: Path) -> None:
    """Also where sqlite then finds no number in a row that has one."""
    whole = sealed[0].read_bytes()
    places = [at for at in range(len(whole)) if whole.startswith(b"INTEGER PRIMARY KEY", at)]
    assert len(places) >= 3
    assert check_bytes(sealed, tmp_path, [("flip", at + offset) for at in places for offset in (0, 7, 8)]) == 3 * len(places)


@pytest.mark.bytes
@pytest.mark.timeout(3600)
def test_every_changed_byte_changes_nothing_or_is_found(sealed: tuple[Path, Sealed], tmp_path: Path) -> None:
    """Single bytes and cuts: a sample of all places, unless ATTACKS is long."""
    if LONG:
        sealed = small_ledger(tmp_path, 1)
        places = [(how, at) for at in range(sealed[0].stat().st_size) for how in ("flip", "cut")]
        assert check_bytes(sealed, tmp_path, places) > len(places) // 4
        return
    size = sealed[0].stat().st_size
    places = [("flip", at) for at in range(7, size, size // 150)] + [("zero", at) for at in range(0, 100, 9)]
    places += [("cut", at) for at in range(0, size, size // 40)]
    assert check_bytes(sealed, tmp_path, places) > 50


@pytest.mark.parametrize("count", [1, 7, 64])
def test_seals_come_in_batches(tmp_path: Path, count: int) -> None:
    """One record of the trail for so many commits, and one at the end for the rest; who only reads writes none."""
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = LedgerSeals(trail, commits=10, seconds=1e9)
    ledger = open_ledger(tmp_path / "ledger.sqlite3", after_commit=seals.committed)
    for n in range(count):
        samples.put(ledger, [samples.start(f"t-{n}")])
    seals.close(ledger)
    assert len(list(trail.records())) == -(-count // 10)
    LedgerSeals(trail).close(ledger)
    assert len(list(trail.records())) == -(-count // 10)
    assert ledger.unsealed() == (0, [])
    ledger.close()
    assert verify_ledger_file(tmp_path / "ledger.sqlite3", read_ledger_seals(trail)).unsealed == 0


def test_time_seals_too(tmp_path: Path) -> None:
    """A commit long after the last seal is sealed at once."""
    now = [0.0]
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = LedgerSeals(trail, clock=lambda: now[0])
    ledger = open_ledger(tmp_path / "ledger.sqlite3", after_commit=seals.committed)
    samples.put(ledger, [samples.start("t-1")])
    assert not trail.path.exists()
    now[0] = 31.0
    samples.put(ledger, [samples.start("t-2")])
    assert [len(record.details["heads"]) for record in trail.records()] == [1]
    ledger.close()


def test_a_trail_that_cannot_be_written_keeps_what_was_measured(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning, and the seal the next time; asked for outright, it is an AuditError."""
    trail = ChainedFile(tmp_path / "trail.jsonl")
    trail.path.mkdir()
    seals = LedgerSeals(trail, commits=1)
    ledger = open_ledger(tmp_path / "ledger.sqlite3", after_commit=seals.committed)
    samples.put(ledger, [samples.start("t-1")])
    assert "not sealed yet" in caplog.text
    with pytest.raises(AuditError):
        seals.seal(ledger, "now")
    trail.path.rmdir()
    samples.put(ledger, [samples.start("t-2")])
    ledger.close()
    assert [list(numbers) for numbers in read_ledger_seals(trail).values()] == [[2]]
    assert verify_ledger_file(tmp_path / "ledger.sqlite3", read_ledger_seals(trail)).unsealed == 0


def test_what_a_killed_writer_left_is_sealed_by_the_next(tmp_path: Path) -> None:
    """Its chain, up to where it is."""
    dead = open_ledger(tmp_path / "ledger.sqlite3")
    samples.put(dead, [samples.start("t-1")])
    samples.put(dead, [samples.start("t-2")])
    dead.close()
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = LedgerSeals(trail)
    ledger = open_ledger(tmp_path / "ledger.sqlite3", after_commit=seals.committed)
    samples.put(ledger, [samples.start("t-3")])
    seals.close(ledger)
    ledger.close()
    assert sorted(max(numbers) for numbers in read_ledger_seals(trail).values()) == [1, 2]


def test_a_note_of_seals_that_there_are_not_is_named_and_not_believed(tmp_path: Path) -> None:
    """Else nothing that is committed from then on would be sealed, and could be taken away unnoticed."""
    path, _ = small_ledger(tmp_path)
    trail = ChainedFile(tmp_path / "trail.jsonl")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE sealed SET upto = 1000000")
    connection.commit()
    connection.close()
    assert "table sealed changed" in _told(verify_ledger_file(path, read_ledger_seals(trail)))
    seals = LedgerSeals(trail)
    ledger = open_ledger(path, after_commit=seals.committed)
    samples.put(ledger, [samples.start("t-late")])
    seals.close(ledger)
    ledger.close()
    report = verify_ledger_file(path, read_ledger_seals(trail))
    assert (report.ok, report.unsealed) == (True, 0)


@pytest.mark.parametrize("version", [1, 2])
def test_old_ledgers_are_read_and_what_they_held_is_listed(tmp_path: Path, version: int) -> None:
    """Each record with its content, in commits of a writer named for it; from then on a change is found."""
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(GOLDEN / f"ledger-v{version}.sqlite3", path)
    wanted = json.loads((GOLDEN / f"ledger-v{version}.json").read_text("utf-8"))
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = LedgerSeals(trail)
    ledger = open_ledger(path)
    assert ledger.upgraded is (version == 1)
    seals.seal(ledger, "upgraded")
    ledger.close()
    sealed = read_ledger_seals(trail)
    assert [writer.startswith("upgrade-") for writer in sealed] == [version == 1]
    if version == 1:
        assert "as found when the ledger was upgraded" in next(trail.records()).reason
    report = verify_ledger_file(path, sealed)
    assert (report.ok, report.records + report.blobs, report.unsealed) == (True, len(wanted), 0)
    changed = _changed(path, tmp_path, "UPDATE records SET body = replace(body, '0.5', '0.9') WHERE kind = 'decision'")
    assert _told(verify_ledger_file(changed, sealed)) == {"decision dec-1 changed"}


def test_a_ledger_that_was_not_upgraded_yet_is_sound(tmp_path: Path) -> None:
    """Nothing of it is sealed; with seals in the trail it is not the file that was sealed."""
    assert verify_ledger_file(GOLDEN / "ledger-v1.sqlite3", {}).ok
    assert not verify_ledger_file(GOLDEN / "ledger-v1.sqlite3", {"w": {1: "x"}}).ok


def test_some_records_are_checked_alone(sealed: tuple[Path, Sealed], tmp_path: Path) -> None:
    """Only what is asked for is told of: what was changed, what was never committed, what is not there, and by the id alone."""
    copy = _changed(
        sealed[0],
        tmp_path,
        "UPDATE records SET body = '{}' WHERE kind = 'trial' AND id IN ('t-1', 't-2')",
        "INSERT INTO records (kind, id, at, body) VALUES ('trial', 't-new', '', '{}')",
        "DELETE FROM records WHERE kind = 'decision'",
    )
    asked = {("trial", "t-1"), ("trial", "t-3"), ("trial", "t-new"), ("trial", "t-none")}
    told = _told(check_records(copy, sealed[1], asked, {"dec-1", "unknown"}))
    assert told == {"trial t-1 changed", "trial t-new added", "trial t-none missing", "decision dec-1 missing"}
    assert _told(check_records(copy, sealed[1], set(), kinds={"decision", "verdict"})) == {"decision dec-1 missing"}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.lists(samples.RECORDS, min_size=1, max_size=5)), max_size=8))
def test_any_writers_in_any_order_verify(tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[int, list[Record]]]) -> None:
    """Three open ledgers commit in turn, records known and new, and those that clash: every chain holds and lists all there is."""
    folder = tmp_path_factory.mktemp("writers")
    ledgers = [open_ledger(folder / "ledger.sqlite3") for _ in range(3)]
    trail = ChainedFile(folder / "trail.jsonl")
    for turn, records in turns:
        try:
            samples.put(ledgers[turn], records)
        except CorruptError:
            continue
    LedgerSeals(trail).seal(ledgers[0], "now")
    for ledger in ledgers:
        ledger.close()
    report = verify_ledger_file(folder / "ledger.sqlite3", read_ledger_seals(trail))
    assert (report.faults, report.unsealed) == ((), 0)


IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    entries=st.lists(st.tuples(st.sampled_from(["trial", "spec"]), IDS, st.text(max_size=5)), max_size=5),
    first=st.integers(1, 99),
)
def test_a_list_is_read_as_it_was_written(entries: list[tuple[str, str, str]], first: int) -> None:
    """Whatever an id looks like."""
    body = commit_body(first, 0, [record_entry(*entry) for entry in entries])
    if not entries:
        return
    blobs, records = parse_commit(body)
    assert blobs == []
    assert [(listed.seq, listed.kind, listed.id) for listed in records] == [
        (first + n, k, i) for n, (k, i, _) in enumerate(entries)
    ]


def test_processes_that_write_at_once_have_chains_of_their_own(tmp_path: Path) -> None:
    """Three processes, each sealing for all: everything is listed and sealed."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom selfopt.home import ChainedFile\nfrom selfopt.ledger import LedgerSeals, open_ledger\n"
        "from tests.ledger import samples\nfolder, name = Path(sys.argv[1]), sys.argv[2]\n"
        "seals = LedgerSeals(ChainedFile(folder / 'trail.jsonl'), commits=5)\n"
        "ledger = open_ledger(folder / 'ledger.sqlite3', after_commit=seals.committed)\n"
        "for n in range(40):\n    samples.put(ledger, [samples.start(f'{name}-{n}'), samples.trial(f'{name}-{n}')])\n"
        "seals.close(ledger)\nledger.close()\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], cwd=ROOT) for name in "abc"]
    assert [process.wait(120) for process in writers] == [0, 0, 0]
    sealed = read_ledger_seals(ChainedFile(tmp_path / "trail.jsonl"))
    report = verify_ledger_file(tmp_path / "ledger.sqlite3", sealed)
    assert (report.faults, report.unsealed, report.records, len(sealed)) == ((), 0, 240, 3)


# A file that is taken away


def _gone(path: Path, how: str) -> None:
    if how == "removed":
        for side in ("", "-wal", "-shm"):
            Path(f"{path}{side}").unlink()
    elif how == "renamed":
        path.parent.rename(path.parent.with_name("elsewhere"))
    elif how == "replaced":
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
    else:
        Path(f"{path}-wal").unlink()


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced", "journal removed"])
def test_a_file_that_is_taken_away_is_told_at_the_next_commit(tmp_path: Path, how: str) -> None:
    """StoreError that names it, then and ever after; nothing is appended to a file without a name in silence."""
    path = tmp_path / "home" / "ledger.sqlite3"
    ledger = open_ledger(path)
    samples.put(ledger, [samples.start("t-1")])
    _gone(path, how)
    for n in (2, 3):
        with pytest.raises(StoreError, match="was removed, renamed or replaced while it was in use"):
            samples.put(ledger, [samples.start(f"t-{n}")])
    ledger.close()


def test_what_the_index_says_wrongly_is_not_believed(tmp_path: Path) -> None:
    """An entry that leads to a record of another run is a CorruptError, not a trial of that run."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    samples.put(ledger, [samples.trial("t-1", run_id="run-1")])
    assert isinstance(ledger, SqliteLedger)
    ledger._fetch("INSERT INTO record_index VALUES ('run-2', 'trial', 'run_id', 1)", ())
    with pytest.raises(CorruptError, match="its index entries do not fit trial t-1"):
        list(ledger.read(Trial, {"run_id": "run-2"}))
    assert list(ledger.read(TrialStart)) == []
    ledger.close()
