"""`selfopt show TRIAL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selfopt.home.text import spread_json

from .common import HEADING, block, console, draw, emit, json_option, open_app, say, say_each
from .exit_codes import says

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.verbs.opening import App
    from selfopt.verbs.showing import ShownTrial


@click.command("show")
@click.argument("trial")
@click.option("--exact", is_flag=True, help="Print requests and replies exactly as sent. Otherwise JSON is spread over lines.")
@click.option(
    "--warm-up", "warm_up", is_flag=True, help="Also show what the warm-up of its pass sent and got. It is never scored."
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, trial: str, exact: bool, warm_up: bool, as_json: bool) -> int:
    """Show one TRIAL (its id, or the beginning or end of it): exact request, raw reply, parsed
    calls, verdict, and why. A check is shown by its id, check-...

    Exit code 100 when something of that is missing, or is not what was committed.
    """
    from selfopt.verbs.showing import shown_faults, shown_trial, warm_up_texts
    from selfopt.words.causes import cause_text

    app = open_app(ctx)
    if trial.strip().lower().startswith("check-"):
        return _show_check(app, trial, as_json=as_json)
    shown = shown_trial(app, trial)
    texts = warm_up_texts(app, shown.run) if warm_up else []
    faults = shown_faults(app, shown)
    code = says(not faults)
    if as_json:
        warmed = {"warm_up": [{"request": request, "reply": reply} for request, reply in texts]} if warm_up else {}
        emit({**shown.model_dump(mode="json"), **warmed, **({"faults": faults} if faults else {})})
        return code
    out = console()
    say_each(out, (f"NOT what was committed: {fault.sentence()}" for fault in faults), style="bold", hang=4)
    t = shown.trial
    say(out, f"trial {t.trial_id}", style="bold")
    say(out, f"{shown.spec.label}, prompt {t.prompt_id}, pass {t.run_index + 1} of {t.run_id}", indent=2)
    fault = f"; fault: {t.fault}" if t.fault else ""
    say(out, f"{t.started_at}, {t.latency_ms:.0f} ms{fault}; {t.environment_id}", indent=2)
    if t.cause is not None:
        say(out, f'the server says "{t.said}": {cause_text(t.cause)}', indent=2, hang=2)
    if warm_up:
        _print_warm_up(out, shown, texts, exact)
    _print_exchanges(out, shown, exact)
    _print_verdicts(out, shown)
    return code


def _show_check(app: App, name: str, *, as_json: bool) -> int:
    from selfopt.report.check_page import check_page
    from selfopt.verbs.showing import check_faults, shown_check

    check = shown_check(app, name)
    faults = check_faults(app, check)
    if as_json:
        emit({**check.model_dump(mode="json"), **({"faults": faults} if faults else {})})
        return says(not faults)
    out = console()
    say_each(out, (f"NOT what was committed: {fault.sentence()}" for fault in faults), style="bold", hang=4)
    draw(out, check_page(check, width=out.width))
    return says(not faults)


def _print_warm_up(out: Console, shown: ShownTrial, texts: list[tuple[str | None, str | None]], exact: bool) -> None:
    result = shown.run.warm_up
    say(out, f"-- warm-up: {result.status}{'; ' + result.reason if result.reason else ''}", style=HEADING)
    for number, (request, reply) in enumerate(texts, 1):
        block(out, _body(request, "(not kept)", exact), title=f"warm-up request {number}")
        block(out, _body(reply, "(nothing came)", exact), title=f"warm-up reply {number}")


def _body(text: str | None, missing: str, exact: bool) -> str:
    return missing if text is None else text if exact else spread_json(text)


def _print_exchanges(out: Console, shown: ShownTrial, exact: bool) -> None:
    for exchange in shown.exchanges:
        for item in exchange.attempts:
            attempt = item.attempt
            block(out, _body(item.request, "(not kept)", exact), title=f"request ({exchange.step}, attempt {attempt.number})")
            say(out, f"-- reply ({attempt.fault or attempt.status}, {attempt.latency_ms:.0f} ms)", style=HEADING)
            if attempt.error:
                say(out, attempt.error, style="dark_orange")
            block(out, _body(item.reply, "(nothing came)", exact))
        if exchange.content is not None:
            if exchange.content.thinking:
                block(out, exchange.content.thinking, title="thinking")
            block(out, exchange.content.text or "(empty)", title="text")


def _print_verdicts(out: Console, shown: ShownTrial) -> None:
    from selfopt.words.calls import call_text, expected_text, reading_notes

    if shown.expected is not None:
        say(out, "-- expected", style=HEADING)
        say_each(out, expected_text(shown.expected), indent=2, hang=6)
        if shown.reason:
            say(out, shown.reason, indent=2, hang=2, style="dim")
    for verdict in shown.verdicts:
        say(out, f"-- verdict: {verdict.outcome.value.replace('_', ' ')}", style="bold")
        parsed = verdict.parsed
        calls = [call_text(call) for call in parsed.tool_calls] or ["no call"]
        seen = "; ".join((f"recognised: {parsed.recognised}", *reading_notes(parsed)))
        lines = [*(f"parsed: {call}" for call in calls), seen, f"why: {verdict.why}"]
        say_each(out, lines, indent=2, hang=6)
