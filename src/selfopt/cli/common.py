"""What every command needs: the app, JSON output, a console, and a sign of life while something is measured."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.app import App, Progress

__all__ = ["LiveLine", "console", "emit", "json_option", "open_app", "run_with_app"]

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal (80 columns when there is none)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else 100)


def emit(value: Any) -> None:
    """Print one JSON document. Records are dumped without their private fields."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=True, allow_nan=False))


def _plain(value: Any) -> Any:
    from dataclasses import fields, is_dataclass
    from pathlib import Path

    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def open_app(ctx: click.Context, flags: Mapping[str, Any] | None = None) -> App:
    """The app of this command line; logging is set up as --verbose says."""
    from selfopt.app import App

    options: dict[str, Any] = ctx.find_root().obj or {}
    verbose = bool(options.get("verbose"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("selfopt").setLevel(logging.INFO)
    app = App.open(options.get("home"), flags)
    if verbose:
        print(f"home: {app.home.root}", file=sys.stderr)
    return app


def run_with_app(ctx: click.Context, work: Callable[[App], Awaitable[T]], flags: Mapping[str, Any] | None = None) -> T:
    """Open the app, do the work, close everything; Ctrl-C and SIGTERM cancel the work, so that it is left resumable."""
    app = open_app(ctx, flags)

    async def whole() -> T:
        async with app:
            return await work(app)

    return run_until_done(whole())


def run_until_done(work: Coroutine[Any, Any, T]) -> T:
    """asyncio.run with SIGTERM treated like Ctrl-C."""

    async def guarded() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    return asyncio.run(guarded())


class LiveLine:
    """Progress on standard error: one line that rewrites itself on a terminal, a line now and then elsewhere."""

    def __init__(self, enabled: bool = True, every_s: float = 1.9) -> None:
        self._tty = sys.stderr.isatty()
        self._enabled = enabled
        self._every_s = every_s
        self._last = 0.0
        self._width = 0

    def __call__(self, event: Progress) -> None:
        """Show one sign of life."""
        import time

        if not self._enabled:
            return
        now = time.monotonic()
        important = event.kind in ("run_started", "warm_up", "run_ended", "stopped", "note") and event.note
        if not self._tty and not important and now - self._last < self._every_s:
            return
        self._last = now
        self.show(_line(event))

    def show(self, text: str) -> None:
        """Put one text on the line."""
        if not self._enabled:
            return
        if self._tty:
            import shutil

            width = shutil.get_terminal_size().columns - 1
            clipped = text[:width]
            print("\r" + clipped.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(clipped)
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line before something else is printed."""
        if self._tty and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _line(event: Progress) -> str:
    eta = f", about {event.eta_s:.0f} s left" if event.eta_s is not None and event.kind != "run_ended" else ""
    at = f" {event.prompt_id}" if event.prompt_id else ""
    outcome = f" {event.outcome.value}" if event.outcome is not None else ""
    note = f" ({event.note})" if event.note else ""
    text = f"  {event.label}: {event.done}/{event.total}{at}{outcome}{eta}{note}"
    return "".join(c if c.isprintable() else "?" for c in text)
