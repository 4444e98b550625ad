"""What a ledger does when the S3 server, the network before it, its objects or the user's rights are at fault."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, SettingsError, StoreError
from selfopt.ledger import ObjectBlobs, open_ledger, verify_ledger_file
from selfopt.ledger.importing import import_file
from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.ledger.postgres_verifying import verify_database
from selfopt.records import Blob, TrialStart
from tests.ledger import samples
from tests.ledger.test_blobs import large

from .conftest import point_to
from .object_server import Network, ObjectServer
from .postgres_server import Server, select_nothing

pytestmark = pytest.mark.services


@pytest.fixture
def network(objects: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A network of this test's own before the server."""
    made = Network(objects.port)
    made.start()
    point_to(made.url, monkeypatch)
    yield made
    made.cut()


def _object(place: str, blob: Blob) -> str:
    return f"{place.removeprefix('s3://')}/{blob.blob_hash[:2]}/{blob.blob_hash}.z"


async def test_a_cut_network_in_mid_run_loses_and_doubles_nothing(network: Network, tmp_path: Path) -> None:
    """Sixteen askers go on over two cuts; every text is there, and every commit verifies."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/cut", 120))
    done = 0
    reached = {count: asyncio.Event() for count in (20, 60)}

    async def ask(number: int) -> None:
        nonlocal done
        for n in range(6):
            await ledger.append([large(100 * number + n), samples.start(f"trial-{number}-{n}")])
            done += 1
            if done in reached:
                reached[done].set()

    tasks = [asyncio.create_task(ask(number)) for number in range(16)]
    for cut in reached.values():
        await cut.wait()
        network.cut()
        await asyncio.to_thread(select_nothing)
        network.start()
    await asyncio.gather(*tasks)
    assert len(list(ledger.read(TrialStart))) == 96
    assert {blob.blob_hash for blob in ledger.read(Blob)} == {large(100 * k + n).blob_hash for k in range(16) for n in range(6)}
    ledger.close()
    report = verify_ledger_file(ledger.path, {})
    assert (report.ok, report.blobs) == (True, 96)


async def test_patience_ends_in_one_line_and_the_next_try_succeeds(network: Network, tmp_path: Path) -> None:
    """Nothing of what was refused is there."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/patience", 1))
    await ledger.append([large(1)])
    network.cut()
    with pytest.raises(StoreError, match="did not return within 1 s") as caught:
        await ledger.append([large(2), samples.start()])
    assert "\n" not in str(caught.value)
    assert list(ledger.read(TrialStart)) == []
    network.start()
    await ledger.append([large(2), samples.start()])
    assert list(ledger.read(Blob)) == [large(1), large(2)]
    ledger.close()


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from selfopt.ledger import ObjectBlobs, SqliteLedger, open_ledger
from tests.ledger import samples
from tests.ledger.test_blobs import large
ledger = open_ledger(Path(sys.argv[1]), blobs=ObjectBlobs("s3://texts/killed", 60))
SqliteLedger._write = lambda self, work: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(ledger.append([large(1), samples.start()]))
"""


async def test_a_kill_between_text_and_commit_leaves_a_text_that_nobody_names(objects: ObjectServer, tmp_path: Path) -> None:
    """The ledger is as before; the same append later stores both."""
    path = tmp_path / "ledger.sqlite3"
    command = [sys.executable, "-c", _KILLED, str(path)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=Path(__file__).parents[2], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert _object("killed", large(1)) in objects.keys("texts")
    ledger = open_ledger(path, blobs=ObjectBlobs("s3://texts/killed", 60))
    assert list(ledger.read(Blob)) == []
    assert list(ledger.read(TrialStart)) == []
    await ledger.append([large(1), samples.start()])
    assert list(ledger.read(Blob)) == [large(1)]
    ledger.close()
    assert verify_ledger_file(path, {}).ok


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_changed_objects_are_found(objects: ObjectServer, postgres: Server, tmp_path: Path, kind: str) -> None:
    """Another text, an emptied object, a removed one: a read names the hash, `audit verify` names each."""
    place, url = f"s3://texts/changed-{kind}", postgres.ledger()
    blobs = ObjectBlobs(place, 60)
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=blobs) if kind == "sqlite" else open_postgres_ledger(url, blobs=blobs)
    texts = [large(n) for n in range(5)]
    await ledger.append([*texts, Blob.of("small")])
    objects.put(_object(place, texts[0]), zlib.compress(b"another text"))
    objects.put(_object(place, texts[1]), b"")
    objects.delete(_object(place, texts[2]))
    for text in texts[:3]:
        with pytest.raises(CorruptError, match=text.blob_hash) as caught:
            list(ledger.read(Blob, {"id": text.blob_hash}))
        assert "\n" not in str(caught.value)
    assert list(ledger.read(Blob, {"id": texts[3].blob_hash})) == [texts[3]]
    ledger.close()
    report = verify_ledger_file(tmp_path / "ledger.sqlite3", {}) if kind == "sqlite" else verify_database(url, {})
    found = {fault.id: (fault.what, fault.detail) for fault in report.faults}
    detail = f"its text in {place}"
    wanted = [("changed", detail), ("changed", detail), ("missing", detail)]
    assert found == dict(zip([text.blob_hash for text in texts[:3]], wanted, strict=True))


async def test_a_file_with_texts_elsewhere_moves_to_a_database(objects: ObjectServer, postgres: Server, tmp_path: Path) -> None:
    """Texts are read from where they are and stored where the database's setting says; a lost one is named."""
    file = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/moved-from", 60))
    await file.append([large(1), large(2), Blob.of("small"), samples.start()])
    file.close()
    ledger = open_postgres_ledger(postgres.ledger(), blobs=ObjectBlobs("s3://texts/moved-to", 60))
    done = import_file(file.path, ledger)
    assert (done.new_records, done.new_blobs) == (1, 3)
    assert list(ledger.read(Blob)) == [large(1), large(2), Blob.of("small")]
    assert _object("s3://texts/moved-to", large(1)).removeprefix("texts/") in objects.keys("texts")
    ledger.close()
    objects.delete(_object("s3://texts/moved-from", large(1)))
    ledger = open_postgres_ledger(postgres.ledger())
    with pytest.raises(CorruptError, match=f"the text of blob {large(1).blob_hash} is not there in s3://texts/moved-from"):
        import_file(file.path, ledger)
    ledger.close()


