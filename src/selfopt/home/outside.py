"""Runs what must not see that an event loop runs here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def outside_loop(work: Callable[[], T]) -> T:
    """Run `work` in a thread and wait for it; return or raise what it does.

    Some packages replace parts of asyncio for the whole process when they are called while a loop runs.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="outside") as thread:
        return thread.submit(work).result()
