"""Servers that the tests of services start for themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from .postgres_server import Server, make_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the whole session."""
    server = make_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
