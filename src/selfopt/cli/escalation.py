"""`selfopt escalation MODEL PHASE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import Number, console, draw, emit, json_option, run_with_app, say, say_each


@click.command("escalation")
@click.argument("model")
@click.argument("phase", type=click.Choice(["atomic", "extended"]))
@click.option("--fit", multiple=True, metavar="SUITE[:SPLIT]", help="Fit the confidence on these; default: the search prompts.")
@click.option(
    "--calibrate", multiple=True, metavar="SUITE[:SPLIT]", help="Choose the threshold on these; default: the held-out prompts."
)
@click.option("--verify", multiple=True, metavar="SUITE[:SPLIT]", help="Show what it does on these, which took no part.")
@click.option("--to", metavar="MODEL", help="The stronger model; default: the fallback of the rule in force.")
@click.option("--variant", metavar="NAME|POINT", help="The variant; default: that of the rule in force, else native_api.")
@click.option("--to-variant", metavar="NAME|POINT", help="The stronger model's variant; default: likewise.")
@click.option(
    "--second", metavar="NAME|POINT", help="Compare the calls with a second way of asking; live traffic is asked so where needed."
)
@click.option(
    "--max-bad-share",
    type=Number(0, 1, min_open=True, max_open=True),
    help="How much of what is served may be wrong; default: serve.max_bad_share of the settings (0.1).",
)
@click.option(
    "--confidence",
    type=Number(0.01, 1, max_open=True),
    help="The probability with which that holds; default: serve.confidence of the settings (0.95).",
)
@click.option(
    "--claim",
    type=click.Choice(["these-tools", "unseen-tools"]),
    default="these-tools",
    show_default=True,
    help="What the bound is about: prompts of these tool sets, or other tool sets.",
)
@click.option("--html", "html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page with figures.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, html: Path | None, claim: str, **flags: Any) -> None:
    """Say whether MODEL may serve PHASE when it is sure, and hand the rest to a stronger model.

    A confidence is fitted on stored answers, and a threshold chosen on others, so that at most
    --max-bad-share of what is served is wrong. No model is asked; the prompts have to be measured
    before, with log probabilities. --fit, --calibrate and --verify may be repeated. The calibration
    is kept, and no rule is changed.

    \b
    selfopt escalation local/qwen2.5-coder-0.5b atomic \\
      --to local/qwen2.5-coder-1.5b
    selfopt escalation small atomic --fit mine:search \\
      --calibrate mine:heldout --max-bad-share 0.05
    """
    from selfopt.report import served_tables
    from selfopt.verbs.escalation import EscalationRequest, escalation_of, write_escalation_page
    from selfopt.words.escalation import escalation_text, gaps_text

    request = EscalationRequest(claim="unseen_tools" if claim == "unseen-tools" else "these_tools", **flags)
    found = run_with_app(ctx, lambda app: escalation_of(app, request))
    if html is not None:
        write_escalation_page(html, found)
    if as_json:
        emit(found)
        return
    out = console()
    first, *others = escalation_text(found)
    say(out, first, style="bold")
    say_each(out, others)
    draw(out, served_tables(found, width=out.width))
    say_each(out, (line for one in found.samples for line in gaps_text(one)), style="dim")
    if html is not None:
        say(out, f"written: {html}")
