"""`selfopt try MODEL --tools FILE PROMPT`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import SECONDS, block, console, emit, json_option, pretty, run_with_app, say

if TYPE_CHECKING:
    pass


@click.command("try")
@click.argument("model")
@click.argument("prompt")
@click.option("--tools", metavar="FILE|mcp:SERVER", required=True, help="JSON file with a list of tools, or an MCP server.")
@click.option("--variant", default="native_api", show_default=True, help="Through which variant.")
@click.option("--timeout", "timeout_s", type=SECONDS, help="Seconds for one request.")
@click.option("--exact", is_flag=True, help="Requests and replies byte by byte as sent; otherwise JSON is spread over lines.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str,
    prompt: str,
    tools: str,
    variant: str,
    timeout_s: float | None,
    exact: bool,
    as_json: bool,
) -> None:
    """Ask MODEL once with your own tools; raw reply and parsed calls. Nothing is scored or recorded."""

    from selfopt.verbs.trying import try_model

    tried = run_with_app(ctx, lambda app: try_model(app, model, variant, tools, prompt, timeout_s))
    if as_json:
        emit(tried)
        return
    from selfopt.words.calls import call_text

    out = console()
    spread = (lambda text: text) if exact else pretty
    for step in tried.steps:
        say(out, f"-- request ({step.step})", style="bold blue")
        block(out, spread(step.reply.request_body) if step.reply else "")
        say(out, "-- raw reply", style="bold blue")
        block(out, spread(step.reply.reply_body) if step.reply else "")
    if tried.content is not None and tried.parsed is not None:
        if tried.content.text:
            say(out, "-- text", style="bold blue")
            block(out, tried.content.text)
        say(out, f"-- parsed: {tried.parsed.recognised}", style="bold blue")
        for text in [call_text(c) for c in tried.parsed.tool_calls] or ["no call"]:
            say(out, text, hang=4)
        if tried.parsed.unread:
            say(out, f"a call seems to stand there as {tried.parsed.unread}, which variant {tried.variant} does not read")
