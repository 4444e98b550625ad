"""Group commit: who shares a transaction, and what each asker is told."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, StoreError
from selfopt.ledger import open_ledger
from selfopt.ledger.group import Batch, GroupCommit
from selfopt.records import Trial
from tests.ledger import samples


class Writer:
    """Keeps what it was handed, group by group; waits at the gate, and fails as it is told."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fault: BaseException | None = None

    def __call__(self, batches: Sequence[Batch]) -> list[Exception | None]:
        """Write them."""
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.gate.wait(60)
        if self.fault is not None:
            raise self.fault
        self.groups.append([batch.rows[0].id for batch in batches])
        return [CorruptError(batch.rows[0].id) if "bad" in batch.rows[0].id else None for batch in batches]


def _batch(name: str) -> Batch:
    from selfopt.ledger.codec import encode

    return Batch((), [encode(samples.start(name))])


async def _entered(writer: Writer) -> None:
    await asyncio.to_thread(writer.entered.wait, 60)


async def _held(group: GroupCommit, writer: Writer, names: Sequence[str]) -> list[asyncio.Task[None]]:
    """The first is being written while all others ask; the gate is still shut."""
    await group.append(_batch("before"))
    writer.entered.clear()
    writer.gate.clear()
    first = asyncio.create_task(group.append(_batch(names[0])))
    await _entered(writer)
    tasks = [first, *(asyncio.create_task(group.append(_batch(name))) for name in names[1:])]
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_while_a_transaction_is_written_joins_the_next_one() -> None:
    """One transaction for all that wait, in the order in which they asked."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    tasks = await _held(group, writer, ["a", "b", "c", "d"])
    assert not any(task.done() for task in tasks)
    writer.gate.set()
    await asyncio.gather(*tasks)
    assert writer.groups == [["before"], ["a"], ["b", "c", "d"]]


async def test_a_task_that_asks_alone_is_served_where_it_asks() -> None:
    """No thread is woken for it, however often it asks; the next one who asks is served by a thread."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    for n in range(5):
        await group.append(_batch(f"a{n}"))
    assert writer.threads == {threading.get_ident()}
    await asyncio.create_task(group.append(_batch("b")))
    assert len(writer.threads) == 2


async def test_each_asker_is_told_of_its_own() -> None:
    """A batch that is refused is refused to its asker alone."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    tasks = await _held(group, writer, ["a", "b-bad", "c", "d-bad"])
    writer.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(answer) if answer else None for answer in told] == [None, "b-bad", None, "d-bad"]


async def test_when_a_transaction_cannot_be_written_everybody_in_it_is_told() -> None:
    """And those who ask afterwards are served."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    tasks = await _held(group, writer, ["a", "b", "c"])
    writer.fault = StoreError("the disk is full")
    writer.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(answer) for answer in told] == ["the disk is full"] * 3
    writer.fault = None
    await group.append(_batch("later"))
    assert writer.groups[-1] == ["later"]


async def test_one_who_is_cancelled_hears_of_it_when_it_is_decided() -> None:
    """Not before: whoever cleans up must not be overtaken by what is still being written. The others notice nothing."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    tasks = await _held(group, writer, ["a", "b", "c"])
    tasks[0].cancel()
    tasks[1].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    writer.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in told] == [asyncio.CancelledError, asyncio.CancelledError, type(None)]
    assert writer.groups == [["before"], ["a"], ["b", "c"]]


async def test_closing_waits_for_all_who_have_asked() -> None:
    """They are served; those who come later are told that it is closed."""
    writer = Writer()
    group = GroupCommit(writer, "it is closed")
    tasks = await _held(group, writer, ["a", "b", "c"])
    threading.Timer(0.05, writer.gate.set).start()
    group.close()
    assert writer.groups == [["before"], ["a"], ["b", "c"]]
    await asyncio.gather(*tasks)
    with pytest.raises(StoreError, match="it is closed"):
        await group.append(_batch("d"))


def test_tasks_of_several_event_loops_share_transactions() -> None:
    """Each is answered in its own loop."""
    writer = Writer()
    group = GroupCommit(writer, "closed")
    threads = [threading.Thread(target=asyncio.run, args=(_asks(group, n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(name for names in writer.groups for name in names) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))


async def _asks(group: GroupCommit, number: int) -> None:
    for i in range(50):
        await group.append(_batch(f"{number}-{i}"))


async def test_appends_that_share_a_transaction_are_one_commit_of_the_chain(tmp_path: Path) -> None:
    """One row of commits lists them all, whatever was refused in between, and the ledger verifies."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    await ledger.append([samples.trial("known")])
    with ledger._lock:  # a transaction begins when nobody else holds it
        tasks = [asyncio.create_task(ledger.append([samples.start("first")]))]
        await asyncio.sleep(0)
        batches = [[samples.BLOB, samples.trial(f"t-{n}"), samples.start(f"t-{n}")] for n in range(6)]
        batches[2] += [samples.trial("known", latency_ms=99.0)]
        tasks += [asyncio.create_task(ledger.append(batch)) for batch in batches]
        await asyncio.sleep(0)
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in told if answer is not None] == [CorruptError]
    assert [t.trial_id for t in ledger.read(Trial)] == ["known", *(f"t-{n}" for n in range(6) if n != 2)]
    ledger.close()
    rows = sqlite3.connect(tmp_path / "ledger.sqlite3").execute("SELECT count(*) FROM commits").fetchone()[0]
    assert rows in (2, 3)  # the first may have begun alone
    from selfopt.ledger import verify_ledger_file

    assert verify_ledger_file(tmp_path / "ledger.sqlite3", {}).ok
