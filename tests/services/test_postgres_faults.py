"""What a ledger in PostgreSQL does when the database, the network or the user is at fault."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, LockedError, NewerSchemaError, StoreError, UsageError
from selfopt.home import ChainedFile
from selfopt.ledger import read_ledger_seals
from selfopt.ledger.postgres import PostgresLedger, open_postgres_ledger
from selfopt.ledger.postgres_schema import migrate
from selfopt.ledger.postgres_verifying import verify_database
from selfopt.ledger.sealing import LedgerSeals
from selfopt.records import Blob, Trial, TrialStart, Verdict
from tests.ledger import samples

from .postgres_server import Server, make_server, select_nothing

pytestmark = pytest.mark.services


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of one test, which may kill it. It syncs as a real one does."""
    server = make_server(durable=True)
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _wait_until(there: Callable[[], bool]) -> None:
    while not there():
        select_nothing()


async def test_a_server_killed_in_the_middle_loses_and_doubles_nothing(mortal: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Sixteen askers go on over two crashes: each trial is there once, in whole, and every commit verifies."""
    url = mortal.ledger()
    ledger = open_postgres_ledger(url, patience_s=60)
    done = 0
    reached = {count: asyncio.Event() for count in (60, 200)}

    async def ask(number: int) -> None:
        nonlocal done
        for n in range(30):
            name = f"trial-{number}-{n}"
            await ledger.append([Blob.of(f"{name} request"), samples.start(name), samples.trial(name), samples.verdict(name)])
            done += 1
            if done in reached:
                reached[done].set()

    tasks = [asyncio.create_task(ask(number)) for number in range(16)]
    for crash in reached.values():
        await crash.wait()
        await asyncio.to_thread(mortal.kill)
        await asyncio.to_thread(mortal.start)
    await asyncio.gather(*tasks)
    names = sorted(trial.trial_id for trial in ledger.read(Trial))
    assert names == sorted(f"trial-{number}-{n}" for number in range(16) for n in range(30))
    assert [len(ledger.ids(kind)) for kind in (Blob, TrialStart, Verdict)] == [480] * 3
    ledger.close()
    report = verify_database(url, {})
    assert (report.ok, report.faults, report.records, report.blobs) == (True, (), 1440, 480)
    assert "is away" in caplog.text
    assert "is back" in caplog.text


async def test_a_commit_whose_answer_is_lost_is_found_and_not_repeated(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks after the server has committed: the writer's chain goes on behind that commit."""
    url = postgres.ledger()
    ledger = open_postgres_ledger(url, patience_s=30)
    storing = ledger._storing
    broken: list[object] = []
    write = storing._write

    def write_and_lose(connection: object, *rest: object) -> None:
        write(connection, *rest)  # type: ignore[arg-type]
        if not broken:
            broken.append(storing)
            storing.unsure = rest[-1]  # type: ignore[assignment]
            connection.close()  # type: ignore[attr-defined]
            connection.execute("SELECT 1")  # type: ignore[attr-defined]

    monkeypatch.setattr(type(storing), "_write", lambda self, *rest: write_and_lose(*rest))
    await ledger.append([samples.trial()])
    await ledger.append([samples.trial("trial-2")])
    assert broken
    assert [t.trial_id for t in ledger.read(Trial)] == ["trial-1", "trial-2"]
    assert [head.n for head in ledger.unsealed()[1]] == [2]
    ledger.close()
    assert verify_database(url, {}).ok


async def test_patience_ends_with_one_line_and_the_same_work_goes_on_later(mortal: Server) -> None:
    """A database that stays away is a StoreError; once it is back, a new ledger holds what was stored."""
    url = mortal.ledger()
    ledger = open_postgres_ledger(url, patience_s=0.3)
    await ledger.append([samples.trial()])
    mortal.kill()
    with pytest.raises(StoreError, match=r"did not return within 0.3 s .*repeat the command once it is back"):
        await ledger.append([samples.trial("trial-2")])
    ledger.close()
    with pytest.raises(StoreError, match=r"cannot be reached: .*check that it runs"):
        open_postgres_ledger(url)
    mortal.start()
    ledger = open_postgres_ledger(url)
    await ledger.append([samples.trial(), samples.trial("trial-2")])
    assert [t.trial_id for t in ledger.read(Trial)] == ["trial-1", "trial-2"]
    ledger.close()


async def test_who_is_cancelled_does_not_wait_for_a_database_that_is_away(mortal: Server) -> None:
    """Ctrl-C ends an append at once, however long the patience."""
    ledger = open_postgres_ledger(mortal.ledger(), patience_s=3600)
    mortal.kill()
    task = asyncio.create_task(ledger.append([samples.trial()]))
    await asyncio.to_thread(_wait_until, lambda: ledger._writer._waiting)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)
    ledger.close()


