"""Reading many records as the JSON that is stored."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, StoreError
from selfopt.export import Selection, table_rows
from selfopt.ledger import MemoryLedger, open_bodies, open_ledger
from selfopt.records import Blob, Ledger, Trial, Verdict

from .samples import BLOB, trial, verdict

TRIALS = [trial(f"trial-{n:03}") for n in range(7)]


async def test_pages_hold_every_record_in_order_in_every_ledger(tmp_path: Path) -> None:
    """The file and the memory give the same."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    memory = MemoryLedger()
    for each in (ledger, memory):
        await each.append([BLOB, *TRIALS, verdict("trial-000")])
        with open_bodies(each) as bodies:
            pages = list(bodies.pages(Trial, 3))
            assert [page.count for page in pages] == [3, 3, 1]
            assert [row["trial_id"] for page in pages for row in json.loads(page.joined or b"[]")] == [t.trial_id for t in TRIALS]
            assert [body.id for page in pages for body in page.each()] == [t.trial_id for t in TRIALS]
            assert [len(page.times) for page in bodies.pages(Verdict, 3, timed=True)] == [1]
            assert list(bodies.some(Trial, ["trial-003", "trial-nope"])) == ["trial-003"]
            assert bodies.texts([BLOB.blob_hash, Blob.of("x").blob_hash]) == {BLOB.blob_hash: BLOB.text}
        rows = [values["trial_id"] for values in table_rows("trials", Selection(), each)]
        assert [name for names in rows for name in names] == [t.trial_id for t in TRIALS]
    ledger.close()


@pytest.mark.parametrize("body", ["{", '{"trial_id":1}', "null", '{"a":1},{"b":2}'])
async def test_a_damaged_record_is_named(tmp_path: Path, body: str) -> None:
    """Whatever stands in its place, also what would pass for two."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    await ledger.append(TRIALS)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE records SET body = ? WHERE id = 'trial-004'", (body,))
    connection.commit()
    connection.close()
    with pytest.raises(CorruptError, match="trial-004"):
        list(table_rows("trials", Selection(), ledger))
    ledger.close()


async def test_a_ledger_that_fails_on_the_way_is_named(tmp_path: Path) -> None:
    """Whatever goes wrong between two pages."""
    path = tmp_path / "ledger.sqlite3"
    ledger = open_ledger(path)
    await ledger.append(TRIALS)
    connection = sqlite3.connect(path)
    with pytest.raises(StoreError, match=r"ledger\.sqlite3"):
        _read_until_it_fails(ledger, connection)
    connection.close()
    ledger.close()


def _read_until_it_fails(ledger: Ledger, connection: sqlite3.Connection) -> None:
    with open_bodies(ledger) as bodies:
        pages = bodies.pages(Trial, 1)
        next(pages)
        connection.execute("ALTER TABLE records RENAME TO gone")
        connection.commit()
        list(pages)
