"""`selfopt routes show | history | set | import | rollback | unban`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import answer, console, counted, emit, json_option, open_app, run_with_app, say, say_each

if TYPE_CHECKING:
    from selfopt.records import Ban, RoutingConfig


@click.group("routes")
def command() -> None:
    """Show, set, import or roll back the rules in force, and what they no longer try."""


def _print(config: RoutingConfig, as_json: bool) -> None:
    if as_json:
        emit(config)
        return
    out = console()
    out.print(f"rules version {config.version}, {counted(len(config.rules), 'rule')}")
    for rule in config.rules:
        if rule.allow:
            verdict = f"allow, on a fault {rule.fallback}" if rule.fallback else "allow"
        else:
            verdict = f"fallback {rule.fallback}" if rule.fallback else "refuse"
        extras = [*([f"variant {rule.variant.name}"] if rule.variant else []), *(["warm-up"] if rule.warm_up else [])]
        more = f" ({', '.join(extras)})" if extras else ""
        say(out, f"{rule.model} {rule.phase}: {verdict}{more}", indent=2, style="bold")
        if rule.reason:
            say(out, rule.reason, indent=4, hang=4)
        say(out, f"{rule.source}; since version {rule.since_version}; {rule.rule_id}", indent=4, hang=4, style="dim")


@command.command("show")
@json_option
@click.pass_context
def show(ctx: click.Context, /, as_json: bool) -> None:
    """Show the rules in force, and what was taken back."""
    from selfopt.verbs.routing import bans_in_force, rules_in_force

    app = open_app(ctx)
    config, bans = rules_in_force(app), bans_in_force(app)
    if as_json:
        emit({**config.model_dump(mode="json"), "bans": bans})
        return
    _print(config, as_json)
    _print_bans(bans)


def _print_bans(bans: Sequence[Ban]) -> None:
    from selfopt.words.rules import ban_text

    if bans:
        out = console()
        out.print("taken back (selfopt routes unban MODEL PHASE lets it be tried again)", markup=False)
        say_each(out, map(ban_text, bans), indent=2)


@command.command("unban")
@click.argument("model", required=False)
@click.argument("phase", required=False)
@json_option
@click.pass_context
def unban(ctx: click.Context, /, model: str | None, phase: str | None, as_json: bool) -> None:
    """Let what was taken back of MODEL be tried again.

    With PHASE: only what was taken back of it. Without MODEL: list what was taken back.

    What a rollback took back, and what did not help, is not tried again by the loop. That ends by
    itself for a variant when another model file is measured under the same name.
    """
    from selfopt.verbs.routing import bans_in_force, lift_bans
    from selfopt.words.rules import ban_text

    if model is None:
        found = bans_in_force(open_app(ctx))
        answer(found, map(ban_text, found), as_json=as_json, empty="nothing was taken back")
        return
    name = model
    lifted = run_with_app(ctx, lambda app: lift_bans(app, name, phase))
    lines = (
        f"{ban.model} {ban.phase}: {ban.kind.replace('_', '-')}{f' {ban.what}' if ban.what else ''} may be tried again"
        for ban in lifted
    )
    answer(lifted, lines, as_json=as_json)


@command.command("history")
@json_option
@click.pass_context
def history(ctx: click.Context, /, as_json: bool) -> None:
    """List every version: when, why and what changed."""
    from selfopt.verbs.routing import rule_history

    entries = rule_history(open_app(ctx))
    if as_json:
        emit(entries)
        return
    out = console()
    for entry in entries:
        mark = " (in force)" if entry.in_force else " (aborted)" if entry.aborted else ""
        why = f"{entry.cause}: {entry.reason}" if entry.reason else entry.cause
        say(out, f"version {entry.version}{mark}  {entry.at}  {why}")
        say_each(out, (change.replace("_", " ", 1) for change in entry.changes), indent=2)
    if not entries:
        out.print("no rules were ever in force")


@command.command("set")
@click.argument("model")
@click.argument("phase")
@click.option("--allow/--deny", "allow", default=None, help="Whether the model may serve this phase.")
@click.option(
    "--fallback", metavar="MODEL", help="The model that serves instead: always with --deny, after a fault with --allow."
)
@click.option("--reason", default="", help="Kept in the rule and the audit trail.")
@json_option
@click.pass_context
def set_(
    ctx: click.Context, /, model: str, phase: str, allow: bool | None, fallback: str | None, reason: str, as_json: bool
) -> None:
    """Set the rule of MODEL and PHASE by hand. Recommendations keep its allow and
    fallback; they may still add a warm-up."""
    from selfopt.verbs.routing import set_route

    if allow is None:
        raise click.UsageError("say --allow or --deny", ctx)
    _print(set_route(open_app(ctx), model, phase, allow=allow, fallback=fallback, reason=reason), as_json)


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def import_(ctx: click.Context, /, path: Path, as_json: bool) -> None:
    """Import rules from a JSON file. Aliases are resolved."""
    from selfopt.verbs.routing import import_routes

    _print(import_routes(open_app(ctx), path), as_json)


@command.command("rollback")
@click.argument("version", type=click.IntRange(min=0))
@json_option
@click.pass_context
def rollback(ctx: click.Context, /, version: int, as_json: bool) -> None:
    """Put the rules of an earlier VERSION in force.

    They become a new version, and nothing else stays. VERSION 0 has no rules. The loop does not try
    again what is taken back (`selfopt routes unban`).
    """
    from selfopt.verbs.routing import roll_back

    _print(run_with_app(ctx, lambda app: roll_back(app, version)), as_json)
