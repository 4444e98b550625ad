"""A ledger file moves into a database: everything, in its order, once, and provably."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from selfopt.errors import StoreError
from selfopt.ledger import open_ledger
from selfopt.ledger.codec import record_types
from selfopt.ledger.importing import import_file
from selfopt.ledger.postgres import PostgresLedger, open_postgres_ledger
from selfopt.ledger.postgres_verifying import verify_database
from selfopt.records import Blob, Cycle, Trial
from tests.cli.conftest import project
from tests.cli.world import Project
from tests.ledger import samples

from .postgres_server import Server

__all__ = ["project"]
pytestmark = pytest.mark.services

LOOP = ("loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api")


@pytest.fixture
def measured(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that has measured a cycle in a file."""
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    project.user_config.touch()
    done = project.run(*LOOP)
    assert done.code == 0, done.err
    return project


def use(project: Project, url: str) -> None:
    """Name the database."""
    project.user_config.write_text(f'ledger = "{url}"\n', "utf-8")


def in_order(path: Path) -> list[tuple[str, str]]:
    """Kind and id of each record of a file, in order."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT kind, id FROM records ORDER BY seq").fetchall()


def kept(server: Server, url: str) -> list[tuple[str, str]]:
    """Kind and id of each record of a database, in order."""
    found = server.execute(url.rpartition("/")[2], "SELECT kind, id FROM selfopt.record_keys ORDER BY seq")
    return [(str(kind), str(name)) for kind, name in found]


def test_everything_moves_once_and_the_work_goes_on_there(postgres: Server, measured: Project) -> None:
    """Ids, order, texts; a second import adds nothing; the next cycle is number 2; both verify, and the file stays as it is."""
    path = measured.home / "ledger.sqlite3"
    ids, before = in_order(path), sha256(path.read_bytes()).digest()
    url = postgres.ledger()
    use(measured, url)
    done = measured.run("ledger", "import", "--json")
    assert done.code == 0, done.err
    told = done.json()
    assert (told["records"], told["new_records"]) == (len(ids), len(ids))
    assert told["blobs"] == told["new_blobs"] > 0
    assert kept(postgres, url) == ids
    again = measured.run("ledger", "import", str(measured.home), "--json").json()
    assert (again["new_records"], again["new_blobs"], again["digest"]) == (0, 0, told["digest"])
    assert kept(postgres, url) == ids
    assert sha256(path.read_bytes()).digest() == before
    file, database = open_ledger(path), open_postgres_ledger(url)
    for kind in record_types().values():
        assert list(database.read(kind)) == list(file.read(kind))
    file.close()
    database.close()
    shown = measured.run("ledger", "show", "--json").json()
    assert (sum(shown["records"].values()), shown["blobs"]) == (len(ids), told["blobs"])
    assert shown["size_bytes"] > 0
    assert f"{len(ids)} records" in measured.run("ledger", "show").out
    assert measured.run(*LOOP).code == 0
    verified = measured.run("audit", "verify", "--json")
    assert verified.code == 0, verified.out
    ledger = open_postgres_ledger(url)
    assert [cycle.number for cycle in ledger.read(Cycle)] == [1, 2]
    ledger.close()
    events = [json.loads(line) for line in (measured.home / "routing_decisions.jsonl").read_text("utf-8").splitlines()]
    imported = [event["details"] for event in events if event["event"] == "ledger_imported"]
    assert [one["digest"] for one in imported] == [told["digest"]] * 2
    sealed = [head for event in events if event["event"] == "ledger_sealed" for head in event["details"]["heads"]]
    assert all(head in sealed for head in imported[0]["heads"])


def test_what_the_database_has_measured_since_is_no_reason_to_import_again(postgres: Server, measured: Project) -> None:
    """An import that has nothing to add says so; one that would put older baselines on top is refused before anything is stored."""
    url, other = postgres.ledger(), postgres.ledger()
    use(measured, url)
    assert measured.run("ledger", "import").code == 0
    assert measured.run(*LOOP[:-1], "scripted/writer atomic few_shot").code == 0
    assert "0 records" in measured.run("ledger", "import").out
    use(measured, other)
    assert measured.run("--home", str(measured.root / "else"), *LOOP[:-1], "scripted/writer atomic few_shot").code == 0
    there = kept(postgres, other)
    measured.run("ledger", "import").assert_refused(1, "baselines of scripted/writer", "nothing was imported")
    assert kept(postgres, other) == there


def test_an_interrupted_import_goes_on(postgres: Server, measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts come first; what is stored already is not stored again."""
    path, url = measured.home / "ledger.sqlite3", postgres.ledger()
    monkeypatch.setattr("selfopt.ledger.importing._TOGETHER", 7)
    store, calls = PostgresLedger.store_parts, 0

    def stops(self: PostgresLedger, *part: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise StoreError("the database went away")
        store(self, *part)  # type: ignore[arg-type]

    ledger = open_postgres_ledger(url)
    with monkeypatch.context() as patch:
        patch.setattr(PostgresLedger, "store_parts", stops)
        with pytest.raises(StoreError):
            import_file(path, ledger)
    assert 0 < len(kept(postgres, url)) < len(in_order(path))
    done = import_file(path, ledger)
    assert 0 < done.new_records < done.records
    assert done.new_blobs == 0
    assert kept(postgres, url) == in_order(path)
    ledger.close()
    assert verify_database(url, {}).ok


def test_what_cannot_be_imported_is_refused_in_one_line(postgres: Server, measured: Project, tmp_path: Path) -> None:
    """No database, no file, a damaged record, a file that is none, other content under a known id: nothing is imported."""
    measured.run("ledger", "import").assert_refused(2, "name no database")
    url = postgres.ledger()
    use(measured, url)
    measured.run("ledger", "import", str(tmp_path / "nothing")).assert_refused(2, "there is no ledger at")
    junk = tmp_path / "junk.sqlite3"
    junk.write_bytes(b"x" * 5000)
    measured.run("ledger", "import", str(junk)).assert_refused(1, "junk.sqlite3")
    path = measured.home / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE records SET body = replace(body, '\"fault\":null', '\"fault\":\"error\"') WHERE kind = 'trial'"
        )
        connection.commit()
    measured.run("ledger", "import").assert_refused(1, "not what was committed", "nothing was imported")
    assert kept(postgres, url) == []


async def test_other_content_under_a_known_id_ends_the_import(postgres: Server, tmp_path: Path) -> None:
    """The database's record stays, and a line names it."""
    url = postgres.ledger()
    file, database = open_ledger(tmp_path / "ledger.sqlite3"), open_postgres_ledger(url)
    await file.append([Blob.of("a text"), samples.trial(), samples.trial("trial-2")])
    await database.append([samples.trial(latency_ms=99.0)])
    file.close()
    with pytest.raises(StoreError, match="already has another trial trial-1"):
        import_file(tmp_path / "ledger.sqlite3", database)
    assert [trial.latency_ms for trial in database.read(Trial)] == [99.0]
    database.close()
