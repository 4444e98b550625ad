"""`selfopt show TRIAL`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app


@click.command("show")
@click.argument("trial")
@json_option
@click.pass_context
def command(ctx: click.Context, /, trial: str, as_json: bool) -> None:
    """One TRIAL (its id or the beginning of it): exact request, raw reply, parsed calls, verdict, and why."""
    from selfopt.app import shown_trial
    from selfopt.report import safe_terminal

    shown = shown_trial(open_app(ctx), trial)
    if as_json:
        emit(shown)
        return
    out = console()

    def say(text: str, style: str = "") -> None:
        out.print(safe_terminal(text, limit=20_000), markup=False, style=style, soft_wrap=True)

    t = shown.trial
    say(f"trial {t.trial_id}  {shown.spec.label}  prompt {t.prompt_id}  run {t.run_id} #{t.run_index}", "bold")
    say(f"environment {t.environment_id}; {t.started_at}; {t.latency_ms:.0f} ms" + (f"; fault {t.fault}" if t.fault else ""))
    for exchange in shown.exchanges:
        for attempt in exchange.attempts:
            say(f"-- request ({exchange.step}, attempt {attempt.attempt.number})", "cyan")
            say(attempt.request or "(not kept)")
            say(
                f"-- reply ({attempt.attempt.fault or attempt.attempt.status}, {attempt.attempt.latency_ms:.0f} ms) {attempt.attempt.error}",
                "cyan",
            )
            say(attempt.reply or "(nothing came)")
        if exchange.content is not None:
            say("-- text", "cyan")
            say(exchange.content.text or "(empty)")
    if shown.expected is not None:
        say("-- expected", "cyan")
        say(_expected(shown.expected) + (f"   ({shown.reason})" if shown.reason else ""))
    for verdict in shown.verdicts:
        say(f"-- verdict: {verdict.outcome.value}", "bold")
        calls = "; ".join(f"{c.name}({c.arguments})" for c in verdict.parsed.tool_calls) or "no call"
        say(f"   parsed: {calls}  [{verdict.parsed.recognised}]")
        say(f"   why: {verdict.why}")


def _expected(expected: object) -> str:
    if isinstance(expected, str):
        return expected
    assert isinstance(expected, tuple)
    sets = [" and ".join(f"{c.name}({c.arguments})" for c in calls) or "no call" for calls in expected]
    return " or ".join(sets)
