"""Servers that the tests of services start for themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from .postgres_server import Server, make_server
from .servers import ScriptedServer


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    """A scripted server that answers everything alike."""
    server = ScriptedServer.start(tmp_path_factory.mktemp("scripted"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the whole session."""
    server = make_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
