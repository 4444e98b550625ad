"""Every decision is on disk within 100 ms, chained, and sealed into the audit trail."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import heapq
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import AuditError
from selfopt.gateway import JournalOptions, SegmentJournal, TrailSink, segment_file, sinks
from selfopt.gateway.ticket import RequestRecord, Ticket
from selfopt.home import AuditEvent, ChainedFile, SegmentsReport, files, read_seals, verify_segments
from selfopt.home.head import HeadFile
from selfopt.verbs.verifying import verify_requests

from .kit import chat, gateway_world, until

WRITER = "0123456789"
ROOT = Path(__file__).resolve().parents[2]


def record(place: int = 0, **fields: Any) -> RequestRecord:
    """Return a request's record."""
    made = Ticket(0.0).record("2026-01-02T03:04:05Z", 0.01, 200)
    return msgspec.structs.replace(made, id=f"req-{place}", **fields)


class Desk:
    """A folder of requests with its trail."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "requests"
        self.folder.mkdir(exist_ok=True)
        self.trail = ChainedFile(home / "trail.jsonl")
        self.sink = TrailSink(self.trail)

    def journal(self, writer: str = WRITER, loop: Any = None, **options: Any) -> SegmentJournal:
        """Open a journal on it."""
        chosen = JournalOptions(**{"commit_s": 0.001, **options})
        return SegmentJournal(self.folder, self.sink, writer, options=chosen, loop=loop)

    def verify(self) -> SegmentsReport:
        """Verify as `audit verify` does."""
        return verify_segments(self.folder, read_seals(self.trail))

    def ids(self) -> list[str]:
        """Return the ids of all requests on disk."""
        lines = [json.loads(line) for path in sorted(self.folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
        return [line["id"] for line in lines if line["kind"] == "request"]


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """An empty folder."""
    return Desk(tmp_path)


async def test_a_record_is_durable_before_the_journal_is_closed(desk: Desk) -> None:
    """The lag is the age of the oldest record that is not on disk."""
    journal = desk.journal()
    assert journal.lag_s == 0
    journal.add(record(1))
    assert 0 <= journal.lag_s < 5
    await until(lambda: desk.ids() == ["req-1"])
    await until(lambda: journal.lag_s == 0)
    journal.add(record(2))
    await journal.close()
    await journal.close()
    assert desk.ids() == ["req-1", "req-2"]
    report = desk.verify()
    assert (report.ok, report.n, report.unsealed) == (True, 2, ())


async def test_what_comes_during_a_write_is_written_once_when_the_journal_closes(desk: Desk) -> None:
    """However long each write takes: the lines stay chained."""
    journal, real = desk.journal(), segment_file.SegmentFiles.write
    begun, may_go_on = threading.Semaphore(0), threading.Semaphore(0)

    def slow(self: segment_file.SegmentFiles, number: int, data: bytes, n: int, head: str) -> None:
        begun.release()
        assert may_go_on.acquire(timeout=120)
        real(self, number, data, n, head)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_file.SegmentFiles, "write", slow)
        journal.add(record(1))
        assert await asyncio.to_thread(begun.acquire, timeout=120)
        journal.add(record(2))
        closing = asyncio.ensure_future(journal.close())
        may_go_on.release()
        assert await asyncio.to_thread(begun.acquire, timeout=120)
        journal.add(record(3))
        for _ in range(100):
            await asyncio.sleep(0)
        for _ in range(9):
            may_go_on.release()
        await closing
    assert desk.ids() == ["req-1", "req-2", "req-3"]
    assert (desk.verify().ok, desk.verify().unsealed) == (True, ())


async def test_records_of_one_moment_share_a_sync(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand records cost fewer than five."""
    syncs = 0
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    journal = desk.journal()
    for place in range(1000):
        journal.add(record(place))
    await journal.close()
    assert (len(desk.ids()), desk.verify().n) == (1000, 1000)
    assert syncs < 5


