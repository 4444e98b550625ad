"""A ledger that cannot be written: of another user, on a mounted image, in a backup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selfopt.errors import ReadOnlyError
from selfopt.ledger import open_ledger, verify_ledger_file
from selfopt.ledger.unwritable import is_read_only, read_only_uri
from selfopt.records import Blob, Trial
from tests.ledger import samples


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with one trial in a folder where nothing may be written. Root may, so the system's answer is replaced."""
    path = tmp_path / "home" / "ledger.sqlite3"
    ledger = open_ledger(path)
    samples.put(ledger, [Blob.of("a reply " * 60), samples.start("t-1"), samples.trial("t-1")])
    ledger.close()
    monkeypatch.setattr(os, "access", lambda found, mode: mode == os.R_OK)
    return path


def test_it_is_read_and_nothing_beside_it_is_made(sealed: Path) -> None:
    """No journal, no shared memory, not one byte."""
    before = sealed.read_bytes()
    ledger = open_ledger(sealed)
    assert ledger.read_only
    assert [trial.trial_id for trial in ledger.read(Trial)] == ["t-1"]
    assert ledger.check() == []
    assert verify_ledger_file(sealed, {}).ok
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]
    ledger.close()
    assert sealed.read_bytes() == before


def test_what_is_stored_may_be_appended_again_and_nothing_else(sealed: Path) -> None:
    """That changes nothing, so that finished work is shown again."""
    ledger = open_ledger(sealed)
    samples.put(ledger, [Blob.of("a reply " * 60), samples.start("t-1"), samples.trial("t-1")])
    for batch in ([samples.trial("t-2")], [Blob.of("another reply " * 60)]):
        with pytest.raises(ReadOnlyError, match=r"cannot be written; check .* or choose another with --home"):
            samples.put(ledger, batch)
    ledger.close()


def test_an_older_file_that_would_have_to_be_brought_up_to_date_is_refused(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr("selfopt.ledger.sqlite.needs_migration", lambda *_: True)
    with pytest.raises(ReadOnlyError, match="make it writable, or copy the home"):
        open_ledger(sealed)


def test_a_file_with_a_journal_is_not_taken_for_one_that_rests(sealed: Path) -> None:
    """Its newest records are in the journal."""
    assert read_only_uri(sealed).endswith("?mode=ro&immutable=1")
    sealed.with_name("ledger.sqlite3-wal").write_bytes(b"")
    assert read_only_uri(sealed).endswith("?mode=ro")


def test_a_missing_file_is_none_that_cannot_be_written(sealed: Path) -> None:
    """It may still be made, or the error says why not."""
    assert is_read_only(sealed)
    assert not is_read_only(sealed.with_name("other.sqlite3"))
