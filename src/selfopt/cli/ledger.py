"""`selfopt ledger migrate`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app, say


@click.group("ledger")
def command() -> None:
    """Look after a ledger in a database (docs/POSTGRES.md)."""


@command.command("migrate")
@click.argument("url", required=False)
@click.option("--grant", multiple=True, metavar="USER", help="Let this user measure: add to the ledger and read it (repeatable).")
@click.option("--gateway", "gateways", multiple=True, metavar="USER", help="Let this user serve under the rules (repeatable).")
@json_option
@click.pass_context
def migrate(ctx: click.Context, /, url: str | None, grant: tuple[str, ...], gateways: tuple[str, ...], as_json: bool) -> None:
    """Make or update the ledger of a PostgreSQL database.

    URL names a user who may create there (default: the setting ledger). The password comes from
    ~/.pgpass or PGPASSWORD.
    """
    from selfopt.verbs.ledger import migrate_ledger

    done = migrate_ledger(open_app(ctx), url, grant=grant, gateways=gateways)
    if as_json:
        emit(done)
    elif done.before == done.after:
        say(console(), f"{done.place}: schema version {done.after} already")
    else:
        say(console(), f"{done.place}: schema version {done.after} (before: {done.before or 'none'})")
