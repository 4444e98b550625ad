"""`selfopt suites add-from-ledger TRIAL... --to FILE`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app, say, short_id


@click.command("add-from-ledger")
@click.argument("trials", nargs=-1, required=True, metavar="TRIAL...")
@click.option(
    "--to", required=True, metavar="FILE|NAME", help="The suite to add to: a file (made when it is not there), or one of yours."
)
@click.option("--suite", help="Where the suite of the trials is, when it is a file that the settings do not name.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, trials: tuple[str, ...], to: str, suite: str | None, as_json: bool) -> None:
    """Turn failed trials into prompts for review. All are added or none; comments and layout of the file stay.

    What is expected is the suite's, or what was called where the suite is not at hand; the reason begins with "review:".
    """
    from selfopt.verbs.reviewing import add_from_ledger

    added = add_from_ledger(open_app(ctx), trials, to, suite)
    if as_json:
        emit(added)
        return
    out = console()
    for trial_id, prompt_id in added.prompts.items():
        say(out, f"trial {short_id(trial_id)} is prompt {prompt_id}")
    say(out, f"{'written to' if added.created else 'added to'} {added.path}")
    say(out, f"review them:  selfopt suites show {added.path}", indent=2, hang=16)
