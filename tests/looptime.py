"""Time that passes at once, so that timeouts expire without waiting, and only when a test says so."""

from __future__ import annotations

import asyncio


def pass_time(seconds: float) -> None:
    """Move the time of the running loop forward. Whatever was to happen by then happens next."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop), "mark the test with `own_time`: the time of uvloop can't be moved"
    before = loop.time
    setattr(loop, "time", lambda: before() + seconds)  # noqa: B010  a method of the loop is replaced on this loop alone
