"""Does long work on text without blocking the loop: in short steps, or in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import ParamSpec, TypeVar, cast

from selfopt.dialects.chat_body import STEP_BYTES
from selfopt.home import Redactor
from selfopt.records import ReplyContent
from selfopt.variants import RenderedStep

P = ParamSpec("P")
T = TypeVar("T")

# Python code reads about a million characters a second. Up to this size, starting a thread costs more.
SMALL_TEXT = 4096


async def by_steps(steps: Generator[None, None, T]) -> T:
    """Run all steps, with a turn of the loop between two of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        await asyncio.sleep(0)


def next_step(
    steps: Generator[RenderedStep, ReplyContent, ReplyContent], content: ReplyContent | None
) -> RenderedStep | ReplyContent:
    """Return the step after this reply, or the content for the parsers after the last one. None: the first step."""
    try:
        return next(steps) if content is None else steps.send(content)
    except StopIteration as end:
        return cast("ReplyContent", end.value)


async def redacted(body: bytes, redactor: Redactor) -> bytes:
    """Return the body without secrets."""
    if len(body) <= STEP_BYTES or not redactor.active:
        return redactor.data(body)
    pieces = []
    for piece in redactor.slices(body):
        pieces.append(piece)
        await asyncio.sleep(0)
    return b"".join(pieces)


async def beside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, in a thread if it reads more than SMALL_TEXT characters.

    Use it for pure Python code only: a call into C blocks the loop from a thread as well.
    """
    if size <= SMALL_TEXT:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
