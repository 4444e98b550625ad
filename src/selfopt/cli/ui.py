"""`selfopt ui`."""

from __future__ import annotations

import click

from .common import emit, json_option, run_with_app


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8485, show_default=True, help="0 chooses a free one.")
@click.option("--open/--no-open", "opens", default=True, help="Open it in your browser.  [default: open]")
@json_option
@click.pass_context
def command(ctx: click.Context, /, host: str, port: int, opens: bool, as_json: bool) -> None:
    """Show this home in a browser: what is served, every request, models and rules, until Ctrl-C.

    The address that is printed signs in one browser, once. When it was used, a new one is printed
    for the next.
    """
    first = True

    def link(url: str) -> None:
        nonlocal first
        if as_json:
            emit({"url": url})
        else:
            print(f"page at {url} (Ctrl-C ends it)" if first else f"for another browser: {url}", flush=True)
        if first and opens and not as_json:
            import webbrowser

            webbrowser.open(url)
        first = False

    from selfopt.ui import UiOptions, serve_ui

    try:
        run_with_app(ctx, lambda app: serve_ui(app, UiOptions(host, port), link))
    except KeyboardInterrupt:  # the usual end
        ctx.exit(130)
