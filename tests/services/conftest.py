"""What tests of services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.servers import ScriptedServer


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    """A scripted server that answers everything alike."""
    server = ScriptedServer.start(tmp_path_factory.mktemp("scripted"))
    yield server
    server.stop()
