"""Fixtures of the measuring stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger import MemoryLedger, open_ledger
from selfopt.records import Ledger

from .kit import Bench, make_suite


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Both ledgers."""
    opened: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def bench() -> Bench:
    """A small suite, a perfect model, a memory ledger."""
    return Bench(ledger=MemoryLedger(), suite=make_suite())
