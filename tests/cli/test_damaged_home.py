"""Files of the home that are missing, damaged, newer or cannot be written: named, refused, left byte for byte."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .world import Project


@pytest.fixture
def used(project: Project) -> Project:
    """A home with a ledger, feedback, rules and a trail."""
    project.ok("supervise", "mute", "extended", "--runs", "3")
    project.ok("supervise", "good", "extended", "--runs", "3")
    project.ok("feedback")
    project.ok("enforce")
    return project


DAMAGE = {
    "garbage": b"\x00\xff garbage",
    "cut": b'{"schema_version": 1, "rules": [',
    "empty": b"",
    "array": b"[]",
    "deep": b"[" * 50_000,
    "other shape": b'{"schema_version": 1, "rules": 3, "findings": 3}',
    "newer": b'{"schema_version": 99, "rules": []}',
}
READS_RULES = [("run", "good", "extended"), ("routes", "show"), ("enforce",), ("routes", "set", "good", "atomic", "--allow")]


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_rules_are_named_refused_and_left_alone(used: Project, kind: str) -> None:
    """No command measures, enforces or changes rules over a routing_config.json that it cannot read."""
    path = used.home / "routing_config.json"
    path.write_bytes(DAMAGE[kind])
    before = used.files()
    for arguments in READS_RULES:
        used.run(*arguments).assert_refused(1, "routing_config.json")
        assert path.read_bytes() == DAMAGE[kind], arguments
    after = used.files()
    assert after["routing_decisions.jsonl"] == before["routing_decisions.jsonl"]
    assert after["ledger.sqlite3"] == before["ledger.sqlite3"]
    assert "FAIL  rules" in used.run("doctor").out


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_feedback_is_named_refused_and_left_alone(used: Project, kind: str) -> None:
    """Neither `enforce` nor `feedback` nor `loop` goes over a harness_feedback.json that cannot be read."""
    path = used.home / "harness_feedback.json"
    path.write_bytes(DAMAGE[kind])
    rules = (used.home / "routing_config.json").read_bytes()
    ledger = (used.home / "ledger.sqlite3").read_bytes()
    for arguments in (("enforce",), ("feedback",), ("loop", "--baseline", "good extended native_api")):
        used.run(*arguments).assert_refused(1, "harness_feedback.json")
        assert path.read_bytes() == DAMAGE[kind], arguments
    assert (used.home / "routing_config.json").read_bytes() == rules
    if kind == "newer":
        assert "update selfopt" in used.run("enforce").err
    assert "FAIL  feedback" in used.run("doctor").out
    assert len(ledger) > 0


def test_missing_rules_are_restored_from_their_versions_not_forgotten(used: Project) -> None:
    """Rules that were in force are never lost silently."""
    path = used.home / "routing_config.json"
    content = json.loads(path.read_bytes())
    path.unlink()
    assert used.ok("routes", "show", "--json").json()["rules"] == content["rules"]
    path.unlink()
    for version in (used.home / "routing_versions").iterdir():
        version.unlink()
    (used.home / "routing_decisions.jsonl").rename(used.root / "aside")
    assert used.run("routes", "show").code in (0, 1)


def test_missing_feedback_is_a_usage_error(used: Project) -> None:
    """`enforce` says which command writes it."""
    (used.home / "harness_feedback.json").unlink()
    used.run("enforce").assert_refused(2, "selfopt feedback")


@pytest.mark.parametrize("content", [b"not sqlite at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000], ids=["text", "torn"])
def test_a_damaged_ledger_is_named_refused_and_left_alone(used: Project, content: bytes) -> None:
    """Every command that needs it: exit 1, one line with the file; not a byte is changed."""
    path = used.home / "ledger.sqlite3"
    for side in ("-wal", "-shm"):
        Path(f"{path}{side}").unlink(missing_ok=True)
    path.write_bytes(content)
    for arguments in (("run", "good", "atomic"), ("feedback",), ("report",), ("show", "x"), ("decide", "good", "extended")):
        used.run(*arguments).assert_refused(1, "ledger.sqlite3")
        assert path.read_bytes() == content, arguments
    assert "FAIL  ledger" in used.run("doctor").out


def test_a_newer_ledger_is_named_refused_and_left_alone(used: Project) -> None:
    """A ledger of a newer selfopt: exit 1, the version, how to fix it."""
    path = used.home / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {version + 50}")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = path.read_bytes()
    used.run("run", "good", "atomic").assert_refused(1, "ledger.sqlite3", "newer")
    assert path.read_bytes() == before


def test_a_torn_last_line_of_the_trail_is_reported_and_set_aside(used: Project) -> None:
    """It does not verify until the next record sets the torn line aside; nothing acknowledged is lost."""
    path = used.home / "routing_decisions.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "half a li')
    verified = used.run("audit", "verify")
    assert verified.code == 100
    assert "its last line is incomplete" in verified.out
    doctor = used.run("doctor")
    assert doctor.code == 100
    assert "its last line is incomplete" in doctor.out
    used.ok("routes", "set", "good", "atomic", "--deny", "--reason", "after the crash")
    assert path.read_bytes().startswith(whole)
    after = used.ok("audit", "verify").out
    assert "set aside earlier" in after
    assert used.ok("audit", "verify", "--json").json()["ok"] is True


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
@pytest.mark.parametrize(
    "name", ["ledger.sqlite3", "routing_config.json", "routing_decisions.jsonl", "harness_feedback.json", "lock", "reports"]
)
def test_what_is_no_file_is_named_and_not_waited_for(used: Project, name: str, make: Callable[[Path], None]) -> None:
    """A pipe or a folder in the place of a file (a pipe in that of a folder): exit 1 with its name; nothing is lost in it."""
    path = used.home / name
    if path.is_dir():
        path.rename(used.root / "aside")
    path.unlink(missing_ok=True)
    make(path)
    commands: dict[str, list[tuple[str, ...]]] = {
        "ledger.sqlite3": [("run", "good", "atomic"), ("feedback",)],
        "routing_config.json": [("run", "good", "extended"), ("routes", "show")],
        "routing_decisions.jsonl": [
            ("run", "mute", "extended"),
            ("audit", "verify"),
            ("routes", "set", "good", "atomic", "--deny"),
        ],
        "harness_feedback.json": [("enforce",), ("feedback",)],
        "lock": [("supervise", "good", "atomic", "--runs", "1")],
        "reports": [] if make is os.mkdir else [("report",)],
    }
    for arguments in commands[name]:
        used.run(*arguments).assert_refused(1, name)
    used.run("doctor")


def test_a_log_that_is_a_pipe_is_written_anew(used: Project) -> None:
    """The readable log proves nothing: it neither stops a command nor makes it wait."""
    log = used.home / "routing_decisions.log"
    log.unlink()
    os.mkfifo(log)
    used.ok("routes", "set", "good", "atomic", "--deny")
    assert "rule_added" in log.read_text("utf-8")


def test_a_changed_record_is_found(used: Project) -> None:
    """One changed letter in the trail: `audit verify` exits 100 with the line, and `doctor` fails."""
    path = used.home / "routing_decisions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b"rule_added" in line)
    lines[place] = lines[place].replace(b"rule_added", b"rule_adden", 1)
    path.write_bytes(b"".join(lines))
    result = used.run("audit", "verify")
    assert result.code == 100
    assert f"does NOT verify at line {place + 1}" in result.out
    assert used.run("audit", "verify", "--json").json()["first_bad_line"] == place + 1
    assert "FAIL  audit trail" in used.run("doctor").out


def test_a_cut_trail_is_found(used: Project) -> None:
    """The trail was replaced by an empty file: what was sealed elsewhere is missing."""
    (used.home / "routing_decisions.jsonl").write_bytes(b"")
    result = used.run("audit", "verify")
    assert result.code == 100
    assert "does NOT verify as a whole" in result.out


def test_rules_that_were_edited_by_hand_are_found(used: Project) -> None:
    """routing_config.json is edited only through `routes import`; verify says so."""
    path = used.home / "routing_config.json"
    path.write_bytes(path.read_bytes().replace(b'"allow": false', b'"allow": true', 1))
    assert "edited by hand" in used.run("audit", "verify").out


def test_a_symlink_in_the_place_of_a_file_is_not_written_through(project: Project) -> None:
    """harness_feedback.json as a link to a file elsewhere: that file keeps its content."""
    project.ok("run", "good", "atomic")
    target = project.write("precious.json", '{"schema_version": 1, "generated_at": "x"}')
    (project.home / "harness_feedback.json").symlink_to(target)
    result = project.run("feedback")
    assert target.read_text("utf-8") == '{"schema_version": 1, "generated_at": "x"}'
    assert result.code in (0, 1)
    assert "Traceback" not in result.err


@pytest.fixture
def small_disk(project: Project) -> Iterator[Project]:
    """The home on a disk of its own that is too small."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    project.home.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(project.home)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield project
    subprocess.run(["umount", "-l", str(project.home)], check=True)


