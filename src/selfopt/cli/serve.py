"""`selfopt serve`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from .common import emit, json_option, run_with_app

if TYPE_CHECKING:
    from selfopt.app import App


def _log(lines: str) -> None:
    """Lines of the access log, where the other log lines go."""
    with suppress(OSError, ValueError):
        sys.stderr.write(lines)
        sys.stderr.flush()


@click.command("serve")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 chooses a free one. [default: 8484]")
@json_option
@click.pass_context
def command(ctx: click.Context, /, host: str | None, port: int | None, as_json: bool) -> None:
    """Serve live traffic under the rules in force, as an OpenAI-compatible endpoint, until Ctrl-C."""

    def ready(base_url: str) -> None:
        if as_json:
            emit({"base_url": base_url})
        else:
            print(f"gateway at {base_url} (Ctrl-C ends it)", flush=True)

    async def work(app: App) -> None:
        from selfopt.app import serve

        await serve(app, host, port, ready, _log)

    from selfopt.gateway import fast_loop

    try:
        run_with_app(ctx, work, loop_factory=fast_loop())
    except KeyboardInterrupt:  # that is how it is ended: requests under way were finished
        ctx.exit(130)
