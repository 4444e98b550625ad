"""Servers that the tests of services start for themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from selfopt.ledger.objects import open_objects

from .object_server import KEYS, ObjectServer
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


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """An S3 server with a bucket, for the whole session."""
    server = ObjectServer.start()
    server.make_bucket("texts")
    yield server
    server.stop()


@pytest.fixture
def objects(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """That server as the one that s3:// leads to."""
    point_to(object_server.url, monkeypatch)
    return object_server


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make s3:// lead to a server."""
    from s3fs import S3FileSystem

    for name, value in (KEYS | {"AWS_ENDPOINT_URL": url}).items():
        monkeypatch.setenv(name, value)
    # What asks a place is kept, and so is fsspec's client, with the server that it was made for.
    open_objects.cache_clear()
    S3FileSystem.clear_instance_cache()
