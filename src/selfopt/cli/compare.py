"""`selfopt compare MODEL...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .common import (
    SECONDS,
    LiveLine,
    cap_options,
    console,
    draw,
    emit,
    executor_option,
    json_option,
    limits_of,
    no_commands,
    progress_option,
    run_with_app,
)
from .exit_codes import fail_on, failed

if TYPE_CHECKING:
    from selfopt.records import Comparison, Differences
    from selfopt.verbs.failing import Failure
    from selfopt.verbs.opening import App


@click.command("compare")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--suite", "suites", multiple=True, metavar="NAME|FILE", help="On this suite; may be repeated, all of one phase.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="With this variant; may be repeated.")
@click.option("--split", type=click.Choice(["search", "heldout", "canary", "all"]), help="Part of the suite.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many prompts of each suite.")
@click.option("--ollama", is_flag=True, help="Also every model that the Ollama servers of the settings have installed.")
@click.option("--enable-warmup/--no-warmup", "warm_up", default=None, help="Load and warm each model up first.")
@click.option("--timeout", "timeout_s", type=SECONDS, help="Seconds for one request.")
@click.option("--fresh", is_flag=True, help="Start anew instead of continuing an interrupted comparison.")
@progress_option
@cap_options
@executor_option
@fail_on("regression", help="when the MODEL named first is behind the best row by more than chance explains.")
@click.option("--diff", is_flag=True, help="Also each prompt in which the rows differ, with every reply and what was read in it.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, ollama: bool, diff: bool, markdown: bool, as_json: bool, fail_on: tuple[str, ...], **flags: Any
) -> int:
    """Compare MODELs, each with each variant, on the same prompts: one pass each, best agent score
    first.

    The models named are measured, whatever the rules say. Without --variant each uses its rule's
    variant, else native_api. Variants that differ only in the parser share their replies. After an
    interruption the same command continues.

    \b
    selfopt compare ollama/qwen2.5:3b ollama/llama3.2:3b --variant restrained
    selfopt compare --ollama --suite atomic-300 --split heldout --markdown
    selfopt compare ollama/qwen2.5:3b ollama/llama3.2:3b --diff

    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json: choose one", ctx)
    if not flags["models"] and not ollama:
        raise click.UsageError("name at least one MODEL, or --ollama", ctx)
    if fail_on and not flags["models"]:
        raise click.UsageError("--fail-on regression compares the MODEL named first with the best row; name one", ctx)
    from selfopt.report import comparison_markdown, comparison_table, differences_markdown, differences_text
    from selfopt.verbs.comparing import CompareRequest, compare_models
    from selfopt.verbs.differing import MOST_IN_JSON, MOST_SHOWN, differences_of
    from selfopt.verbs.failing import failures_of_comparison

    async def compared(app: App) -> tuple[Comparison, list[Failure], Differences | None]:
        found = await compare_models(app, request, live)
        differing = differences_of(app, found, most=MOST_IN_JSON if as_json else MOST_SHOWN) if diff else None
        return found, list(failures_of_comparison(app, request.models, found)) if fail_on else [], differing

    limits = limits_of(flags)
    request = CompareRequest(ollama=ollama, **flags)
    with LiveLine(enabled=not (as_json or markdown)) as live:
        comparison, failures, differing = run_with_app(ctx, compared, limits)
    if as_json:
        emit(comparison if differing is None else {**comparison.model_dump(mode="json"), "differences": differing})
    elif markdown:
        click.echo(comparison_markdown(comparison) + (differences_markdown(differing) if differing else ""), nl=False)
    else:
        out = console()
        draw(out, comparison_table(comparison, width=out.width))
        if differing:
            with no_commands():
                draw(out, differences_text(differing))
    return 1 if comparison.stopped or comparison.unmeasured else failed(fail_on, failures)