def fill(home: Path) -> None:
    """Take what is left of the disk."""
    with open(home / "filler", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_full_disk_is_one_line_and_nothing_is_half_written(small_disk: Project) -> None:
    """Measuring, feedback, rules, reports on a full disk: exit 1, one line; when there is room again, everything goes on."""
    small_disk.ok("run", "good", "atomic")
    small_disk.ok("run", "mute", "extended")
    small_disk.ok("feedback")
    small_disk.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good")
    fill(small_disk.home)
    before = {name: data for name, data in small_disk.files().items() if name != "filler"}
    commands = [
        ("supervise", "good", "atomic", "--runs", "20"),
        ("routes", "set", "good", "atomic", "--deny"),
        ("report",),
        ("run", "mute", "extended"),
    ]
    for arguments in commands:
        result = small_disk.run(*arguments)
        result.assert_refused(1)
        assert "space" in result.err or "full" in result.err, (arguments, result.err)
    after = small_disk.files()
    for name in ("routing_config.json", "harness_feedback.json"):
        assert after[name] == before[name], name
    # A short record may still have fitted into the last page of the trail; what was there is there.
    assert after["routing_decisions.jsonl"].startswith(before["routing_decisions.jsonl"])
    (small_disk.home / "filler").unlink()
    assert small_disk.ok("audit", "verify", "--json").json()["ok"] is True
    small_disk.ok("run", "good", "atomic", "--limit", "1")
    assert "Routed from" in small_disk.ok("run", "mute", "extended", "--limit", "1").err


def test_a_home_that_may_not_be_written_is_one_line(project: Project) -> None:
    """Read-only folder (skipped for root, who may write anywhere)."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    project.home.mkdir(mode=0o500)
    project.run("run", "good", "atomic").assert_refused(1, str(project.home))
