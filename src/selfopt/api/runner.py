"""Lets verbs block.

An event loop on its own thread does their work, so they also work where a loop is running already.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from selfopt.errors import SelfoptError
from selfopt.verbs.opening import App

T = TypeVar("T")
TIDY_S = 30.0


class Runner:
    """An event loop on its own thread, which starts at the first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise SelfoptError("this home was closed; open it again with selfopt.open()")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="selfopt", daemon=True)
            self._thread.start()
        return self._loop

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for the work and returns its result.

        Ctrl-C cancels the work, waits for its end and goes on to the caller.
        """
        try:
            loop = self._running()
        except SelfoptError:
            work.close()
            raise
        ended = threading.Event()

        async def whole() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(whole(), loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            ended.wait(TIDY_S)
            raise

    @contextmanager
    def serving(self, serve: Callable[[Callable[[str], None]], Coroutine[Any, Any, None]]) -> Iterator[str]:
        """Runs a server while the block lasts.

        serve: passes on its base URL when ready, and runs until it is cancelled.
        """
        started: Future[str] = Future()
        closed = threading.Event()

        async def whole() -> None:
            try:
                await serve(started.set_result)
            finally:
                closed.set()

        def ended(task: Future[None]) -> None:
            if not started.done():
                started.set_exception(task.exception() or SelfoptError("the server ended before it was ready"))

        task = asyncio.run_coroutine_threadsafe(whole(), self._running())
        task.add_done_callback(ended)
        try:
            yield started.result()
        finally:
            task.cancel()
            closed.wait(TIDY_S)

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs the last coroutine and ends the thread. Can be called twice."""
        if self._loop is not None and self._thread is not None and not self._closed:
            self.wait(finish())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._closed = True


class Noun:
    """The verbs about one thing. They share the open home and the runner that waits for them."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner
