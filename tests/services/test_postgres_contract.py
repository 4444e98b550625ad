"""A ledger in PostgreSQL keeps the contract of every ledger: the same tests, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.records import Ledger
from tests.contracts import test_ledger_contract as contract

from .postgres_server import Server

pytestmark = pytest.mark.services

globals().update({name: test for name, test in vars(contract).items() if name.startswith("test_")})


@pytest.fixture(autouse=True)
def _opened(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(contract.OPENERS):
        monkeypatch.setitem(contract.OPENERS, name, lambda folder: open_postgres_ledger(postgres.ledger()))


@pytest.fixture
def opener(postgres: Server) -> contract.Opener:
    """How to make one."""
    return lambda folder: open_postgres_ledger(postgres.ledger())


@pytest.fixture
def ledger(opener: contract.Opener, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    made = opener(tmp_path)
    yield made
    made.close()
