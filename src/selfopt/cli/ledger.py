"""`selfopt ledger`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import CommandGroup, console, counted, emit, json_option, open_app, say


@click.group("ledger", cls=CommandGroup)
def command() -> None:
    """Look after the ledger, in a file or in a database (docs/POSTGRES.md)."""


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


@command.command("import")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def import_(ctx: click.Context, /, source: Path | None, as_json: bool) -> None:
    """Move a ledger file into the database of the settings.

    SOURCE is a home, or its ledger.sqlite3 (default: this home). The file is checked before, and
    compared afterwards. It stays as it is. After an interruption the same command goes on.
    """
    from selfopt.verbs.ledger import import_ledger

    done = import_ledger(open_app(ctx), source)
    if as_json:
        emit(done)
        return
    new = f"{counted(done.new_records, 'record')} and {counted(done.new_blobs, 'text')} are new there"
    say(console(), f"{done.place}: has {counted(done.records, 'record')} and {counted(done.blobs, 'text')} of the file; {new}")


@command.command("show")
@json_option
@click.pass_context
def show(ctx: click.Context, /, as_json: bool) -> None:
    """Show what the ledger holds, and who works under it."""
    from selfopt.verbs.ledger import show_ledger

    found = show_ledger(open_app(ctx))
    if as_json:
        emit(found)
        return
    records = sum(found.records.values())
    out = console()
    say(out, f"{found.place}: {found.size_bytes / 1e6:.1f} MB, {counted(records, 'record')}, {counted(found.blobs, 'text')}")
    for kind, n in found.records.items():
        say(out, f"  {kind.replace('_', ' ')}: {n:,}")
    for line in found.held:
        say(out, line)
