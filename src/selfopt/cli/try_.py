"""`selfopt try MODEL --tools FILE PROMPT`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import console, emit, json_option, run_with_app

if TYPE_CHECKING:
    from selfopt.app import App, Tried


@click.command("try")
@click.argument("model")
@click.argument("prompt")
@click.option("--tools", "tools_file", type=click.Path(path_type=Path), required=True, help="JSON file with a list of tools.")
@click.option("--variant", default="native_api", show_default=True, help="Through which variant.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds for one request.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, model: str, prompt: str, tools_file: Path, variant: str, timeout_s: float | None, as_json: bool
) -> None:
    """Ask MODEL once with your own tools; raw reply and parsed calls. Nothing is scored or recorded."""

    async def work(app: App) -> Tried:
        from selfopt.app import load_tools, try_model

        return await try_model(app, model, variant, load_tools(tools_file), prompt, timeout_s)

    tried = run_with_app(ctx, work)
    if as_json:
        emit(tried)
        return
    from selfopt.report import safe_terminal

    out = console()
    for step in tried.steps:
        out.print(f"-- request ({step.step})", style="cyan", markup=False)
        out.print(safe_terminal(step.reply.request_body if step.reply else "", limit=20_000), markup=False, soft_wrap=True)
        out.print("-- raw reply", style="cyan")
        out.print(safe_terminal(step.reply.reply_body if step.reply else "", limit=20_000), markup=False, soft_wrap=True)
    if tried.content is not None and tried.parsed is not None:
        out.print("-- parsed", style="cyan")
        calls = "\n".join(f"{c.name}({c.arguments})" for c in tried.parsed.tool_calls) or "no call"
        out.print(safe_terminal(f"{calls}  [{tried.parsed.recognised}]"), markup=False)
        if tried.parsed.unread:
            out.print(f"a call seems to stand there as {tried.parsed.unread}, which this variant does not read", markup=False)
