"""A ledger in PostgreSQL keeps the contract of every ledger: the same tests, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.records import Ledger
from tests.contracts import test_ledger_contract as contract
from tests.contracts.test_ledger_contract import *  # noqa: F403

from .postgres_server import Server

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _opened(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    opener: contract.Opener = lambda folder: open_postgres_ledger(postgres.ledger())  # noqa: E731
    for name in list(contract.OPENERS):
        monkeypatch.setitem(contract.OPENERS, name, opener)


@pytest.fixture  # type: ignore[no-redef]
def opener(postgres: Server) -> contract.Opener:
    """How to make one."""
    return lambda folder: open_postgres_ledger(postgres.ledger())


@pytest.fixture  # type: ignore[no-redef]
def ledger(opener: contract.Opener, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    made = opener(tmp_path)
    yield made
    made.close()
