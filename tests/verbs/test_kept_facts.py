"""Facts of records that only ever grow: each record is read once."""

from __future__ import annotations

from pathlib import Path

from selfopt.ledger import MemoryLedger, open_ledger
from selfopt.records import Baseline, Ledger
from selfopt.verbs.kept_facts import KeptFacts


def baseline(n: int) -> Baseline:
    """The n-th record."""
    return Baseline(baseline_id=f"b-{n:04d}", model="m", phase="atomic", spec_id=f"spec-{n}", source="flag", at=f"{n}")


class Counting(KeptFacts[Baseline, str]):
    """Counts how many records were told."""

    def __init__(self) -> None:
        self.told = 0
        super().__init__(Baseline, self._spec)

    def _spec(self, record: Baseline) -> str:
        self.told += 1
        return record.spec_id


async def check(ledger: Ledger) -> None:
    """A second look tells nothing again, a third only what came since, in the order of appending."""
    facts = Counting()
    assert dict(facts.of(ledger)) == {}
    await ledger.append([baseline(n) for n in range(600)])
    assert list(facts.of(ledger).values()) == [f"spec-{n}" for n in range(600)]
    assert list(facts.of(ledger)) == [f"b-{n:04d}" for n in range(600)]
    assert facts.told == 600
    await ledger.append([baseline(n) for n in range(600, 1200)])
    assert list(facts.of(ledger)) == [f"b-{n:04d}" for n in range(1200)]
    assert facts.told == 1200


async def test_each_record_is_told_once(tmp_path: Path) -> None:
    """On disk, over more than one page of rows, and in memory."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    await check(ledger)
    ledger.close()
    await check(MemoryLedger())


async def test_two_ledgers_share_nothing() -> None:
    """One home's facts are not another's."""
    facts, one, other = Counting(), MemoryLedger(), MemoryLedger()
    await one.append([baseline(1)])
    await other.append([baseline(2)])
    assert list(facts.of(one)) == ["b-0001"]
    assert list(facts.of(other)) == ["b-0002"]


async def test_what_is_given_out_does_not_change(tmp_path: Path) -> None:
    """A page that is being drawn keeps what it began with."""
    facts, ledger = Counting(), MemoryLedger()
    await ledger.append([baseline(1)])
    before = facts.of(ledger)
    await ledger.append([baseline(2)])
    assert len(facts.of(ledger)) == 2
    assert len(before) == 1
