"""`selfopt tune --tools FILE|mcp:SERVER MODEL`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .common import (
    SECONDS,
    EventPrinter,
    LiveLine,
    cap_options,
    console,
    counted,
    emit,
    executor_option,
    is_verbose,
    json_option,
    limits_of,
    open_app,
    progress_option,
    run_in_app,
    say,
    say_each,
)

if TYPE_CHECKING:
    from selfopt.records import Cycle
    from selfopt.verbs.tuning import TunedSuite


@click.command("tune")
@click.argument("model")
@click.option(
    "--tools",
    metavar="FILE|mcp:SERVER",
    required=True,
    help="Your tools: a JSON file, or mcp: and a command or URL of an MCP server.",
)
@click.option(
    "--tools-timeout", "tools_timeout_s", type=SECONDS, help="Seconds for an MCP server to list its tools. Default: 10."
)
@click.option(
    "--writer",
    metavar="MODEL|none",
    help="The model that writes the prompts. none: plain prompts from the tools alone. Default: the first of fallbacks.atomic.",
)
@click.option(
    "--solver",
    "solvers",
    multiple=True,
    metavar="MODEL",
    help="A model that has to agree with what is expected; at most two. Default: the writer, asked in two ways.",
)
@click.option("--prompts", type=click.IntRange(24, 1000), default=240, show_default=True, help="How many prompts to aim at.")
@click.option("--prompts-only", is_flag=True, help="Stop once the suite is written; search nothing.")
@cap_options
@executor_option
@progress_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, model: str, tools: str, as_json: bool, **flags: Any) -> None:
    """Make prompts for your own tools, search with them for what serves MODEL best, and write the
    rule by the usual decision.

    The prompts are synthetic, and every figure that rests on them says so. They are kept as a suite
    in the home's folder `suites`. The same command goes on where it was cut off.

    \b
    selfopt tune --tools tools.json --writer ollama/qwen3:8b local/smollm2-135m
    selfopt tune --tools "mcp:my-server" --writer none local/smollm2-135m

    """
    settings = limits_of(flags)
    from selfopt.verbs.looping import Listener
    from selfopt.verbs.tuning import TuneListener, TuneRequest, tune_model

    with LiveLine(enabled=not as_json) as live:

        def suite_told(suite: TunedSuite) -> None:
            live.clear()
            if not as_json:
                say_each(console(), _lines(suite), hang=2)

        def cycles_told(_: Sequence[Cycle]) -> None:
            live.clear()
            if not as_json:
                say(console(), f"reports: {app.home.reports}")
            sys.stdout.flush()

        loop = Listener(EventPrinter(live, enabled=not as_json, every_gate=is_verbose(ctx)), cycles_told)
        app = open_app(ctx, settings)
        request = TuneRequest(model, tools, **flags)
        tuned = run_in_app(app, tune_model(app, request, TuneListener(suite_told, live.show, loop, live)))
    if as_json:
        emit(tuned)


def _lines(suite: TunedSuite) -> list[str]:
    """What there is to say about a suite, in lines."""
    from selfopt.words.tuning import dropped_text, missing_text

    there = "was there already" if suite.state == "unchanged" else f"written to {suite.path}"
    agreed = f"; agreed on by {', '.join(suite.solvers)}" if suite.solvers else "; no solver was asked whether they are right"
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(suite.kinds.items()))
    lines = [
        f"{suite.name}: {counted(suite.prompts, 'synthetic prompt')}, {there}",
        f"written by {suite.by}{agreed}",
        f"search {suite.search}, held-out {suite.heldout} ({_held_out(suite)}); {kinds}",
    ]
    if suite.dropped:
        lines.append(f"dropped {dropped_text(suite.dropped)}")
    if suite.without_prompts:
        told = "; ".join(f"{name} ({why})" for name, why in suite.without_prompts.items())
        lines.append(f"without prompts that call them: {told}")
    if suite.missing_heldout:
        lines.append(missing_text(suite.missing_heldout))
    return lines


def _held_out(suite: TunedSuite) -> str:
    return "other tools" if suite.held_out == "tool_sets" else "other requests for the same tools"
