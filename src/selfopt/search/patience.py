"""Waits for code of anybody, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What `ask` returns or raises.

    Raises TimeoutError if it takes longer. It is then left to itself in a thread that does not keep
    the process alive, as Python can't end it.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(ask())
        except BaseException as error:  # it is raised again where the answer is waited for
            failed.append(error)

    thread = threading.Thread(target=run, name="selfopt-proposer", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]
