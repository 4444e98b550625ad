"""The texts of blobs as objects: what goes there, what a row says, what happens to a store or an object that fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import CorruptError, StoreError
from selfopt.ledger import InsideBlobs, ObjectBlobs, SqliteLedger, open_bodies, open_ledger, verify_ledger_file
from selfopt.ledger.blobs import INSIDE_BELOW
from selfopt.ledger.codec import ELSEWHERE, pack_text
from selfopt.records import Blob, TrialStart
from tests.ledger import samples

PLACE = "s3://bucket/texts"


def large(seed: int, size: int = 2 * INSIDE_BELOW) -> Blob:
    """A text that packs to more bytes than stay in the database."""
    return Blob.of(bytes(byte % 94 + 33 for byte in Random(seed).randbytes(size)).decode())


class Scripted:
    """A store in memory that counts, and fails as it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.away: list[Exception] = []  # the next calls raise these, in turn
        self.before_put: Callable[[], None] = lambda: None

    def put(self, name: str, data: bytes) -> None:
        """See `Objects.put`."""
        self.before_put()
        if self.away:
            raise self.away.pop(0)
        self.puts.append(name)
        self.objects[name] = data

    def get(self, name: str, most: int) -> bytes:
        """See `Objects.get`."""
        if self.away:
            raise self.away.pop(0)
        if name not in self.objects:
            raise FileNotFoundError(name)
        return self.objects[name][:most]

    def is_passing(self, error: Exception) -> bool:
        """See `Objects.is_passing`."""
        return isinstance(error, ConnectionError)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """What every place leads to."""
    made = Scripted()
    monkeypatch.setattr("selfopt.ledger.objects.open_objects", lambda place: made)
    return made


@pytest.fixture
def ledger(tmp_path: Path, store: Scripted) -> Iterator[SqliteLedger]:
    """A ledger whose large texts go to that store."""
    made = _opened(tmp_path)
    yield made
    made.close()


def _opened(folder: Path, place: str | None = PLACE, patience_s: float = 60.0) -> SqliteLedger:
    blobs = InsideBlobs(patience_s) if place is None else ObjectBlobs(place, patience_s)
    return open_ledger(folder / "ledger.sqlite3", blobs=blobs)


def _rows(ledger: SqliteLedger) -> dict[str, tuple[int, bytes]]:
    connection = sqlite3.connect(ledger.path)
    found = {name: (codec, data) for name, codec, data in connection.execute("SELECT hash, codec, data FROM blobs")}
    connection.close()
    return found


def _version(ledger: SqliteLedger) -> int:
    connection = sqlite3.connect(ledger.path)
    [(version,)] = connection.execute("PRAGMA user_version")
    connection.close()
    return int(version)


async def test_large_texts_go_to_the_store_and_small_ones_stay(ledger: SqliteLedger, store: Scripted) -> None:
    """The row says the size and the place; what is there is the text packed, under its hash; both are read back."""
    small, text = Blob.of("small"), large(1)
    await ledger.append([small])
    assert _version(ledger) == 2, "an older selfopt can read it"
    await ledger.append([text, samples.start()])
    assert _version(ledger) == 3
    assert _rows(ledger) == {
        small.blob_hash: pack_text("small"),
        text.blob_hash: (ELSEWHERE, f"{len(text.text)} {PLACE}".encode()),
    }
    name = f"{text.blob_hash[:2]}/{text.blob_hash}.z"
    assert {key: zlib.decompress(data).decode() for key, data in store.objects.items()} == {name: text.text}
    assert list(ledger.read(Blob)) == [small, text]
    assert list(ledger.read(Blob, {"id": text.blob_hash})) == [text]
    with open_bodies(ledger) as bodies:
        assert bodies.texts([text.blob_hash, small.blob_hash, "f" * 64]) == {b.blob_hash: b.text for b in (text, small)}


async def test_what_the_ledger_has_is_not_sent_again(ledger: SqliteLedger, store: Scripted, tmp_path: Path) -> None:
    """By this writer or another one; what is there inside stays inside."""
    inside = _opened(tmp_path, None)
    await inside.append([large(1)])
    await ledger.append([large(1)])
    assert store.puts == []
    await ledger.append([large(2)])
    await ledger.append([large(2), large(2)])
    other = _opened(tmp_path)
    await other.append([large(2)])
    assert len(store.puts) == 1
    inside.close()
    other.close()


async def test_another_setting_loses_nothing(tmp_path: Path) -> None:
    """Texts in two folders and in the file are read whatever the setting says now."""
    blobs = [large(n) for n in range(3)]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for place, blob in zip((f"file://{tmp_path}/one", f"file://{tmp_path}/two", None), blobs, strict=True):
        ledger = _opened(tmp_path, place)
        await ledger.append([blob])
        ledger.close()
    for place in (f"file://{tmp_path}/three", None):
        ledger = _opened(tmp_path, place)
        assert list(ledger.read(Blob)) == blobs
        ledger.close()
    for folder in ("one", "two"):
        [file] = (tmp_path / folder).glob("*/*.z")
        assert file.stat().st_mode & 0o777 == 0o600
    assert verify_ledger_file(tmp_path / "ledger.sqlite3", {}).ok


