"""What every command needs: the app of this command line, its logging, and a loop that ends tidily on Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .live import LiveLine, LogLines
from .output import block, console, counted, draw, emit, joined, pretty, say, say_some, short_id

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

__all__ = [
    "SECONDS",
    "LiveLine",
    "Number",
    "block",
    "console",
    "counted",
    "draw",
    "emit",
    "is_verbose",
    "joined",
    "json_option",
    "open_app",
    "pretty",
    "run_in_app",
    "run_with_app",
    "say",
    "say_some",
    "short_id",
]

T = TypeVar("T")


class Number(click.FloatRange):
    """A finite number in a range: "nan" and "inf" are numbers to Python, and no amount of anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no amount", param, ctx)
        return number


SECONDS = Number(min=0, max=3600, min_open=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def is_verbose(ctx: click.Context) -> bool:
    """Whether --verbose was given."""
    return bool((ctx.find_root().obj or {}).get("verbose"))


def open_app(ctx: click.Context, flags: Mapping[str, Any] | None = None, *, forgiving: bool = False) -> App:
    """The app of this command line; what selfopt logs is shown until the command ends. What a project's files asked for and did not get
    is said once. forgiving: see `App.open`."""
    from selfopt.verbs.opening import App

    root = ctx.find_root()
    options: dict[str, Any] = root.obj or {}
    log = LogLines()
    log.attach(logging.DEBUG if is_verbose(ctx) else logging.INFO)
    root.call_on_close(log.detach)
    app = App.open(options.get("home"), flags, forgiving=forgiving)
    log.as_json = ctx.info_name == "serve" and app.settings.gateway.log_format == "json"
    root.call_on_close(app.release)
    for line in app.notices():
        logging.getLogger("selfopt").warning("%s", line)
    if is_verbose(ctx):
        from selfopt.home import escape_control
        from selfopt.verbs.doctor import settings_in_use

        used = ", ".join(settings_in_use(app)) or "built-in defaults"
        for line in (f"home: {app.home.root}", f"settings: {used}"):
            print(escape_control(line), file=sys.stderr)
    return app


def run_with_app(
    ctx: click.Context,
    work: Callable[[App], Awaitable[T]],
    flags: Mapping[str, Any] | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    *,
    forgiving: bool = False,
) -> T:
    """Open the app, do the work, close everything; Ctrl-C and SIGTERM cancel the work, so that it is left resumable.
    loop_factory: makes another loop than asyncio's own; forgiving: see `App.open`."""
    app = open_app(ctx, flags, forgiving=forgiving)
    return run_in_app(app, work(app), loop_factory)


def run_in_app(app: App, work: Awaitable[T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Do the work in an app that is open, and close it; SIGTERM is treated like Ctrl-C."""

    async def whole() -> T:
        async with app:
            return await work

    async def guarded() -> T:
        task = asyncio.ensure_future(whole())
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

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(guarded())