def test_one_process_measures_a_model_and_its_lock_dies_with_its_session(postgres: Server) -> None:
    """The second is told who has the lock, and gets none of its other ones. When the first session ends in any way, the lock is free."""
    url = postgres.ledger()
    one, other = open_postgres_ledger(url), open_postgres_ledger(url)
    one.take(["model a", "server x"], "loop")
    told = rf'server x is held by process {os.getpid()} on .* \("loop", since 20.*Z\) under .*; wait for it to end'
    with pytest.raises(LockedError, match=told):
        other.take(["model b", "server x"], "compare")
    assert [(holder.name, holder.purpose) for holder in other.holders()] == [("model a", "loop"), ("server x", "loop")]
    other.take(["model b"], "compare")
    one.close()
    other.take(["model a", "server x"], "compare")
    assert [holder.name for holder in other.holders()] == ["model a", "model b", "server x"]
    other.give_back(["model a", "model b", "server x"])
    assert other.holders() == ()
    other.close()


async def test_a_session_that_lost_its_lock_to_another_writes_nothing(postgres: Server) -> None:
    """The server ends the session, another process takes the lock: the first one stops."""
    url = postgres.ledger()
    one, other = open_postgres_ledger(url, patience_s=0.5), open_postgres_ledger(url)
    one.take(["model a"], "loop")
    pid = one._writer.run(lambda connection: connection.info.backend_pid)
    postgres.execute("postgres", f"SELECT pg_terminate_backend({pid}, 10000)")
    other.take(["model a"], "run")
    with pytest.raises(LockedError, match="is held by"):
        await one.append([samples.trial()])
    assert list(other.read(Trial)) == []
    one.close()
    other.close()


async def test_a_session_whose_lock_another_had_meanwhile_writes_nothing(postgres: Server) -> None:
    """The other process is through and gone: the first one would write into what is finished, so it stops all the same."""
    url = postgres.ledger()
    one, other = open_postgres_ledger(url, patience_s=60), open_postgres_ledger(url)
    one.take(["model a", "model b"], "loop")
    pid = one._writer.run(lambda connection: connection.info.backend_pid)
    postgres.execute("postgres", f"SELECT pg_terminate_backend({pid}, 10000)")
    other.take(["model b"], "run")
    other.close()
    for _ in range(2):
        with pytest.raises(StoreError, match=r'model b was taken meanwhile by .*"run".* nothing more is written'):
            await one.append([samples.trial()])
    assert list(one.read(Trial)) == []
    assert one.holders() == ()
    one.close()


async def test_a_session_that_lost_its_lock_to_nobody_goes_on(postgres: Server) -> None:
    """It takes it again, and others are refused as before."""
    url = postgres.ledger()
    one, other = open_postgres_ledger(url, patience_s=60), open_postgres_ledger(url)
    one.take(["model a"], "loop")
    pid = one._writer.run(lambda connection: connection.info.backend_pid)
    postgres.execute("postgres", f"SELECT pg_terminate_backend({pid}, 10000)")
    await one.append([samples.trial()])
    with pytest.raises(LockedError):
        other.take(["model a"], "loop")
    one.close()
    other.close()