class ManualTime:
    """A loop with a manual clock and a disk of given speed."""

    def __init__(self, write_s: list[float]) -> None:
        self.now = 0.0
        self._write_s = write_s
        self._n_writes = 0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self.create_task = asyncio.get_running_loop().create_task

    def time(self) -> float:
        """Seconds since the start."""
        return self.now

    def call_later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Call it after a delay."""
        self._count += 1
        handle = asyncio.TimerHandle(self.now + delay_s, call, (), asyncio.get_running_loop())
        heapq.heappush(self._due, (self.now + delay_s, self._count, lambda: None if handle.cancelled() else call()))
        return handle

    def run_in_executor(self, thread: object, call: Callable[..., object], *arguments: object) -> asyncio.Future[object]:
        """Write; the data is on disk when its time is over."""
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._n_writes += 1
        took_s = self._write_s[self._n_writes % len(self._write_s)]
        self.call_later(took_s, lambda: done.set_result(call(*arguments)))
        return done

    async def go_to(self, then: float, after_each: Callable[[], None]) -> None:
        """Let time pass, and make the calls that are due."""
        while self._due and self._due[0][0] <= then:
            self.now, _, call = heapq.heappop(self._due)
            call()
            for _ in range(8):
                await asyncio.sleep(0)
            after_each()
        self.now = then


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pauses_ms=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    writes_ms=st.lists(st.integers(0, 45), min_size=1, max_size=6),
)
async def test_a_record_is_durable_100_ms_after_it_was_taken_at_the_latest(
    tmp_path_factory: pytest.TempPathFactory, pauses_ms: list[int], writes_ms: list[int]
) -> None:
    """With the default pauses, on a disk that takes up to 45 ms a write."""
    desk = Desk(tmp_path_factory.mktemp("home"))
    time = ManualTime([ms / 1000 for ms in writes_ms])
    journal = desk.journal(loop=time, commit_s=JournalOptions().commit_s)
    taken: dict[str, float] = {}
    durable: dict[str, float] = {}

    def look() -> None:
        for name in desk.ids():
            durable.setdefault(name, time.now)

    for place, pause_ms in enumerate(pauses_ms):
        await time.go_to(time.now + pause_ms / 1000, look)
        journal.add(record(place))
        taken[f"req-{place}"] = time.now
    await time.go_to(time.now + 1, look)
    assert durable.keys() == taken.keys()
    assert max(durable[name] - taken[name] for name in taken) <= 0.1
    assert journal.lag_s == 0
    await desk.sink.close()


async def test_files_are_changed_by_size_and_each_is_sealed_while_the_next_is_written(desk: Desk) -> None:
    """One chain covers all files; sealed ones are read-only."""
    journal = desk.journal(segment_bytes=1000)
    for place in range(30):
        journal.add(record(place))
        await until(lambda: journal.lag_s == 0)
    await until(lambda: sum(seal.final for seal in read_seals(desk.trail)) >= 8)
    await journal.close()
    paths = sorted(desk.folder.iterdir())
    assert len(paths) > 8
    assert all(path.stat().st_size < 4000 for path in paths)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o400}
    report = desk.verify()
    assert (report.ok, report.n, report.unsealed) == (True, 30, ())


async def test_a_disk_that_is_full_loses_nothing_and_stops_the_serving(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are written once there is room; no more are taken until then."""
    full = True
    real = files.write_all

    def write(descriptor: int, data: bytes) -> None:
        if not full:
            real(descriptor, data)
            return
        real(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = desk.journal(retry_s=0.001)
    journal.add(record(1))
    await until(lambda: desk.ids() == ["req-1"])
    monkeypatch.setattr(segment_file, "write_all", write)
    journal.add(record(2))
    await until(lambda: journal.fault != "")
    with pytest.raises(AuditError, match=r"No space left.*free some space"):
        journal.check()
    journal.add(record(3))
    assert desk.ids() == ["req-1"]
    full = False
    await until(lambda: journal.fault == "")
    journal.check()
    await journal.close()
    assert desk.ids() == ["req-1", "req-2", "req-3"]
    assert desk.verify().ok


async def test_half_a_line_that_cannot_be_taken_back_is_before_the_next_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the file could not be cut at first."""
    segments = segment_file.SegmentFiles(desk.folder, WRITER)
    real, broken = files.write_all, True

    def write(descriptor: int, data: bytes) -> None:
        real(descriptor, data[: len(data) // 2] if broken else data)
        if broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(segment_file, "write_all", write)
        patched.setattr(os, "ftruncate", refuse)
        with pytest.raises(AuditError):
            segments.write(1, b"one\n", 1, "1" * 64)
    broken = False
    segments.write(1, b"one\n", 1, "1" * 64)
    segments.close()
    assert (desk.folder / f"{WRITER}-1.jsonl").read_bytes() == b"one\n"


async def test_files_of_writers_that_are_gone_are_sealed_by_the_next(desk: Desk) -> None:
    """Without a torn last line. Files in use are not touched."""
    gone = desk.journal("aaaa000001")
    gone.add(record(1))
    await until(lambda: desk.ids() == ["req-1"])
    path = desk.folder / "aaaa000001-1.jsonl"
    left, head = path.read_bytes(), desk.folder / "aaaa000001.head"
    await until(lambda: bool(read_seals(desk.trail)))
    told = head.read_bytes()
    await gone.close()
    assert not head.exists()
    head.write_bytes(told)
    path.unlink()
    (desk.folder / "aaaa000002-1.jsonl").write_bytes(b"no record at all\n")
    path.write_bytes(left + b'{"previous_hash":"')
    living = desk.journal("aaaa000003")
    living.add(record(2))
    await until((desk.folder / "aaaa000003-1.jsonl").exists)
    after = desk.journal("aaaa000004")
    await until(lambda: any("its writer is gone" in entry.reason for entry in desk.trail.records()))
    await after.close()
    finals = {seal.segment for seal in read_seals(desk.trail) if seal.final}
    assert finals == {path.name}
    await living.close()
    report = desk.verify()
    assert (report.torn, report.n) == ((path.name,), 2)
    assert report.problems == ("aaaa000002-1.jsonl line 1: it is not a record",)


GATEWAY = """
import asyncio, sys
from pathlib import Path
from tests.gateway.test_journal import Desk, record
async def main():
    journal = Desk(Path(sys.argv[1])).journal("aaaa000001")
    for place in range(1, 10_000):
        journal.add(record(place))
        await asyncio.sleep(0.0001)
        if place % 5 == 0:
            print(place, flush=True)
asyncio.run(main())
"""


def killed_gateway(desk: Desk) -> Path:
    """Leave what a gateway leaves that was killed while it wrote."""
    worker = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(desk.folder.parent)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert worker.stdout is not None
    path, head = desk.folder / "aaaa000001-1.jsonl", HeadFile(desk.folder / "aaaa000001.head")
    while (found := head.read()) is None or found[0].n < 2:
        assert worker.stdout.readline()
    worker.kill()
    worker.stdout.close()
    worker.wait()
    return path


async def test_half_a_line_of_a_killed_gateway_is_named_until_the_next_one_seals_the_rest(desk: Desk) -> None:
    """Then it is a note only, and the writer's head is removed."""
    path = killed_gateway(desk)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n") + 1] + b'{"previous_hash":"')
    report = desk.verify()
    assert not report.ok
    assert "its writer is gone" in report.problems[-1]
    after = desk.journal("aaaa000002")
    await until(lambda: any("its writer is gone" in entry.reason for entry in desk.trail.records()))
    await after.close()
    report = desk.verify()
    assert (report.ok, report.torn, report.unsealed) == (True, (path.name,), ())
    assert not path.with_name("aaaa000001.head").exists()


@pytest.mark.parametrize("how", ["cut", "gone", "cut and its head gone"])
async def test_what_a_killed_gateway_wrote_is_not_cut_unnoticed(desk: Desk, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not even before it is sealed; the next gateway does not seal the rest."""
    path = killed_gateway(desk)
    assert desk.verify().ok
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"".join(lines[:1]))
    if how == "cut and its head gone":
        path.with_name("aaaa000001.head").unlink()
    assert not desk.verify().ok
    after = desk.journal("aaaa000002")
    after.add(record(1))
    await after.close()
    assert not desk.verify().ok
    assert ("is damaged" in caplog.text) == (how != "gone")


async def test_a_writer_goes_on_where_it_ended_and_two_of_one_process_do_not_meet(desk: Desk) -> None:
    """A program may serve again, or twice at once."""
    for place in (1, 2):
        journal = desk.journal()
        journal.add(record(place))
        await journal.close()
    one, other = desk.journal(), desk.journal()
    one.add(record(3))
    other.add(record(4))
    await one.close()
    await other.close()
    report = desk.verify()
    assert (report.ok, report.n, report.segments, report.unsealed) == (True, 4, 4, ())


async def test_a_look_at_a_new_file_does_not_keep_its_writer_from_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another gateway looks for files of the dead between the making of a file and its lock."""
    journal = desk.journal()
    real, looks = files.flock_wait, 0

    def flock_wait(descriptor: int, **options: Any) -> None:
        nonlocal looks
        looking = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        fcntl.flock(looking, fcntl.LOCK_EX)
        looks += 1
        threading.Timer(0.05, os.close, [looking]).start()
        real(descriptor, **options)

    monkeypatch.setattr("selfopt.gateway.segment_file.flock_wait", flock_wait)
    journal.add(record(1))
    await journal.close()
    assert (looks, desk.ids(), desk.verify().ok) == (1, ["req-1"], True)


async def test_a_trail_that_cannot_be_written_does_not_stop_the_requests(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seal is written once it can be."""
    down = True
    real = ChainedFile.append_all

    def append_all(trail: ChainedFile, events: Any) -> Any:
        if down:
            raise AuditError("no room")
        return real(trail, events)

    monkeypatch.setattr(ChainedFile, "append_all", append_all)
    journal = desk.journal(segment_bytes=500)
    for place in range(5):
        journal.add(record(place))
        await until(lambda: journal.lag_s == 0)
        journal.check()
    down = False
    await journal.close()
    report = desk.verify()
    assert (report.ok, report.n, report.unsealed) == (True, 5, ())


async def test_text_that_is_no_unicode_is_kept_as_escapes(desk: Desk) -> None:
    """A client's model name may hold a lone surrogate."""
    journal = desk.journal()
    journal.add(record(1, reason="\ud800 half", model="ünïcode\n"))
    await journal.close()
    (line,) = [json.loads(text) for text in (desk.folder / f"{WRITER}-1.jsonl").read_bytes().splitlines()[1:]]
    assert (line["reason"], line["model"]) == ("\ud800 half", "ünïcode\n")
    assert desk.verify().ok


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.gateway.test_journal import Desk, record

async def main(home, writer):
    journal = Desk(Path(home)).journal(writer, segment_bytes=20000)
    place = 0
    while sys.stdin.readline():
        for _ in range(50):
            place += 1
            journal.add(record(place))
        while journal.lag_s:
            await asyncio.sleep(0)
        print(place, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_several_processes_killed_in_the_middle_lose_nothing_that_was_durable(desk: Desk, tmp_path: Path) -> None:
    """The next process seals what they left."""
    writers = [f"bbbb00000{number}" for number in range(3)]
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(tmp_path), writer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        for writer in writers
    ]
    durable = {}
    for number, (writer, process) in enumerate(zip(writers, running, strict=True)):
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3 + 4 * number):
            process.stdin.write(b"\n")
            durable[writer] = int(await asyncio.wait_for(process.stdout.readline(), 60))
        process.stdin.write(b"\n")
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    after = desk.journal("bbbb000009")
    await until(lambda: desk.verify().unsealed == ())
    await after.close()
    report = desk.verify()
    assert (report.ok, report.unsealed) == (True, ())
    for writer in writers:
        lines = b"".join(path.read_bytes() for path in desk.folder.glob(f"{writer}-*.jsonl")).splitlines()
        assert sum(b'"kind":"request"' in line for line in lines) >= durable[writer]


async def test_a_gateway_records_what_it_served_and_verifies(tmp_path: Path) -> None:
    """Served and refused requests, without their content."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        for body in (chat(), b"[]", chat("up/nobody-knows"), chat(messages=[{"role": "user", "content": "a secret"}])):
            await world.post(body)
    home = tmp_path / "home"
    (path,) = (home / "requests").iterdir()
    first, *lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert first["kind"] == "segment"
    requests = [line for line in lines if line["kind"] == "request"]  # a slow machine seals in between
    assert [line["outcome"] for line in requests[:2]] == ["served", "rejected"]
    assert len(requests) == 4
    assert b"secret" not in path.read_bytes()
    report = verify_requests(world.app)
    assert (report.ok, report.n, report.unsealed) == (True, 4, ())


async def test_a_request_that_cannot_be_recorded_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 until records can be written again."""

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with gateway_world(tmp_path, on_disk=True) as world:
        journal = world.gateway.parts.chat.journal
        assert isinstance(journal, SegmentJournal)
        with monkeypatch.context() as patched:
            patched.setattr(segment_file, "write_all", full)
            await world.post(chat())
            await until(lambda: journal.fault != "")
            for answer in (await world.post(chat()), await world.get("/ready")):
                assert (answer.status, answer.error["code"]) == (503, "audit_failed")
            assert (await world.get("/health")).status == 200
        await _until_async(lambda: _served(world.post))
        assert (await world.get("/ready")).status == 200
    assert verify_requests(world.app).ok


async def _served(post: Callable[..., Awaitable[Any]]) -> bool:
    return bool((await post(chat())).status == 200)


async def _until_async(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await holds():
            pass


async def test_no_request_waits_for_the_readable_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be made from the trail at any time."""
    rendering, seen = threading.Event(), []

    def render(trail: ChainedFile) -> None:
        rendering.wait(120)
        seen.append(len(list(trail.records())))

    monkeypatch.setattr(sinks, "render_log", render)
    await desk.sink.append(AuditEvent("route"))
    assert not seen
    second = desk.sink.append(AuditEvent("route"))
    rendering.set()
    await second
    await desk.sink.close()
    assert seen[-1] == 2, "in the end the log has everything"


@pytest.mark.parametrize("take", ["the file", "the folder", "the folder renamed"])
async def test_files_that_are_taken_away_under_a_gateway_stop_the_serving(desk: Desk, take: str) -> None:
    """A file without a name is lost with the process."""
    journal = desk.journal(retry_s=0.01)
    journal.add(record(1))
    await until(lambda: desk.ids() == ["req-1"])
    if take == "the file":
        next(desk.folder.glob("*.jsonl")).unlink()
    elif take == "the folder":
        shutil.rmtree(desk.folder)
    else:
        desk.folder.rename(desk.folder.with_name("elsewhere"))
    journal.add(record(2))
    await until(lambda: bool(journal.fault))
    with pytest.raises(AuditError, match="could not write the requests"):
        journal.check()
    await journal.close()
