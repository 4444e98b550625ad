"""`selfopt keys add | list | revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import answer, console, emit, joined, json_option, open_app, say

if TYPE_CHECKING:
    from selfopt.verbs.keys import GatewayKey, KeyScope


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys of the gateway. Once there is a key, every request needs one."""


def _shown(entry: GatewayKey) -> dict[str, object]:
    return entry.model_dump(mode="json", exclude={"sha256"})


@command.command("add")
@click.argument("name")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="Let it ask only this model; repeatable. [default: all]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["phase", "variant", "feedback", "admin"]),
    help="Let it also choose the phase, switch the variant off, give feedback, or open the gateway's page (admin); repeatable.",
)
@json_option
@click.pass_context
def add(ctx: click.Context, /, name: str, models: tuple[str, ...], scopes: tuple[KeyScope, ...], as_json: bool) -> None:
    """Make a key called NAME. It is shown only once, because only its hash is kept."""
    from selfopt.verbs.keys import add_key

    key, entry = add_key(open_app(ctx), name, models=models, scopes=scopes)
    if as_json:
        emit({**_shown(entry), "key": key})
        return
    print(key)
    click.echo(f"{entry.id} ({entry.name}): keep the key now, it cannot be shown again", err=True)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """List all keys, revoked ones too, without the keys themselves."""
    from selfopt.verbs.keys import list_keys

    checked = list_keys(open_app(ctx))
    for problem in checked.problems:
        click.echo(f"selfopt: {problem}", err=True)
    if as_json:
        emit([_shown(entry) for entry in checked.keys])
        return
    out = console()
    for entry in checked.keys:
        state = f"revoked {entry.revoked_at}" if entry.revoked_at else "valid"
        say(out, f"{entry.id}  {entry.name}  {state}, made {entry.created_at}")
        say(out, f"models: {joined(entry.models) if entry.models else 'all'}; scopes: {joined(entry.scopes) or 'none'}", indent=2)
    if not checked.keys:
        out.print("no keys; `selfopt serve` answers everybody on this machine")


@command.command("revoke")
@click.argument("key")
@json_option
@click.pass_context
def revoke(ctx: click.Context, /, key: str, as_json: bool) -> None:
    """Make KEY (its id or name) invalid for good. A running gateway refuses it at once."""
    from selfopt.verbs.keys import revoke_key

    entry = revoke_key(open_app(ctx), key)
    answer(_shown(entry), [f"{entry.id} ({entry.name}) is revoked"], as_json=as_json)
