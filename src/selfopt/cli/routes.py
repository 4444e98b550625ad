"""`selfopt routes show | history | set | remove | import | rollback | unban`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from .common import CommandGroup, answer, console, counted, emit, json_option, open_app, run_with_app, say, say_each

if TYPE_CHECKING:
    from selfopt.records import Ban, RoutingConfig
    from selfopt.verbs.costing import RulePays
    from selfopt.verbs.opening import App


@click.group("routes", cls=CommandGroup)
def command() -> None:
    """Show, set, import or roll back the rules in force, and what they no longer try."""


def _print(app: App, config: RoutingConfig, as_json: bool, pays: Mapping[str, RulePays] = MappingProxyType({})) -> None:
    if as_json:
        emit(config)
        return
    from selfopt.verbs.set_names import set_names
    from selfopt.words.money import pays_text
    from selfopt.words.rules import rule_text
    from selfopt.words.thresholds import only_sets_text, verdict_text

    out, called = console(), set_names(app, config.rules)
    out.print(f"rules version {config.version}, {counted(len(config.rules), 'rule')}")
    for rule in config.rules:
        extras = [*([f"variant {rule.variant.name}"] if rule.variant else []), *(["warm-up"] if rule.warm_up else [])]
        more = f" ({', '.join(extras)})" if extras else ""
        say(out, f"{rule_text(rule, called)}: {verdict_text(rule)}{more}", indent=2, hang=4, style="bold")
        if rule.reason:
            say(out, rule.reason, indent=4, hang=4)
        if rule.serve_when is not None and (about := only_sets_text(rule.serve_when, called)) is not None:
            say(out, about, indent=4, hang=4)
        if (known := pays.get(rule.rule_id)) is not None:
            worth = pays_text(
                rule.fallback or "", known.cost_below, known.time_below, known.escalated, "of the calibration prompts"
            )
            say_each(out, [worth] if worth else [], indent=4, hang=4)
        origin = f"{rule.source}; since version {rule.since_version}; {rule.rule_id}"
        if rule.serve_when is not None:
            origin += f"; threshold by {rule.serve_when.calibration_id}"
        say(out, origin, indent=4, hang=4, style="dim")


@command.command("show")
@json_option
@click.pass_context
def show(ctx: click.Context, /, as_json: bool) -> None:
    """Show the rules in force, and what was taken back."""
    from selfopt.verbs.costing import rules_pay
    from selfopt.verbs.routing import bans_in_force, rules_in_force

    app = open_app(ctx)
    config, bans = rules_in_force(app), bans_in_force(app)
    pays = rules_pay(app, config.rules)
    if as_json:
        emit({**config.model_dump(mode="json"), "bans": bans, "pays": pays})
        return
    _print(app, config, as_json, pays)
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


def _tools_options(work: Callable[..., None]) -> Callable[..., None]:
    """The options that say which requests a rule is about."""
    for option in reversed(
        (
            click.option("--tools", "names", metavar="PATTERN", help="Only requests all of whose tools fit it: 'calendar_*'."),
            click.option(
                "--tool-set", metavar="SET", help="Only requests that offer exactly this set of tools: its name, or SUITE:SET."
            ),
            click.option("--min-tools", "least", type=click.IntRange(min=1), help="Only requests with at least so many tools."),
            click.option("--max-tools", "most", type=click.IntRange(min=1), help="Only requests with at most so many tools."),
        )
    ):
        work = option(work)
    return work


@command.command("set")
@click.argument("model")
@click.argument("phase")
@click.option("--allow/--deny", "allow", default=None, help="Whether the model may serve this phase.")
@click.option(
    "--fallback",
    metavar="MODEL",
    help="The model that serves instead: always with --deny, after a fault with --allow, what is not sure with --serve-when.",
)
@click.option("--serve-when", metavar="CALIBRATION", help="Serve answers that are as sure as its threshold; the rest escalates.")
@_tools_options
@click.option("--reason", default="", help="Kept in the rule and the audit trail.")
@json_option
@click.pass_context
def set_(ctx: click.Context, /, model: str, phase: str, as_json: bool, **typed: Any) -> None:
    """Set the rule of MODEL and PHASE by hand. Recommendations keep its allow and
    fallback; they may still add a warm-up.

    With --tools, --tool-set, --min-tools or --max-tools it is a rule of its own, for requests that
    offer such tools. The most specific rule decides: a tool set, then the longer pattern, then a
    number of tools, then the rule without any.

    \b
    selfopt routes set small atomic --allow --tools 'calendar_*' \\
      --fallback large --serve-when calibration-3c9f
    selfopt routes set small atomic --deny --tools 'sql_*' --fallback large
    """
    from selfopt.verbs.ruling import RouteChoice, requests_named, set_route

    if typed["allow"] is None:
        raise click.UsageError("say --allow or --deny", ctx)
    app = open_app(ctx)
    when = requests_named(app, typed["names"], typed["tool_set"], typed["least"], typed["most"])
    choice = RouteChoice(typed["allow"], typed["fallback"], typed["reason"], when, typed["serve_when"])
    _print(app, set_route(app, model, phase, choice), as_json)


@command.command("remove")
@click.argument("model")
@click.argument("phase")
@_tools_options
@json_option
@click.pass_context
def remove(
    ctx: click.Context,
    /,
    model: str,
    phase: str,
    names: str | None,
    tool_set: str | None,
    least: int | None,
    most: int | None,
    as_json: bool,
) -> None:
    """Remove the rule of exactly MODEL, PHASE and tools.

    Without the options about tools: the rule that looks at none. The others stay. A cycle of the
    loop may recommend it again.
    """
    from selfopt.verbs.ruling import remove_route, requests_named

    app = open_app(ctx)
    when = requests_named(app, names, tool_set, least, most)
    _print(app, remove_route(app, model, phase, when), as_json)


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def import_(ctx: click.Context, /, path: Path, as_json: bool) -> None:
    """Import rules from a JSON file. Aliases are resolved."""
    from selfopt.verbs.routing import import_routes

    app = open_app(ctx)
    _print(app, import_routes(app, path), as_json)


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

    async def work(app: App) -> None:
        _print(app, await roll_back(app, version), as_json)

    run_with_app(ctx, work)
