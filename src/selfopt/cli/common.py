"""What commands share: the app, its logging, and an event loop that ends tidily on Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .live import LiveLine, progress_option
from .log_lines import LogLines
from .output import (
    HEADING,
    EventPrinter,
    answer,
    block,
    console,
    counted,
    draw,
    emit,
    joined,
    no_commands,
    say,
    say_each,
    say_some,
    short_id,
)

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

__all__ = [
    "HEADING",
    "SECONDS",
    "CommandGroup",
    "EventPrinter",
    "LiveLine",
    "Number",
    "answer",
    "block",
    "cap_options",
    "console",
    "counted",
    "draw",
    "emit",
    "executor_option",
    "is_verbose",
    "joined",
    "json_option",
    "limits_of",
    "no_commands",
    "open_app",
    "progress_option",
    "run_in_app",
    "run_with_app",
    "say",
    "say_each",
    "say_some",
    "short_id",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


_SENTENCE = 300  # characters of a first sentence, which click cuts at the width of the terminal otherwise


class Number(click.FloatRange):
    """A finite number in a range.

    Python also reads "nan" and "inf" as numbers; this refuses them.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the number, or fails with a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


SECONDS = Number(min=0, max=3600, min_open=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


class CommandGroup(click.Group):
    """A group whose help has the whole first sentence of each command, however narrow the terminal is."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        found = [(name, command) for name in self.list_commands(ctx) if (command := self.get_command(ctx, name)) is not None]
        rows = [(name, command.get_short_help_str(_SENTENCE)) for name, command in found if not command.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def is_verbose(ctx: click.Context) -> bool:
    """Says whether --verbose was given."""
    return bool((ctx.find_root().obj or {}).get("verbose"))


def limits_of(flags: dict[str, Any]) -> dict[str, Any]:
    """Takes the limits out of a command's flags.

    Returns them as settings that override the files'.
    """
    limits = {name: flags.pop(name) for name in ("max_trials", "max_minutes", "max_tokens", "max_cost", "concurrency")}
    executor = flags.pop("executor", None)
    return {"limits": limits, **({"executor": executor} if executor is not None else {})}


concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    help="Requests at the same time at each endpoint. [default: its slots; 1 on this machine, 4 elsewhere]",
)


executor_option = click.option(
    "--executor",
    metavar="local|ray|ray://HOST:PORT",
    help="Who makes the trials: this process, a Ray cluster started here, or the workers of one.",
)


def cap_options(function: F) -> F:
    """Adds the options that limit a measurement: what it may spend, and how much it asks at once."""
    for option in (
        concurrency_option,
        click.option("--max-cost", type=Number(min=0), help="Stop at this cost (prices: docs/PRICES.md)."),
        click.option("--max-tokens", type=click.IntRange(min=1), help="Stop after so many tokens, in and out."),
        click.option("--max-minutes", type=Number(min=0, min_open=True), help="Stop after so many minutes."),
        click.option("--max-trials", type=click.IntRange(min=1), help="Stop after so many trials."),
    ):
        function = option(function)
    return function


def open_app(ctx: click.Context, flags: Mapping[str, Any] | None = None, *, forgiving: bool = False) -> App:
    """Opens the app of this command line, and shows what selfopt logs until the command ends.

    Logs a warning for settings that a project's files ask for and do not get.

    Args:
        flags: Settings that override all others.
        forgiving: See `App.open`.
    """
    from selfopt.verbs.opening import App

    root = ctx.find_root()
    log = LogLines()
    log.attach(logging.DEBUG if is_verbose(ctx) else logging.INFO)
    root.call_on_close(log.detach)
    app = App.open((root.obj or {}).get("home"), flags, forgiving=forgiving)
    if ctx.info_name == "serve":
        log.as_json = app.settings.gateway.log_format == "json"
        log.for_server()
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
    """Opens the app, does the work and closes everything.

    Ctrl-C and SIGTERM cancel the work, which leaves it resumable.

    Args:
        flags: Settings that override all others.
        loop_factory: Makes another event loop than asyncio's own.
        forgiving: See `App.open`.
    """
    app = open_app(ctx, flags, forgiving=forgiving)
    return run_in_app(app, work(app), loop_factory)


def run_in_app(app: App, work: Awaitable[T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Does the work in an app that is open, and closes it. Ctrl-C and SIGTERM cancel the work."""

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
