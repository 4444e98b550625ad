"""A ledger whose texts are objects of an S3 server keeps the contract of every ledger, in a file and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from selfopt.ledger import ObjectBlobs, open_ledger
from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.records import Ledger
from tests.contracts import test_ledger_contract as contract

from .object_server import ObjectServer
from .postgres_server import Server

pytestmark = pytest.mark.services

globals().update({name: test for name, test in vars(contract).items() if name.startswith("test_")})

_folders = count()


def _blobs() -> ObjectBlobs:
    return ObjectBlobs(f"s3://texts/contract/{next(_folders)}", inside_below=0)


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, postgres: Server, objects: ObjectServer) -> contract.Opener:
    """How to make one of each."""
    if request.param == "sqlite":
        return lambda folder: open_ledger(folder / "ledger.sqlite3", blobs=_blobs())
    return lambda folder: open_postgres_ledger(postgres.ledger(), blobs=_blobs())


@pytest.fixture(autouse=True)
def _opened(postgres: Server, objects: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "sqlite": lambda folder: open_ledger(folder / "ledger.sqlite3", blobs=_blobs()),
        "memory": lambda folder: open_postgres_ledger(postgres.ledger(), blobs=_blobs()),
    }
    for name in list(contract.OPENERS):
        monkeypatch.setitem(contract.OPENERS, name, made["memory" if name == "memory" else "sqlite"])


@pytest.fixture
def ledger(opener: contract.Opener, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    made = opener(tmp_path)
    yield made
    made.close()