async def test_an_object_of_a_gigabyte_is_not_taken_into_memory(network: Network, objects: ObjectServer, tmp_path: Path) -> None:
    """It claims a hash; only as much of it is read as the text could have."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/huge", 60))
    await ledger.append([large(1)])
    objects.put(_object("s3://texts/huge", large(1)), bytes(1 << 30))
    before = network.received
    with pytest.raises(CorruptError, match=large(1).blob_hash):
        list(ledger.read(Blob))
    assert network.received - before < 100_000
    ledger.close()
    objects.delete(_object("s3://texts/huge", large(1)))


async def test_a_bucket_that_does_not_exist_is_named(objects: ObjectServer, tmp_path: Path) -> None:
    """At once, and nothing is stored."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://nowhere/x", 60))
    with pytest.raises(StoreError, match=r"s3://nowhere/x does not exist .*; make it or mount it, or change the setting blobs"):
        await ledger.append([large(1), samples.start()])
    assert list(ledger.read(TrialStart)) == []
    ledger.close()


async def test_a_bucket_that_was_removed_is_no_damage(objects: ObjectServer, tmp_path: Path) -> None:
    """Reading and verifying say so in one line, and no text is called missing."""
    objects.make_bucket("short-lived")
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://short-lived/x", 60))
    await ledger.append([large(1)])
    objects.delete(_object("s3://short-lived/x", large(1)))
    objects.delete("short-lived")
    for read in (lambda: list(ledger.read(Blob)), lambda: verify_ledger_file(ledger.path, {})):
        with pytest.raises(StoreError, match="s3://short-lived/x does not exist") as caught:
            read()
        assert not isinstance(caught.value, CorruptError)
    ledger.close()


async def test_missing_rights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At once, without the keys."""
    server = ObjectServer.start(INITIAL_NO_AUTH_ACTION_COUNT="1")
    server.make_bucket("texts")
    point_to(server.url, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/x", 60))
    with pytest.raises(StoreError, match=r"s3://texts/x refuses: .*; check the keys and the rights") as caught:
        await ledger.append([large(1)])
    assert "not-to-be-shown" not in str(caught.value)
    ledger.close()
    server.stop()


async def test_missing_keys_are_named(objects: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not waited for."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match=r"s3://texts/x cannot be used: .*credentials.*check the setting blobs and its keys"):
        ObjectBlobs("s3://texts/x", 60).check()


async def test_a_slow_network_is_waited_for_side_by_side(network: Network, tmp_path: Path) -> None:
    """Sixty-four texts with 50 ms on the way are written and read."""
    network.latency_s = 0.05
    ledger = open_ledger(tmp_path / "ledger.sqlite3", blobs=ObjectBlobs("s3://texts/slow", 60))
    texts = [large(n) for n in range(64)]
    await ledger.append(texts)
    assert list(ledger.read(Blob)) == texts
    ledger.close()


def test_a_missing_package_is_named() -> None:
    """With what installs it."""
    with pytest.raises(SettingsError, match=r"^gs://bucket/x needs the package gcsfs: pip install gcsfs"):
        ObjectBlobs("gs://bucket/x").check()
