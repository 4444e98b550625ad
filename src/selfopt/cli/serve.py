"""`selfopt serve`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .common import emit, json_option, run_with_app
from .log_lines import write_lines

if TYPE_CHECKING:
    from selfopt.verbs.opening import App
    from selfopt.verbs.serving import Worker


def _started(ctx: click.Context, host: str | None, port: int | None, count: int, ready: Callable[[str], None]) -> Worker | int:
    """Starts the workers.

    Returns the worker in each of them, and the exit code in the process that supervises them.
    """
    from selfopt.verbs.opening import App
    from selfopt.verbs.serving import in_workers, listening_socket, page_is_on, refuse_embedded

    options = ctx.find_root().obj or {}
    app = App.open(options.get("home"))
    refuse_embedded(app)
    address = host or app.settings.gateway.host
    listening = listening_socket(address, app.settings.gateway.port if port is None else port)
    shown = f"[{address}]" if ":" in address else address
    base_url = f"http://{shown}:{listening.getsockname()[1]}/v1"
    app.release()
    page = page_is_on(app.settings.gateway.ui, address)
    return in_workers(count, listening, lambda line: write_lines(f"{line}\n"), lambda: ready(base_url), page=page)


@click.command("serve")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 chooses a free one. [default: 8484]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the port. [default: 1]")
@click.option(
    "--concurrency", type=click.IntRange(1, 64), help="Requests at the same time at each endpoint. [default: its slots, or 64]"
)
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, host: str | None, port: int | None, workers: int, concurrency: int | None, as_json: bool
) -> None:
    """Serve live traffic under the rules in force, as an OpenAI-compatible endpoint, until Ctrl-C.

    One process serves thousands of requests a second. More workers help only when the gateway
    itself takes a whole core: for many small requests to fast servers, or long answers read through
    variants. The embedded engine allows one worker only.
    """

    def ready(base_url: str) -> None:
        if as_json:
            emit({"base_url": base_url})
        else:
            print(f"gateway at {base_url} (Ctrl-C ends it)", flush=True)

    async def work(app: App) -> None:
        from selfopt.verbs.serving import serve

        await serve(app, host, port, ready if worker is None else lambda base_url: None, write_lines, worker)

    worker: Worker | None = None
    if workers > 1:
        started = _started(ctx, host, port, workers, ready)
        if isinstance(started, int):
            ctx.exit(started)
        worker = started

    from selfopt.verbs.serving import fast_loop

    try:
        run_with_app(ctx, work, {"limits": {"concurrency": concurrency}}, loop_factory=fast_loop())
    except KeyboardInterrupt:  # the usual end, after requests under way have finished
        ctx.exit(130)
