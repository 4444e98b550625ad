"""`selfopt scripted FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import answer, json_option, run_with_app


@click.command("scripted")
@click.argument("script", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 chooses a free one.")
@click.option("--check", is_flag=True, help="Check the script and list its models, without serving.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, script: Path, host: str, port: int, check: bool, as_json: bool) -> None:
    """Serve the scripted endpoint of SCRIPT (YAML) until Ctrl-C, in the OpenAI-compatible, Ollama
    and Anthropic dialects.
    """

    def ready(base_url: str, models: list[str]) -> None:
        what = f"scripted endpoint at {base_url} (Ctrl-C ends it)" if base_url else f"{script}: ok"
        answer({"base_url": base_url, "models": models}, [f"{what}; models: {', '.join(models)}"], as_json=as_json)
        sys.stdout.flush()

    from selfopt.verbs.scripting import serve_script

    try:
        run_with_app(ctx, lambda _: serve_script(script, host, port, ready, serve=not check))
    except KeyboardInterrupt:  # the usual end, which cuts nothing short
        ctx.exit(130)