async def test_nobody_changes_or_deletes_what_is_stored(postgres: Server) -> None:
    """The writer's role has no such privilege, and triggers refuse the owner, in every partition."""
    import psycopg

    url = postgres.ledger()
    database = url.rpartition("/")[2]
    ledger = open_postgres_ledger(url)
    await ledger.append([samples.BLOB, samples.trial()])
    ledger.close()
    postgres.execute(database, "DROP ROLE IF EXISTS measurer", "CREATE ROLE measurer LOGIN")
    assert migrate(url, ["measurer"]) == (2, 2)
    theirs = open_postgres_ledger(postgres.url(database, "measurer"))
    await theirs.append([samples.trial("trial-2"), Blob.of("theirs")])
    assert len(theirs.ids(Trial)) == 2
    theirs.close()
    parts = [name for (name,) in postgres.execute(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'selfopt'")]
    assert len([name for name in parts if name.startswith("records_20")]) >= 4
    stored = [name for name in parts if name not in ("schema_versions", "indexed_fields", "ledger")]
    for user in ("owner", "measurer"):
        for table in stored:
            column = {"commits": "writer", "blobs": "hash", "rule_versions": "node", "holders": "host"}.get(table, "kind")
            for change in ("DELETE FROM selfopt.{}", f"UPDATE selfopt.{{}} SET {column} = 'x'", "TRUNCATE selfopt.{}"):
                rows = postgres.execute(database, f"SELECT count(*) FROM selfopt.{table}")[0][0] if user == "owner" else 1
                if rows == 0 and table.startswith("records_"):
                    continue  # a trigger of rows has no row to refuse
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    postgres.execute(database, change.format(table), user=user)
    assert verify_database(url, {}).ok


async def test_changes_behind_the_triggers_are_found(postgres: Server, tmp_path: Path) -> None:
    """An owner who switches the triggers off can change a record, and the check says which."""
    url = postgres.ledger()
    database = url.rpartition("/")[2]
    trail = ChainedFile(tmp_path / "trail.jsonl")
    seals = LedgerSeals(trail, commits=1)
    ledger = open_postgres_ledger(url, after_commit=seals.committed, note=tmp_path / "note.json")
    await ledger.append([samples.trial(), samples.BLOB])
    await ledger.append([samples.verdict()])
    sealed = read_ledger_seals(trail, ledger.ledger_id)
    assert [max(numbers) for numbers in sealed.values()] == [2]
    assert read_ledger_seals(trail) == {}
    assert ledger.unsealed() == (0, [])
    ledger.close()
    assert verify_database(url, sealed).unsealed == 0
    off = "SET session_replication_role = replica"
    postgres.execute(database, off, "UPDATE selfopt.records SET body = replace(body, '1', '2') WHERE kind = 'verdict'")
    faults = verify_database(url, sealed).faults
    assert ("verdict", "changed") in {(fault.kind, fault.what) for fault in faults}
    postgres.execute(database, off, "DELETE FROM selfopt.commits WHERE n = 2")
    assert "the audit trail sealed 2" in " ".join(fault.detail for fault in verify_database(url, sealed).faults)


def test_what_cannot_be_used_is_told_in_one_line(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer schema, a database without a ledger, one of another program, a wrong password, an unknown database or user."""
    url = postgres.ledger()
    database = url.rpartition("/")[2]
    bare = postgres.database()
    with pytest.raises(StoreError, match="holds no ledger of selfopt; make one there with: selfopt ledger migrate"):
        open_postgres_ledger(postgres.url(bare))
    postgres.execute(bare, "CREATE SCHEMA selfopt")
    for use in (open_postgres_ledger, migrate):
        with pytest.raises(StoreError, match="a schema named selfopt that is no ledger; it was left as it is"):
            use(postgres.url(bare))
    postgres.execute(database, "INSERT INTO selfopt.schema_versions VALUES (99)")
    for use in (open_postgres_ledger, migrate):
        with pytest.raises(NewerSchemaError, match=r"schema version 99, this selfopt reads up to 2; .*update selfopt"):
            use(url)
    with pytest.raises(StoreError, match="create the database, or correct the setting ledger"):
        open_postgres_ledger(postgres.url("nowhere"))
    with pytest.raises(UsageError, match="has no user 'nobody-here'"):
        migrate(postgres.ledger(), ["nobody-here"])
    postgres.execute("postgres", "DROP ROLE IF EXISTS keyed", "CREATE ROLE keyed LOGIN PASSWORD 'right-word'")
    monkeypatch.setenv("PGPASSWORD", "wrong-word")
    with pytest.raises(StoreError, match=r"check the user, and the password in ~/\.pgpass") as told:
        open_postgres_ledger(postgres.url(database, "keyed"))
    assert "wrong-word" not in str(told.value)
    assert "\n" not in str(told.value)
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(StoreError, match=r"check the user, and the password in ~/\.pgpass"):
        open_postgres_ledger(postgres.url(database, "keyed"))
    monkeypatch.setenv("PGPASSWORD", "right-word")
    url = postgres.url(postgres.ledger().rpartition("/")[2], "keyed")
    with pytest.raises(StoreError, match="a loop needs the role selfopt_writer"):
        open_postgres_ledger(url)


async def test_an_id_that_postgresql_cannot_hold_is_refused_alone(postgres: Server) -> None:
    """NUL and half characters: the other appends of the same transaction are stored."""
    ledger = open_postgres_ledger(postgres.ledger())
    bad = [samples.trial("a\x00b"), samples.trial("a\ud800b"), samples.trial("x" * 5000)]
    told = await asyncio.gather(*(ledger.append([one]) for one in (samples.trial(), *bad)), return_exceptions=True)
    assert [type(answer) for answer in told] == [type(None), StoreError, StoreError, StoreError]
    assert ledger.ids(Trial) == ["trial-1"]
    assert list(ledger.read(Trial, {"id": "a\x00b"})) == []
    ledger.close()


def test_many_processes_worth_of_writers_append_at_once(postgres: Server) -> None:
    """Eight ledgers of one database, each with its own chain: all is there once, and verifies."""
    url = postgres.ledger()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        async def appends(ledger: PostgresLedger) -> None:
            for n in range(20):
                await ledger.append([Blob.of(f"shared {n}"), samples.trial(f"trial-{n}"), samples.trial(f"trial-{number}-{n}")])

        try:
            ledger = open_postgres_ledger(url)
            asyncio.run(appends(ledger))
            ledger.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    report = verify_database(url, {})
    assert (report.ok, report.records, report.blobs) == (True, 180, 20)


async def test_another_content_under_a_known_id_is_refused_over_machines(postgres: Server) -> None:
    """Also where the other writer came first."""
    url = postgres.ledger()
    one, other = open_postgres_ledger(url), open_postgres_ledger(url)
    await one.append([samples.trial()])
    with pytest.raises(CorruptError, match="another trial trial-1"):
        await other.append([samples.trial(latency_ms=99.0)])
    one.close()
    other.close()


async def test_a_database_of_the_first_version_is_brought_up_to_date(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then a line names the command; afterwards what it held is there, and a gateway's user sees who holds what."""
    from selfopt.ledger import postgres_schema

    url = postgres.url(postgres.database())
    database = url.rpartition("/")[2]
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:1])
        patch.setattr(postgres_schema, "POSTGRES_SCHEMA_VERSION", 1)
        grants = [text for text in postgres_schema._GRANTS if "holders" not in text]
        patch.setattr(postgres_schema, "_GRANTS", grants)
        migrate(url)
        ledger = open_postgres_ledger(url)
        await ledger.append([samples.trial()])
        ledger.close()
    with pytest.raises(StoreError, match="schema version 1, this selfopt needs 2; bring it up to date: selfopt ledger migrate"):
        open_postgres_ledger(url)
    postgres.execute(database, "DROP ROLE IF EXISTS door", "CREATE ROLE door LOGIN")
    assert migrate(url, gateways=["door"]) == (1, 2)
    ledger = open_postgres_ledger(url)
    assert ledger.ids(Trial) == ["trial-1"]
    ledger.take(["model a"], "loop")
    assert postgres.execute(database, "SELECT name FROM selfopt.holders", user="door") == [("model a",)]
    ledger.close()
    assert verify_database(url, {}).ok
