"""Work on large or hostile text that must not hold up the loop: in steps of a few milliseconds, or in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import ParamSpec, TypeVar

from selfopt.dialects.chat_body import STEP_BYTES
from selfopt.home import Redactor

P = ParamSpec("P")
T = TypeVar("T")

# Python's own code reads about a million characters a second, and lets the loop run in between; so much is read faster than a thread
# takes over.
SMALL_TEXT = 4096


async def by_steps(steps: Generator[None, None, T]) -> T:
    """All steps; the loop does something else between two of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        await asyncio.sleep(0)


async def redacted(body: bytes, redactor: Redactor) -> bytes:
    """The body without the secrets."""
    if len(body) <= STEP_BYTES or not redactor.active:
        return redactor.data(body)
    pieces = []
    for piece in redactor.slices(body):
        pieces.append(piece)
        await asyncio.sleep(0)
    return b"".join(pieces)


async def beside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns or raises; in a thread when the text it reads has more than SMALL_TEXT characters. size: of that text.
    Only for Python's own code: a call into C keeps the loop waiting from a thread as well."""
    if size <= SMALL_TEXT:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