async def test_nothing_is_committed_before_its_text_is_stored(ledger: SqliteLedger, store: Scripted) -> None:
    """A store that refuses leaves nothing in the ledger, and the same append succeeds later."""
    store.away = [PermissionError(13, "Access Denied")]
    with pytest.raises(StoreError, match=r"s3://bucket/texts refuses: Access Denied; check the keys and the rights"):
        await ledger.append([large(1), samples.start()])
    assert _rows(ledger) == {}
    assert list(ledger.read(TrialStart)) == []
    await ledger.append([large(1), samples.start()])
    assert list(ledger.read(Blob)) == [large(1)]


async def test_the_lock_of_the_file_is_not_held_while_texts_are_sent(
    ledger: SqliteLedger, store: Scripted, tmp_path: Path
) -> None:
    """Another process writes meanwhile."""
    other = _opened(tmp_path, None)

    def write() -> None:
        asyncio.run(other.append([samples.start("trial-other")]))

    store.before_put = write
    await ledger.append([large(1), samples.start()])
    assert [start.trial_id for start in ledger.read(TrialStart)] == ["trial-other", "trial-1"]
    other.close()


async def test_the_texts_of_a_group_are_sent_side_by_side(ledger: SqliteLedger, store: Scripted) -> None:
    """Eight appends that come while another is written: each object waits in the store until all eight are there."""
    meeting, begun, go_on = threading.Barrier(8), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def meet() -> None:
        meeting.wait(60)

    def hold() -> None:
        store.before_put = meet
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(60)

    store.before_put = hold
    first = asyncio.create_task(ledger.append([large(0)]))
    await begun.wait()
    others = [asyncio.create_task(ledger.append([large(n)])) for n in range(1, 9)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *others)
    assert len(store.puts) == 9


