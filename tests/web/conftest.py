"""The tests run on the event loop that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from selfopt.gateway import fast_loop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Use uvloop if it is installed, else asyncio's own loop."""
    make = fast_loop()
    return {"uvloop": make} if make is not None else {"asyncio": asyncio.new_event_loop}
