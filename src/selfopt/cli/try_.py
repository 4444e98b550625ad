"""`selfopt try MODEL --tools FILE PROMPT`."""

from __future__ import annotations

import click

from .common import HEADING, SECONDS, block, console, emit, json_option, run_with_app, say, say_each


@click.command("try")
@click.argument("model")
@click.argument("prompt")
@click.option("--tools", metavar="FILE|mcp:SERVER", required=True, help="JSON file with a list of tools, or an MCP server.")
@click.option("--variant", default="native_api", show_default=True, help="The variant to ask through.")
@click.option("--timeout", "timeout_s", type=SECONDS, help="Seconds for one request.")
@click.option("--exact", is_flag=True, help="Print requests and replies exactly as sent. Otherwise JSON is spread over lines.")
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
    """Ask MODEL once with your own tools, and print the raw reply and the parsed calls. Nothing is
    scored or recorded.
    """

    from selfopt.home import spread_json
    from selfopt.verbs.trying import try_model
    from selfopt.words.calls import call_text, reading_notes, unread_note

    tried = run_with_app(ctx, lambda app: try_model(app, model, variant, tools, prompt, timeout_s))
    if as_json:
        emit(tried)
        return
    out = console()
    spread = (lambda text: text) if exact else spread_json
    for step in tried.steps:
        block(out, spread(step.reply.request_body) if step.reply else "", title=f"request ({step.step})")
        block(out, spread(step.reply.reply_body) if step.reply else "", title="raw reply")
    if tried.content is not None and tried.parsed is not None:
        if tried.content.text:
            block(out, tried.content.text, title="text")
        say(out, f"-- parsed: {tried.parsed.recognised}", style=HEADING)
        say_each(out, [call_text(c) for c in tried.parsed.tool_calls] or ["no call"], hang=4)
        if tried.parsed.unread:
            say(out, unread_note(tried.parsed, tried.variant))
        say_each(out, reading_notes(tried.parsed.model_copy(update={"unread": None})), hang=4)