async def test_a_store_that_goes_away_is_waited_for(
    ledger: SqliteLedger, store: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Appends and reads go on when it is back; the log says both, once."""
    await ledger.append([large(1)])
    store.away = [ConnectionError("no route"), ConnectionError("no route")]
    await ledger.append([large(2)])
    store.away = [ConnectionError("no route")]
    assert list(ledger.read(Blob)) == [large(1), large(2)]
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{PLACE} is away (no route); waiting for it up to 60 s", f"{PLACE} is back"] * 2


async def test_a_store_that_was_never_there_is_not_waited_for(ledger: SqliteLedger, store: Scripted) -> None:
    """One line at once."""
    store.away = [ConnectionError("no route")] * 5
    with pytest.raises(
        StoreError, match="s3://bucket/texts cannot be reached: no route; check that it runs, and the setting blobs"
    ):
        await ledger.append([large(1)])


async def test_patience_ends(tmp_path: Path, store: Scripted) -> None:
    """One line; nothing of it is stored."""
    ledger = _opened(tmp_path, patience_s=0.15)
    await ledger.append([large(1)])
    store.away = [ConnectionError("no route")] * 1000
    with pytest.raises(
        StoreError, match=r"did not return within 0\.15 s \(no route\); what was stored is kept: repeat the command"
    ):
        await ledger.append([large(2)])
    store.away = []
    assert list(ledger.read(Blob)) == [large(1)]
    ledger.close()


async def test_who_leaves_does_not_wait_for_a_store_that_is_away(ledger: SqliteLedger, store: Scripted) -> None:
    """Ctrl-C ends the wait."""
    await ledger.append([large(1)])
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()
    store.away = [ConnectionError("no route")] * 10_000

    def tell() -> None:
        if len(store.away) < 9_999:  # it was asked, and waited
            loop.call_soon_threadsafe(waiting.set)

    store.before_put = tell
    task = asyncio.create_task(ledger.append([large(2)]))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.away = []
    assert list(ledger.read(Blob)) == [large(1)]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: None, "missing"),
        (lambda data: b"", "changed"),
        (lambda data: data[:-1], "changed"),
        (lambda data: data + b"more", "changed"),
        (lambda data: b"not packed", "changed"),
        (lambda data: zlib.compress(b"another text"), "changed"),
        (lambda data: data + bytes(1 << 24), "changed"),
        (lambda data: zlib.compress(bytes(1 << 24)), "changed"),
    ],
    ids=["removed", "emptied", "cut", "longer", "not packed", "another text", "far too long", "unpacks far too long"],
)
async def test_a_damaged_object_is_one_line_and_one_fault(
    ledger: SqliteLedger, store: Scripted, damage: Callable[[bytes], bytes | None], what: str
) -> None:
    """The line names the hash; `audit verify` names each; the others are read."""
    texts = [large(n) for n in range(3)]
    await ledger.append([*texts, Blob.of("small")])
    for text in texts[:2]:
        name = f"{text.blob_hash[:2]}/{text.blob_hash}.z"
        found = damage(store.objects.pop(name))
        if found is not None:
            store.objects[name] = found
    with pytest.raises(CorruptError, match=texts[0].blob_hash) as caught:
        list(ledger.read(Blob))
    assert "\n" not in str(caught.value)
    with open_bodies(ledger) as bodies, pytest.raises(CorruptError, match=texts[1].blob_hash):
        bodies.texts([texts[1].blob_hash])
    assert list(ledger.read(Blob, {"id": texts[2].blob_hash})) == [texts[2]]
    report = verify_ledger_file(ledger.path, {})
    assert [(f.kind, f.id, f.what, f.detail) for f in report.faults] == [
        ("blob", text.blob_hash, what, f"its text in {PLACE}") for text in texts[:2]
    ]


async def test_a_damaged_object_is_written_anew_by_a_ledger_that_does_not_have_it(
    store: Scripted, ledger: SqliteLedger, tmp_path: Path
) -> None:
    """What stands under the name is not believed."""
    text = large(1)
    store.objects[f"{text.blob_hash[:2]}/{text.blob_hash}.z"] = b"half"
    await ledger.append([text])
    assert list(ledger.read(Blob)) == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"12",
        b"0 s3://bucket/texts",
        b"99999999999 s3://bucket/texts",
        b"5 http://host/x",
        b"5 simplecache::s3://b/x",
        b"5 s3://k:s@b/x",
    ],
)
async def test_a_row_that_names_no_place_is_damaged_and_leads_nowhere(ledger: SqliteLedger, store: Scripted, data: bytes) -> None:
    """One line, no call to any store, one fault."""
    text = large(1)
    await ledger.append([text])
    connection = sqlite3.connect(ledger.path)
    connection.execute("UPDATE blobs SET data = ?", (data,))
    connection.commit()
    connection.close()
    store.objects.clear()
    with pytest.raises(CorruptError, match=f"the row of blob {text.blob_hash} does not say where its text is"):
        list(ledger.read(Blob))
    assert [(f.id, f.what) for f in verify_ledger_file(ledger.path, {}).faults] == [(text.blob_hash, "changed")]


def test_verifying_needs_the_store(ledger: SqliteLedger, store: Scripted) -> None:
    """One that cannot be reached is no damage: one line."""
    asyncio.run(ledger.append([large(1)]))
    store.away = [ConnectionError("no route")]
    with pytest.raises(StoreError, match="cannot be reached"):
        verify_ledger_file(ledger.path, {})


def test_a_check_writes_and_reads(store: Scripted) -> None:
    """It returns the place; a store that gives back something else is named."""
    blobs = ObjectBlobs(PLACE)
    assert blobs.check() == PLACE
    store.get = lambda name, most: b"something else"  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="does not give back what was written there"):
        blobs.check()


async def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    """It may not be mounted: nothing is stored in its place, and what is missing then is no damage."""
    texts, ledger = tmp_path / "texts", _opened(tmp_path, f"file://{tmp_path}/texts")
    said = f"file://{tmp_path}/texts does not exist .*; make it or mount it, or change the setting blobs"
    with pytest.raises(StoreError, match=said):
        await ledger.append([large(1)])
    assert not texts.exists()
    texts.mkdir()
    await ledger.append([large(1)])
    texts.rename(tmp_path / "away")
    with pytest.raises(StoreError, match=said):
        list(ledger.read(Blob))
    with pytest.raises(StoreError, match=said):
        verify_ledger_file(ledger.path, {})
    ledger.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    """In one line."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="refuses|cannot be written") as caught:  # noqa: RUF043
        ObjectBlobs(f"file://{tmp_path}").check()
    assert "\n" not in str(caught.value)


async def test_no_message_shows_what_a_url_in_it_holds(ledger: SqliteLedger, store: Scripted) -> None:
    """Neither a name before the host nor options, which may be a signature."""
    store.away = [OSError(22, "PUT https://me:hidden@host/c/x?sv=1&sig=hidden failed\nat once")]
    with pytest.raises(StoreError) as caught:
        await ledger.append([large(1)])
    assert str(caught.value) == (
        "s3://bucket/texts cannot be used: PUT https://host/c/x failed at once; nothing was half written; "
        "check the setting blobs and its keys"
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=300), st.integers(0, 40))
def test_any_texts_come_back_in_order(texts: list[str], inside_below: int) -> None:
    """Wherever each is, over several windows of objects."""
    blobs = list({blob.blob_hash: blob for blob in map(Blob.of, texts)}.values())
    with TemporaryDirectory() as folder:
        store = ObjectBlobs(f"file://{folder}", inside_below=inside_below)
        packed = store.keep(blobs, lambda hashes: ())
        rows = [(n, blob.blob_hash, *packed(blob)) for n, blob in enumerate(blobs)]
        assert [(row[0], text) for row, text in store.texts(rows, "ledger")] == [(n, b.text) for n, b in enumerate(blobs)]
        store.close()
