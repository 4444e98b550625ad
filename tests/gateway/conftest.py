"""The tests run on the event loop that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from selfopt.gateway import fast_loop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Use uvloop if it is installed, else asyncio's own loop. Only that one lets a test move its time."""
    make = fast_loop() if item.get_closest_marker("own_time") is None else None
    return {"uvloop": make} if make is not None else {"asyncio": asyncio.new_event_loop}
